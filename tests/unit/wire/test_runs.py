"""Runs as the server's own routes show them."""

from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.ids import MessageId, RunId, SessionId
from txcrush.model.runs import Outcome, Prompt, RunEnd, RunRecord
from txcrush.wire.json import encode, parse_object
from txcrush.wire.runs import EXCERPT, run_body


def shown(record: RunRecord, state: str) -> dict[str, Any]:
    return parse_object(encode(run_body(record, state)).decode())


class Bodies(SynchronousTestCase):
    def record(self, text: str = "hi", **changes: Any) -> RunRecord:
        prompt = Prompt(session_id=SessionId("s"), text=text)
        record = RunRecord(id=RunId("r"), minted=False, prompt=prompt, position=1, accepted_at=5)
        return replace(record, **changes)

    def test_a_run_that_waits_has_no_end(self) -> None:
        wanted = {"run_id": "r", "session_id": "s", "state": "queued", "prompt": "hi", "accepted_at": 5}
        self.assertEqual(shown(self.record(), "queued"), wanted)

    def test_a_run_shows_its_end_where_it_has_one(self) -> None:
        end = RunEnd(
            outcome=Outcome.CANCELLED,
            message_id=MessageId("m"),
            text="half",
            reason="User canceled request",
            source="user",
            ended_at=9,
        )
        self.assertEqual(
            shown(self.record(began_at=6, end=end), "ended"),
            {
                "run_id": "r",
                "session_id": "s",
                "state": "ended",
                "prompt": "hi",
                "accepted_at": 5,
                "began_at": 6,
                "outcome": "cancelled",
                "message_id": "m",
                "text": "half",
                "reason": "User canceled request",
                "source": "user",
                "ended_at": 9,
            },
        )

    def test_of_a_long_prompt_its_beginning_is_shown(self) -> None:
        self.assertEqual(shown(self.record("é" * EXCERPT), "active")["prompt"], "é" * EXCERPT)
        self.assertEqual(shown(self.record("é" * 10_000), "active")["prompt"], "é" * (EXCERPT - 1) + "…")
