"""The end of a run, from the messages of its session."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.cli._missed import end_of


def text(text: str) -> dict[str, Any]:
    return {"type": "text", "data": {"text": text}}


def finish(reason: str, **more: str) -> dict[str, Any]:
    return {"type": "finish", "data": {"reason": reason, "time": 1, **more}}


def message(number: int, role: str, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": f"m{number}", "role": role, "parts": list(parts), **more}


PROMPT = message(1, "user", text("hi"), finish("stop"))


class Missed(SynchronousTestCase):
    def test_a_finished_answer_is_the_end(self) -> None:
        answer = message(2, "assistant", text("yes"), finish("end_turn"))
        self.assertEqual(end_of([PROMPT, answer], "hi", ()), {"message_id": "m2", "text": "yes"})

    def test_a_cancelled_and_a_failed_one_say_so(self) -> None:
        cancelled = message(2, "assistant", finish("canceled", message="User canceled request"))
        failed = message(2, "assistant", finish("error", message="Provider Error", details="no"))
        self.assertEqual((end_of([PROMPT, cancelled], "hi", ()) or {})["cancelled"], True)
        self.assertEqual((end_of([PROMPT, failed], "hi", ()) or {})["error"], "Provider Error: no")

    def test_steps_that_go_on_and_answers_to_come_are_no_end(self) -> None:
        for answer in ([], [message(2, "assistant")], [message(2, "assistant", text("a"), finish("tool_use"))]):
            self.assertIsNone(end_of([PROMPT, *answer], "hi", ()))

    def test_what_the_session_held_before_and_summaries_are_no_end_of_ours(self) -> None:
        answer = message(2, "assistant", text("yes"), finish("end_turn"))
        self.assertIsNone(end_of([PROMPT, answer], "hi", {"m1", "m2"}))
        self.assertIsNone(end_of([message(0, "user", text("other")), answer], "hi", ()))
        self.assertIsNone(end_of([PROMPT, answer | {"is_summary_message": True}], "hi", ()))
