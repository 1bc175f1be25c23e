"""Unified diffs (`tools.md` 7)."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.editing.unified_diff import Diff, is_diff, unified

GIT = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
PLAIN = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
NEW = "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+b\n"


class UnifiedDiffTests(SynchronousTestCase):
    def test_a_new_file(self) -> None:
        text = "--- a/f\n+++ b/f\n@@ -0,0 +1,2 @@\n+a\n+b\n"
        self.assertEqual(unified("", "a\nb\n", "f"), Diff(text, 2, 0))

    def test_an_emptied_file(self) -> None:
        self.assertEqual(unified("a\n", "", "f"), Diff("--- a/f\n+++ b/f\n@@ -1 +0,0 @@\n-a\n", 0, 1))

    def test_equal_contents_give_nothing(self) -> None:
        self.assertEqual(unified("a", "a", "f"), Diff("", 0, 0))

    def test_a_missing_final_newline_is_told_on_each_side(self) -> None:
        self.assertIn("\n c\n\\ No newline at end of file\n", unified("a\nc", "b\nc", "f").text)
        self.assertTrue(unified("a", "a\n", "f").text.endswith("-a\n\\ No newline at end of file\n+a\n"))

    def test_hunks_have_three_lines_around_and_join_where_they_touch(self) -> None:
        old = [f"{number}\n" for number in range(30)]
        near, far = list(old), list(old)
        near[10] = near[16] = far[10] = far[18] = "x\n"
        self.assertEqual(unified("".join(old), "".join(near), "f").text.count("@@ -"), 1)
        self.assertIn("@@ -8,7 +8,7 @@", unified("".join(old), "".join(far), "f").text)
        self.assertEqual(unified("".join(old), "".join(far), "f").text.count("@@ -"), 2)

    def test_lines_that_look_like_headers_are_not_counted(self) -> None:
        self.assertEqual(_counts("-- a\n", "++ b\nc\n"), (1, 0))

    def test_t_diff_01_diffs_are_recognised(self) -> None:
        for text in (GIT, PLAIN, NEW, GIT + GIT, f"output:\n{PLAIN}"):
            self.assertTrue(is_diff(text))

    def test_t_diff_01_what_only_looks_like_one_is_not(self) -> None:
        for text in ("", "plain text", "@@ -1 +1 @@\n-a\n+b\n", "--- a/x\n+++ b/x\n", "# Title\n\n---\n\n- a\n+ b\n"):
            self.assertFalse(is_diff(text))


def _counts(old: str, new: str) -> tuple[int, int]:
    diff = unified(old, new, "f")
    return diff.additions, diff.removals
