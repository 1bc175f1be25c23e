"""Places that are never written without a prompt."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.bash_lines.protected_places import names_protected_place


class ProtectedPlaces(SynchronousTestCase):
    def test_a_protected_place_is_seen_wherever_it_is_named(self) -> None:
        for line in (
            "echo x > .git/config",
            "echo x >.git/hooks/pre-commit",
            "cp x ./.git/hooks/",
            "cd .git && rm config",
            "tee sub/.git/config",
            "bash -c 'echo x > .git/config'",
            "echo x > .g'i't/config",
            "echo x > .gi\\t/config",
            "echo x > .GIT/config",
            "D=.git; echo x > $D/config",
            "echo x > .g*/config",
            "echo x > .[g]it/config",
            "echo x > .{git,x}/config",
            "rm crush.json",
            "echo x >> .crush.json",
            "sed -i s/a/b/ sub/crushrc",
            "echo x > .crushrc",
            "rm -r .crush",
            "echo x > .crush/crush.json",
            "rm ~/.config/crush/crush.json",
            "rm -r ~/.local/share/txcrush",
            "rm $XDG_DATA_HOME/crush/x",
            "rm x/txcrush.db",
            "echo x > ~/.gitconfig",
            "git -c core.hooksPath=x commit",
            "find . -name .git -exec rm -r '{}' ';'",
            "python - <<E\nopen('.git/config','w')\nE",
        ):
            self.assertTrue(names_protected_place(line), line)

    def test_ordinary_lines_are_left_alone(self) -> None:
        for line in (
            "rm x",
            "cat .gitignore .github/workflows/x.yml .gitattributes",
            "git clone https://example.com/x.git",
            "pytest txcrush/",
            "cd txcrush && make",
            "grep -r x --exclude-dir=.git .",
            "rg x -g '!.git' | head",
            "find . -not -path './.git/*' -type f",
            "find . -path ./.git -prune -o -print",
            "echo crushed.json",
            "ls *.py",
            "cp a.* b",
            "mv {a,b} c",
        ):
            self.assertFalse(names_protected_place(line), line)
