"""Which lines run unasked, and what else is said about a line."""

import re
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.bash_lines import judge
from txcrush.adapters.bash_lines.contents import Among, Walk

CORPORA = Path(__file__).parents[3] / "corpora"
MARKS = {"NL": "\n", "CR": "\r", "TAB": "\t", "NUL": "\0", "ESC": "\x1b", "VT": "\v", "BS": "\b"}
MARK = re.compile(r"<(U\+[0-9A-F]{4}|[A-Z]{2,3})>")


def decoded(line: str) -> str:
    def letter(match: re.Match[str]) -> str:
        name = match.group(1)
        return chr(int(name[2:], 16)) if name.startswith("U+") else MARKS.get(name, match.group())

    return MARK.sub(letter, line)


def corpus(name: str) -> list[str]:
    lines = (CORPORA / name).read_text().split("\n")
    return [decoded(line) for line in lines if line and not line.startswith("## ")]


class TheCorpora(SynchronousTestCase):
    def test_promise_45_no_hostile_line_runs_unasked(self) -> None:
        lines = corpus("hostile.txt")
        self.assertGreaterEqual(len(set(lines)), 400)
        self.assertEqual([line for line in lines if judge(line).runs_unasked], [])

    def test_promise_46_ordinary_lines_run_unasked(self) -> None:
        lines = corpus("ordinary.txt")
        asked = [line for line in lines if not judge(line).runs_unasked]
        self.assertGreaterEqual(len(set(lines)), 130)
        self.assertLessEqual(len(asked), len(lines) * 0.05, asked)

    def test_d_07_what_the_reference_lets_pass_asks(self) -> None:
        for line in (
            "ls\ntouch marker",
            "ls & touch marker",
            "ls > marker",
            "env touch marker",
            "nice touch marker",
            "nohup touch marker",
            "time touch marker",
            "timeout 5 touch marker",
            "kill 1234",
            "git branch -D feature",
            "git tag -d v1",
            "git remote add x y",
        ):
            self.assertFalse(judge(line).runs_unasked, line)

    def test_t_bash_01_chaining_asks_but_for_a_pipe_of_readers(self) -> None:
        for line in ("ls -la", "echo hello world", "git log --oneline", "ls | wc -l"):
            self.assertTrue(judge(line).runs_unasked, line)
        for line in ("", "ls && pwd", "ls; pwd", "ls || pwd", "echo `pwd`", "echo $(pwd)", "rm -rf / && ls"):
            self.assertFalse(judge(line).runs_unasked, line)

    def test_t_bash_02_a_chained_line_asks_and_a_plain_one_does_not(self) -> None:
        self.assertFalse(judge("ls && echo done").runs_unasked)
        self.assertTrue(judge("ls -la").runs_unasked)

    def test_nothing_that_runs_unasked_is_guarded_blocked_or_broken(self) -> None:
        for line in corpus("ordinary.txt"):
            judged = judge(line)
            if judged.runs_unasked:
                self.assertEqual((judged.blocked, judged.parse_error, judged.guarded), ("", "", False), line)


class WhatIsRun(SynchronousTestCase):
    def test_a_line_without_git_is_run_as_it_is(self) -> None:
        for line in ("ls -la", "  ls 'a b' | wc -l\n", "git push", "git -c a=b log"):
            self.assertEqual(judge(line).command, line)

    def test_git_gets_its_settings_forced(self) -> None:
        command = judge("git log --format='%h %s' | head -5").command
        self.assertIn("GIT_PAGER=cat ", command)
        self.assertIn(" -c core.fsmonitor=false ", command)
        self.assertTrue(command.endswith(" log --no-ext-diff --no-textconv '--format=%h %s' | head -5"), command)

    def test_searches_are_kept_out_of_data_directories(self) -> None:
        kept_out = "'--exclude-dir=.[cC][rR][uU][sS][hH]'"
        for line, command in {
            "grep -rn x .": f"grep -rn x . {kept_out}",
            "  grep -r -- x . | head": f"grep -r {kept_out} -- x . | head",
            "fgrep --recursive x": f"fgrep --recursive x {kept_out}",
            "rg x": "rg x '--iglob=!.crush'",
            "rg -g '*' -- x src": "rg -g '*' '--iglob=!.crush' -- x src",
            "grep -n x README.md": "grep -n x README.md",
            "cat a | grep x": "cat a | grep x",
        }.items():
            self.assertEqual(judge(line).command, command)

    def test_what_is_shown_is_told(self) -> None:
        self.assertEqual(judge("cat a b | head -5 c").shows, ("a", "b", "c"))
        self.assertEqual(judge("grep -r x").shows, (".",))
        self.assertEqual(judge("rg x").walks, (Walk("."),))
        self.assertEqual(judge("rg -g '*' x a").walks, (Walk("a"),))
        self.assertEqual(judge("git grep x").walks, (Walk(".", among=Among.TRACKED_OR_ALL),))
        self.assertEqual(judge("git grep --untracked x").walks, (Walk(".", among=Among.ALL),))
        self.assertEqual(judge("git diff a").walks, (Walk(".", among=Among.TRACKED),))
        self.assertLessEqual({"HEAD:.crush/x", ".crush/x"}, set(judge("git show HEAD:.crush/x").shows))
        for line in ("ls -R .crush", "find . -type f", "stat a", "tree", "du -sh .", "git status", "pwd"):
            self.assertEqual((judge(line).shows, judge(line).walks), ((), ()), line)

    def test_a_line_that_names_where_keys_are_is_remembered_whole(self) -> None:
        for line in ("cat /home/x/.ssh/id", "cat ../.netrc", "cat /proc/1/environ", "head ../.crush/crush.json"):
            self.assertEqual(judge(line).keys, (line,))
        self.assertEqual(judge("cat ../notes").keys, ("cat",))

    def test_diff_log_and_show_run_no_programs_of_the_repository(self) -> None:
        for form in ("diff", "log", "show"):
            self.assertIn(f" {form} --no-ext-diff --no-textconv", judge(f"git {form}").command)

    def test_what_compares_files_runs_without_content_filters(self) -> None:
        for form in ("status", "diff", "blame README.md", "ls-files -m"):
            self.assertIn("filter", judge(f"git {form}").command.partition("GIT_PAGER")[0])
        self.assertTrue(judge("git log").command.startswith("GIT_PAGER=cat "))

    def test_the_paths_that_are_read_are_told(self) -> None:
        self.assertEqual(judge("cat a b/c | grep x d").reads, ("a", "b/c", "d"))
        self.assertEqual(judge("grep -rn pattern src").reads, ("src",))
        self.assertEqual(judge("find src lib -name x").reads, ("src", "lib"))
        self.assertEqual(judge("ls -la src").reads, ("src",))
        self.assertEqual(judge("git diff HEAD -- a").reads, ("HEAD", "a"))
        self.assertEqual(judge("git grep -n pattern src").reads, ("src",))
        self.assertEqual(judge("git log -- a").reads, ())
        self.assertEqual(judge("touch a").reads, ())


class Errors(SynchronousTestCase):
    def test_what_cannot_be_parsed_says_where(self) -> None:
        for line in ("ls 'a", "if true; then", "ls | | wc", 'echo "', "ls )"):
            judged = judge(line)
            self.assertNotEqual(judged.parse_error, "", line)
            self.assertEqual(judged.keys, (line,))
        self.assertIn("position 6", judge("ls | | wc").parse_error)

    def test_what_no_program_can_be_given_is_an_error(self) -> None:
        self.assertNotEqual(judge("ls\0; touch marker").parse_error, "")
        self.assertNotEqual(judge("ls \ud800").parse_error, "")

    def test_ordinary_bash_parses(self) -> None:
        for line in (
            'for f in *.py; do echo "$f"; done',
            "for ((i=0;i<3;i++)); do echo $i; done",
            "if [[ $a =~ ^(b|c)$ ]]; then echo y; fi",
            "case $x in a|b) echo 1;; *) echo 2;; esac",
            'a=(1 2 3); echo "${a[@]}"',
            "diff <(ls) <(ls -a)",
            "cat > f <<'EOF'\nhello $x\nEOF",
            "git commit -m \"$(cat <<'EOF'\nhi\nEOF\n)\"",
            "shopt -s extglob; ls !(a)",
            "ls \\\n",
            "f() { echo hi; }; f",
            "echo hi >&2",
            "sleep 3 & echo started",
            "cat <<-EOF\n\tx\n\tEOF",
        ):
            self.assertEqual(judge(line).parse_error, "", line)


class TheBlockList(SynchronousTestCase):
    def test_what_the_shell_functions_cannot_catch_is_blocked_from_the_tree(self) -> None:
        for line, name in (
            ("command curl x", "curl"),
            ("exec curl x", "curl"),
            ("exec -a ls wget", "wget"),
            ("command -p sudo ls", "sudo"),
            ("command -- nc x", "nc"),
            ("echo $(command 'c'url x)", "curl"),
            ("f() { command curl; }; f", "curl"),
            ("A=1 command command curl x", "curl"),
            ("command npm install -g x", "npm"),
            ("ls && exec ssh x", "ssh"),
        ):
            self.assertEqual(judge(line).blocked, name, line)

    def test_what_is_left_to_the_shell_or_harmless_is_not(self) -> None:
        for line in ("curl x", "command -v curl", "command -V curl", "command ls", "exec ls", "echo command curl"):
            self.assertEqual(judge(line).blocked, "", line)

    def test_a_line_too_long_to_parse_is_read_as_text(self) -> None:
        self.assertEqual(judge("command curl x; " + "echo a; " * 5000).blocked, "curl")


class ProtectedPlaces(SynchronousTestCase):
    def test_a_change_of_gits_configuration_is_guarded_without_its_file_being_named(self) -> None:
        for line in ("git config a.b c", "cd x && git -C y config --unset a.b", "env git remote set-url origin x"):
            self.assertTrue(judge(line).guarded, line)
        for line in ("git push && git config user.name", "git remote -v && ls", "echo config"):
            self.assertFalse(judge(line).guarded, line)


class Bounds(SynchronousTestCase):
    def test_an_ordinary_line_takes_less_than_a_few_milliseconds(self) -> None:
        line = "git log --oneline --graph --all -n 20 --author='A B' -- src/a.py | grep -n fix | sort -u | head -n 20"
        took = min(self.timed(line) for _ in range(50))
        self.assertLess(took, 0.003)

    def test_lines_made_to_be_slow_are_bounded(self) -> None:
        for piece in ("a|", "a=(", "$(", "<<a ", "[[", "((", '"$(', "a;", "{ ", "if ", "case x in ", "'", "\\\n", "`"):
            line = piece * (200_000 // len(piece))
            self.assertFalse(judge(line).runs_unasked)
            for length in (150, 16_000):
                self.assertLess(self.timed(piece * (length // len(piece))), 2.0, piece)

    def timed(self, line: str) -> float:
        began = time.perf_counter()
        judge(line)
        return time.perf_counter() - began
