"""The desk's book."""

from tests.unit.core.test_permissions import ALICE, DeskCase
from txcrush.core.desk_book import KEPT_CHARACTERS, shortened
from txcrush.model.errors import StorageFailed
from txcrush.model.permissions import Verdict
from txcrush.testing.conversation import now


class BookTests(DeskCase):
    def test_a_line_says_what_was_asked_who_answered_what_and_when(self) -> None:
        self.ask()
        self.harness.clock.advance(7)
        self.answer(Verdict.ALLOW_SESSION)
        (entry,) = self.book()
        self.assertEqual((entry.kind, entry.session_id, entry.tool_call_id), ("permission", self.talk.session_id, "c1"))
        self.assertEqual((entry.outcome, entry.by), ("granted_for_session", "client"))
        self.assertEqual((entry.client_id, entry.via), ("alice", "unix"))
        self.assertEqual(entry.settled_at - entry.asked_at, 7)
        self.assertEqual(
            entry.subject,
            {
                "tool_name": "bash",
                "action": "execute",
                "description": "Execute command: x",
                "path": "/project",
                "params": {"command": "x"},
            },
        )

    def test_a_line_is_pending_until_somebody_settles_it(self) -> None:
        self.ask()
        (entry,) = self.book()
        self.assertEqual((entry.outcome, entry.by, entry.settled_at), ("pending", "", 0))

    def test_long_texts_are_cut(self) -> None:
        text = "x" * (KEPT_CHARACTERS + 1)
        cut = f"{'x' * KEPT_CHARACTERS}… ({KEPT_CHARACTERS + 1} characters)"
        self.ask(params={"old_content": text, "edits": [{"new": text}], "n": 1, "none": None})
        self.assertEqual(
            self.book()[0].subject["params"], {"old_content": cut, "edits": [{"new": cut}], "n": 1, "none": None}
        )
        self.assertEqual(shortened((1, text[1:])), [1, text[1:]])
        self.assertEqual(self.desk.pending()[0].params["old_content"], text)  # type: ignore[index]

    def test_known_secrets_are_not_kept_even_where_a_text_is_cut(self) -> None:
        def redact(text: str) -> str:
            return text.replace("sk-secret", "[redacted]")

        self.assertEqual(shortened({"a": ["x sk-secret", 1]}, redact), {"a": ["x [redacted]", 1]})
        across = "x" * (KEPT_CHARACTERS - 4) + "sk-secret" + "y" * 10
        self.assertNotIn("sk-", str(shortened(across, redact)))

    def test_a_gap_in_the_book_holds_nobody_up(self) -> None:
        now(self.desk.policies.switch(True, ALICE))
        self.talk.store.fail_next(StorageFailed("disk full"))
        self.assertTrue(now(self.ask()))
