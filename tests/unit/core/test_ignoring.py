from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.ignoring import COMMON, MAX_RULES, NOISY, Ignoring, Parts


def below(files: dict[str, str], **options: object) -> Ignoring:
    """Rules as they stand in directories: {"": text of the root's, "a/b": of a directory's}."""

    def read(directory: Parts) -> str:
        return files.get("/".join(directory), "")

    return Ignoring(read, **options)  # type: ignore[arg-type]


class IgnoringTests(SynchronousTestCase):
    def check(self, ignoring: Ignoring, *, hidden: str, visible: str) -> None:
        """Paths; a slash at the end means a directory."""
        for expected, paths in ((True, hidden), (False, visible)):
            for path in paths.split():
                parts = tuple(path.rstrip("/").split("/"))
                found = ignoring.hides(parts, is_directory=path.endswith("/"))
                self.assertEqual(found, expected, path)

    def test_t_ign_01_a_pattern_of_the_root_and_a_common_one(self) -> None:
        self.check(below({"": "*.log"}), hidden="x.log x.tmp", visible="x.txt")

    def test_t_ign_02_directories_by_name_but_no_others_nor_the_root(self) -> None:
        ignoring = below({"": "node_modules/\ntarget/\ncustom/"})
        self.check(ignoring, hidden="node_modules/ target/ custom/ custom/x", visible="src/ other/ custom")
        self.assertFalse(ignoring.hides((), is_directory=True))

    def test_t_ign_03_a_nested_file_holds_below_its_own_directory(self) -> None:
        ignoring = below({"sub": "*.txt\nsub"})
        self.check(ignoring, hidden="sub/x.txt sub/deep/y.txt sub/sub", visible="x.txt sub/ sub/x.py other/x.txt")

    def test_t_ign_04_some_directories_without_any_ignore_file(self) -> None:
        self.check(below({}), hidden=".git/ node_modules/ __pycache__/ target/ .vscode/", visible="src/ .github/")
        self.check(below({}), hidden=" ".join(f"{name}/" for name in NOISY), visible=".git")

    def test_every_common_pattern_ranks_below_every_file(self) -> None:
        self.check(below({}), hidden=" ".join(COMMON.replace("*", "x").split()), visible="x.py")
        self.check(below({"": "!*.log\n!vendor"}), hidden="x.tmp", visible="x.log vendor/ vendor/a.go")
        self.check(below({}, everywhere=(COMMON, "!*.log")), hidden="x.tmp", visible="x.log")

    def test_later_rules_win_and_deeper_ones_over_those_above(self) -> None:
        self.check(below({"": "*.a\n!b.a\n*b.a"}), hidden="x.a b.a", visible="b.c")
        self.check(below({"": "*.a", "in": "!*.a"}), hidden="x.a", visible="in/x.a")
        self.check(below({"": "lit\n!lit"}), hidden="", visible="lit")
        self.check(below({"": "!lit\nli*"}), hidden="lit", visible="")

    def test_what_lies_in_an_ignored_directory_is_not_brought_back(self) -> None:
        self.check(below({"": "gen/\n!gen/keep.py", "gen": "!*"}), hidden="gen/ gen/keep.py gen/x/y", visible="")

    def test_a_slash_binds_a_pattern_to_its_directory(self) -> None:
        self.check(below({"": "/top\na/b\ndoc/**"}), hidden="top a/b doc/x doc/x/y", visible="x/top x/a/b doc/ doc")

    def test_lines_are_trimmed_and_remarks_and_empty_ones_skipped(self) -> None:
        ignoring = below({"": "\ufeff  first  \r\n\r\n# remark\n\\#hash\n\\!bang\n/\n!"})
        self.check(ignoring, hidden="first #hash !bang", visible="remark x")

    def test_the_names_of_a_call_hide_by_base_name_whatever_the_rules_say(self) -> None:
        ignoring = below({"": "!*.py"}, names=("*.py", "d?c"))
        self.check(ignoring, hidden="x.py a/x.py doc/ doc/a", visible="x.pyc.txt docs/")

    def test_a_walk_that_begins_further_down_is_not_hidden_as_a_whole(self) -> None:
        ignoring = below({"": "gen/\n*.tmp"}, start=("gen",))
        self.check(ignoring, hidden="x.tmp in/gen/ in/y.tmp", visible="x.py in/")

    def test_rules_of_a_directory_are_read_once(self) -> None:
        read: list[Parts] = []
        ignoring = Ignoring(lambda directory: read.append(directory) or "")  # type: ignore[func-returns-value]
        for name in "abc":
            ignoring.hides(("d", name), is_directory=False)
        self.assertEqual(sorted(read), [(), ("d",)])

    def test_a_file_of_endless_rules_is_read_in_part(self) -> None:
        self.check(below({"": "x\n" * MAX_RULES + "late"}), hidden="x", visible="late")
