"""Client ids: what is taken for one, and in which words others are refused."""

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from txcrush.http.client_ids import body_client_id, query_client_id
from txcrush.http.routing import Call
from txcrush.model.errors import BadRequest

PLAIN = "0fb6dd50-4b6e-4a6d-9c8f-6f1f0d1b2a3c"
ACCEPTED = (
    PLAIN,
    PLAIN.upper(),
    PLAIN.replace("-", ""),
    f"{{{PLAIN}}}",
    f"urn:uuid:{PLAIN}",
    f"URN:UUID:{PLAIN}",
    "00000000-0000-0000-0000-000000000000",
)
REFUSED = (
    ("x", "invalid UUID length: 1"),
    (PLAIN + "0", "invalid UUID length: 37"),
    (PLAIN[:-1], "invalid UUID length: 35"),
    ("é" * 7, "invalid UUID length: 14"),
    (PLAIN.replace("-", "_"), "invalid UUID format"),
    (PLAIN.replace("0", "g"), "invalid UUID format"),
    (PLAIN.replace("-", "0"), "invalid UUID format"),
    (f"({PLAIN})", "invalid UUID format"),
    (f"urn:guid:{PLAIN}", "invalid UUID format"),
    ("z" * 32, "invalid UUID format"),
    (PLAIN[:-1] + "\n", "invalid UUID format"),
)


class _Request:
    def __init__(self, value: str | None) -> None:
        self.args = {} if value is None else {b"client_id": [value.encode()]}


def by_query(value: str | None) -> str:
    return query_client_id(Call(cast(Any, _Request(value)), {}, None))


class ClientIds(SynchronousTestCase):
    def test_every_spelling_of_a_uuid_is_taken_as_it_was_written(self) -> None:
        for text in ACCEPTED:
            self.assertEqual(body_client_id(text), text)
            self.assertEqual(by_query(text), text)

    def test_a_body_says_what_is_wrong_with_it(self) -> None:
        self.assertEqual(str(self.assertRaises(BadRequest, body_client_id, "")), "invalid client_id")
        for text, problem in REFUSED:
            error = self.assertRaises(BadRequest, body_client_id, text)
            self.assertEqual(str(error), f"invalid client_id: {problem}")

    def test_a_query_says_only_that_it_is_wrong(self) -> None:
        for missing in (None, ""):
            self.assertEqual(str(self.assertRaises(BadRequest, by_query, missing)), "client_id is required")
        for text, _ in REFUSED:
            self.assertEqual(str(self.assertRaises(BadRequest, by_query, text)), "client_id is not a valid UUID")
