"""Requests as text, and typed lines as answers."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.cli._forms import SHOWN_LINES, permission, question, response, title

CHOICES = [{"id": "a", "label": "Apple"}, {"id": "b", "label": "Pear", "description": "green"}]


def asked(kind: str, **fields: Any) -> dict[str, Any]:
    return {"id": "q", "type": kind, "question": "Which?", **fields}


class Permissions(SynchronousTestCase):
    request = {"tool_name": "edit", "description": "Replace content in file /p/a", "path": "/p"}

    def test_everything_that_there_is_to_decide_on_is_shown(self) -> None:
        params = {"file_path": "/p/a", "old_content": "", "new_content": "one\ntwo", "limit": 0, "ignore": None}
        self.assertEqual(
            permission({**self.request, "params": params}),
            [
                "the edit tool asks: Replace content in file /p/a",
                "  in /p",
                "  file_path: /p/a",
                "  new_content:",
                "    one",
                "    two",
            ],
        )

    def test_a_long_content_is_cut_and_says_so(self) -> None:
        lines = permission({**self.request, "params": {"new_content": "\n".join("x" * (SHOWN_LINES + 5))}})
        self.assertEqual((len(lines), lines[-1]), (SHOWN_LINES + 4, "    … and 5 lines more"))

    def test_params_may_be_missing_or_a_text_or_hold_objects(self) -> None:
        self.assertEqual(len(permission({**self.request, "params": None})), 2)
        self.assertEqual(permission({**self.request, "params": '{"a":1}'})[-1], '  {"a":1}')
        self.assertEqual(permission({**self.request, "params": {"a": {"b": [1]}}})[-1], '  a: {"b":[1]}')

    def test_a_title_is_short(self) -> None:
        self.assertEqual(title("permission_request", self.request), "edit: Replace content in file /p/a")
        self.assertEqual(title("question_batch_request", {"questions": [1, 2]}), "2 questions")


class Questions(SynchronousTestCase):
    def test_choices_are_numbered(self) -> None:
        shown = question(asked("single_choice", description="one of", choices=CHOICES))
        self.assertEqual(shown, ["Which?", "  one of", "  1. Apple", "  2. Pear - green"])

    def test_what_typed_lines_mean(self) -> None:
        meant: list[tuple[dict[str, Any], str, dict[str, Any] | None]] = [
            (asked("yes_no"), "Yes", {"yes": True}),
            (asked("yes_no"), "n", {"yes": False}),
            (asked("yes_no"), "perhaps", None),
            (asked("free_text"), " words ", {"fill_in_text": "words"}),
            (asked("single_choice", choices=CHOICES), "2", {"selected_ids": ["b"]}),
            (asked("single_choice", choices=CHOICES), "1, 2", None),
            (asked("single_choice", choices=CHOICES), "3", None),
            (asked("single_choice", choices=CHOICES), "neither", {"fill_in_text": "neither"}),
            (asked("multi_choice", choices=CHOICES), "1,2", {"selected_ids": ["a", "b"]}),
            (asked("multi_choice", choices=CHOICES), "0", None),
            (asked("yes_no"), "", {}),
            (asked("multi_choice", choices=CHOICES), " ", {}),
        ]
        for one, typed, expected in meant:
            with self.subTest(kind=one["type"], typed=typed):
                answer = None if expected is None else {"request_id": "q", **expected}
                self.assertEqual(response(one, typed), answer)
