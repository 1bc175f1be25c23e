from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.file_patterns import HIDDEN, is_hidden, split


class SplitTests(SynchronousTestCase):
    def test_t_path_01_the_literal_directory_is_split_off(self) -> None:
        for pattern, expected in {
            "*.go": ("", "*.go"),
            "**/foo.go": ("", "**/foo.go"),
            "internal/agent/*.go": ("internal/agent", "*.go"),
            "internal/**/*.go": ("internal", "**/*.go"),
            "a/b/c/*.txt": ("a/b/c", "*.txt"),
            "internal/agent/glob.go": ("internal/agent", "glob.go"),
            "glob.go": ("", "glob.go"),
            "{a,b}/x.go": ("", "{a,b}/x.go"),
        }.items():
            self.assertEqual(split(pattern), expected, pattern)

    def test_sets_and_escapes_are_wildcards_too(self) -> None:
        self.assertEqual(split("a/[bc]/d"), ("a", "[bc]/d"))
        self.assertEqual(split("a/b?/d"), ("a", "b?/d"))
        self.assertEqual(split("a/\\*/d"), ("a", "\\*/d"))

    def test_an_absolute_pattern_keeps_its_root(self) -> None:
        self.assertEqual(split("/w/src/*.py"), ("/w/src", "*.py"))
        self.assertEqual(split("/*.py"), ("/", "*.py"))
        self.assertEqual(split("/x"), ("/", "x"))

    def test_a_slash_at_the_end_of_a_literal_one_says_nothing(self) -> None:
        self.assertEqual(split("a/b/"), ("a", "b"))


class IsHiddenTests(SynchronousTestCase):
    def test_d_02_only_the_path_below_the_search_root_is_looked_at(self) -> None:
        for path in (".env", "a/.env", ".github/x.yml", *(f"a/{name}/x.py" for name in HIDDEN)):
            self.assertTrue(is_hidden(path), path)
        for path in ("a/x.py", "x.env", "builds/x.py", "outer/x"):
            self.assertFalse(is_hidden(path), path)
