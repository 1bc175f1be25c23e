import time

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.wildcards import PathPattern, name_matcher


def fits(pattern: str, *names: str) -> list[str]:
    matches = name_matcher(pattern)
    return [name for name in names if matches(name)]


class NameMatcherTests(SynchronousTestCase):
    def test_a_name_without_wildcards_stands_for_itself(self) -> None:
        self.assertEqual(fits("a.b", "a.b", "axb", "a.bc"), ["a.b"])

    def test_stars_and_question_marks(self) -> None:
        self.assertEqual(fits("*.log", "x.log", ".log", "x.logs"), ["x.log", ".log"])
        self.assertEqual(fits("a*b*c", "abc", "axbxbxc", "abxcx", "acb"), ["abc", "axbxbxc"])
        self.assertEqual(fits("?a?", "xay", "a", "xa", "xayz"), ["xay"])
        self.assertEqual(fits("*aa", "aaa", "aa", "a"), ["aaa", "aa"])

    def test_sets_of_characters(self) -> None:
        self.assertEqual(fits("x.[ch]", "x.c", "x.h", "x.o"), ["x.c", "x.h"])
        self.assertEqual(fits("[!a-c]", "a", "c", "d", "-"), ["d", "-"])
        self.assertEqual(fits("[^]a]", "]", "a", "b"), ["b"])
        self.assertEqual(fits("[]-]", "]", "-", "a"), ["]", "-"])
        self.assertEqual(fits("[[:digit:]x]", "7", "x", "d", ":"), ["7", "x"])
        self.assertEqual(fits("[&&a~~|]", "&", "a", "~", "|", "b"), ["&", "a", "~", "|"])

    def test_a_range_that_goes_down_holds_nothing(self) -> None:
        self.assertEqual(fits("[z-a]", "z", "m", "a", "-"), [])
        self.assertEqual(fits("[!z-a]", "z", "m"), ["z", "m"])

    def test_a_backslash_takes_the_next_character_as_it_is(self) -> None:
        self.assertEqual(fits(r"\*x", "*x", "ax"), ["*x"])
        self.assertEqual(fits(r"[\]]", "]", "\\"), ["]"])

    def test_what_is_not_well_formed_fits_nothing(self) -> None:
        for pattern in ("[abc", "a\\", "[[:nope:]]", "[a-"):
            self.assertEqual(fits(pattern, "a", "abc", pattern), [], pattern)

    def test_hostile_patterns_take_no_time(self) -> None:
        began = time.process_time()
        for pattern in ("*a" * 60 + "b", "*" * 500 + "b", "*[ab]" * 60 + "c"):
            self.assertEqual(fits(pattern, "a" * 255), [])
        self.assertLess(time.process_time() - began, 1.0)


class PathPatternTests(SynchronousTestCase):
    def check(self, pattern: str, fitting: str, *others: str) -> None:
        found = PathPattern(pattern)
        for path in fitting.split():
            self.assertTrue(found.matches(path.split("/")), (pattern, path))
        for path in others:
            self.assertFalse(found.matches(path.split("/")), (pattern, path))

    def test_segments_stand_for_segments(self) -> None:
        self.check("a/*.c", "a/x.c", "x.c", "a/b/x.c", "b/x.c", "a")

    def test_two_stars_stand_for_any_number_of_directories(self) -> None:
        self.check("a/**/b", "a/b a/x/b a/x/y/b a/b/b", "a", "b", "a/b/c")
        self.check("**/b", "b a/b a/a/b", "b/a")
        self.check("**/a/**/b/**/c", "a/b/c x/a/y/b/z/c a/b/b/c a/c/b/c", "a/c/b")

    def test_two_stars_at_the_end_stand_for_what_is_inside(self) -> None:
        self.check("a/**", "a/b a/b/c", "a", "b/a")

    def test_two_stars_within_a_name_are_like_one(self) -> None:
        self.check("a**/b", "a/b ax/b", "a/x/b")

    def test_hostile_patterns_take_no_time(self) -> None:
        began = time.process_time()
        self.check("**/a/" * 60 + "b", "", "/".join("a" * 1000))
        self.assertLess(time.process_time() - began, 1.0)
