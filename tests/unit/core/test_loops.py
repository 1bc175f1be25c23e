"""When a turn goes round in circles (`agent.md` 7)."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.loops import is_loop, signature
from txcrush.model.messages import ToolCall, ToolResult


def step(name: str = "view", text: str = "the same", arguments: str = "{}", call_id: str = "c1") -> bytes:
    return signature([ToolCall(call_id, name, arguments)], [ToolResult(call_id, name, text)])


class Loops(SynchronousTestCase):
    def test_r_loop_01_fewer_than_ten_steps_are_never_a_loop(self) -> None:
        self.assertFalse(is_loop([]))
        self.assertFalse(is_loop([step()] * 9))

    def test_r_loop_02_six_equal_ones_of_ten_are(self) -> None:
        different = [step(text=str(number)) for number in range(10)]
        self.assertFalse(is_loop(different))
        self.assertFalse(is_loop([step()] * 5 + different[:5]))
        self.assertTrue(is_loop([step()] * 6 + different[:4]))
        self.assertTrue(is_loop(different + [step()] * 6))
        self.assertFalse(is_loop([step()] * 6 + different), "only the last ten count")

    def test_r_loop_03_steps_without_calls_do_not_count_and_two_patterns_are_no_loop(self) -> None:
        self.assertFalse(is_loop([signature([], [])] * 10))
        self.assertFalse(is_loop([step("view"), step("edit")] * 5))

    def test_r_loop_04_ids_do_not_matter_but_inputs_and_results_do(self) -> None:
        self.assertEqual(step(call_id="c1"), step(call_id="c2"))
        self.assertEqual(len({step(), step(name="edit"), step(text="other"), step(arguments='{"a":1}')}), 4)
        self.assertEqual(signature([], [ToolResult("c1", "view", "text")]), b"")

    def test_a_call_without_a_result_and_media_have_signatures_of_their_own(self) -> None:
        call = ToolCall("c1", "view", "{}")
        picture = ToolResult("c1", "view", "Loaded", data="QUJD", mime_type="image/png")
        self.assertEqual(len({signature([call], []), signature([call], [picture]), step()}), 3)
