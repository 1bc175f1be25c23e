"""What "allow for session" remembers of a line."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.bash_lines import judge


class Keys(SynchronousTestCase):
    def test_one_key_for_each_simple_command(self) -> None:
        for line, keys in (
            ("touch a1", ("touch",)),
            ("git push origin main", ("git push",)),
            ("npm test", ("npm test",)),
            ("make", ("make",)),
            ("make -j4 all", ("make",)),
            ("npm run build && git add . && git commit -m 'a b'", ("npm run", "git add", "git commit")),
            ("cargo test | tee log", ("cargo test", "tee")),
            ("touch a; touch b\ntouch c", ("touch",)),
            ("pip install -r requirements.txt", ("pip install",)),
            ("docker build .", ("docker build",)),
            ("go test ./...", ("go test",)),
            ("./build.sh --all", ("./build.sh",)),
            ("git commit -m 'first\n\nsecond line'", ("git commit",)),
            ('git commit -m "say \\"hi\\""', ("git commit",)),
            ("cd sub && make", ("cd sub", "make")),
            ("git", ("git",)),
            ("git --no-pager log", ("git --no-pager log",)),
        ):
            self.assertEqual(judge(line).keys, keys, line)

    def test_expansion_redirection_and_assignment_are_remembered_whole(self) -> None:
        for line in (
            "rm $X",
            "rm *",
            "rm {a,b}",
            "rm ~/x",
            "echo `x`",
            "make > log",
            "make 2>&1",
            "make &",
            "A=1 make",
            "! make",
            "(make)",
            "{ make; }",
            "for x in a; do make; done",
            "make # comment",
            'git commit -m "$MESSAGE"',
            "git push 'a",
            "ma\\ke",
            "'make'",
            "make <<< x",
            "make é",
        ):
            self.assertEqual(judge(line).keys, (line,), line)

    def test_what_runs_something_of_the_callers_choice_is_remembered_whole(self) -> None:
        for line in (
            "env make",
            "sudo make",
            "xargs rm",
            "ls | xargs rm",
            "sh -c 'make'",
            "/bin/sh -c make",
            "bash x.sh",
            "python -c 'print(1)'",
            "python3.12 x.py",
            "node x.js",
            "find . -exec rm '{}' ';'",
            "find . -delete",
            "make SHELL=./x",
            "make -f other",
            "make --eval=x",
            "tar xf a --checkpoint-action=exec=x",
            "tar xf a --checkpoint-act=exec=x",
            "tar -I x -xf a",
            "rsync -e x a b",
            "npx x",
            "npm exec x",
            "uv run x",
            "docker run x",
            "go run ./x",
            "export PATH=.",
            "export PATH=. && make",
            "hash -p x git; git push",
            "alias git=x",
            ". ./x",
            "source x",
            "trap x EXIT",
            "git -c a=b push",
            "git -C x push",
            "git --git-dir=x push",
            "git push --receive-pack=x",
            "git push --rec=x",
            "git push --exec=x",
            "git fetch --upload-pack x",
            "git rebase -x make",
            "git grep -O x",
            "git log --ext-diff",
            "git config core.pager x",
            "git bisect run x",
            "git submodule foreach x",
            "git clone -c a=b x",
            "./git push",
            "/usr/bin/git push",
            "npm --prefix x test",
            "time make",
            "make && env x",
        ):
            self.assertEqual(judge(line).keys, (line,), line)

    def test_a_granted_key_never_covers_a_hidden_command(self) -> None:
        granted = {"git push", "npm test", "make", "touch", "ls"}
        for line in (
            "git push; rm x",
            "git push && rm x",
            "git push | rm x",
            "git push\nrm x",
            "git push & rm x",
            "git push $(rm x)",
            "git push `rm x`",
            "git push > x",
            "git push <(rm x)",
            "make || rm x",
            "touch a'b';rm x",
            "ls \\\n; rm x",
            "x=1 make",
            "ls(){ rm x; }; ls",
        ):
            self.assertFalse(granted.issuperset(judge(line).keys), line)

    def test_keys_of_a_line_without_words_are_its_text(self) -> None:
        for line in ("", "   ", "\n", ";", "# x"):
            self.assertEqual(judge(line).keys, (line.strip(),))
