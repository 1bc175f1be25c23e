"""The parts of the description that are text."""

from typing import Any

from msgspec import Struct
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import BadRequest, SessionBusy, SessionNotFound
from txcrush.testing.answer import parse_value
from txcrush.wire.openapi import Operation, Tag, document, parameters_of, summary_and_rest, templated
from txcrush.wire.parameters import OneRead, OutcomeLabel


class Thing(Struct):
    """A thing.

    `size` is in bytes."""

    size: int = 3
    free: object = None


def described(**more: object) -> dict[str, Any]:
    known: dict[str, Any] = {
        "method": "GET",
        "path": "/v1/things",
        "tag": "things",
        "name": "get",
        "doc": "Read it.",
        "answers": {200: None},
    }
    operation = Operation(**{**known, **more})
    whole: dict[str, Any] = parse_value(document([operation], [Tag("things", "All of them")], "1.2.3").decode())
    return whole


def operation(**more: object) -> dict[str, Any]:
    (methods,) = described(**more)["paths"].values()
    (found,) = methods.values()
    return dict(found)


class Texts(SynchronousTestCase):
    def test_the_first_sentence_is_the_summary(self) -> None:
        for doc, expected in (
            ("Read it.", ("Read it", "")),
            ("Read it. All of it.", ("Read it", "All of it.")),
            ("Read it\nall. More\nof it.\n\nAnd on.", ("Read it all", "More of it.\n\nAnd on.")),
            ("", ("", "")),
        ):
            self.assertEqual(summary_and_rest(doc), expected)

    def test_paths_are_written_as_openapi_has_them(self) -> None:
        self.assertEqual(templated("/v1/<a_id>/x/<path:b_id>"), "/v1/{a_id}/x/{b_id}")
        self.assertEqual(parameters_of("/v1/<a_id>/x/<path:b_id>"), ["a_id", "b_id"])


class Operations(SynchronousTestCase):
    def test_parameters_have_type_place_and_description(self) -> None:
        found = operation(path="/v1/<session_id>", query=OneRead)["parameters"]
        self.assertEqual(
            [(one["name"], one["in"], one["required"]) for one in found],
            [("session_id", "path", True), ("session_id", "query", False), ("path", "query", False)],
        )
        self.assertTrue(all(one["description"] and one["schema"] == {"type": "string"} for one in found))

    def test_a_route_has_its_own_errors_by_status_and_those_of_any(self) -> None:
        responses = operation(errors=(SessionBusy, SessionNotFound, BadRequest))["responses"]
        self.assertEqual(responses["409"]["description"], "`session is busy`")
        self.assertIn("`sql: no rows in result set`", responses["500"]["description"])
        self.assertNotIn("`", responses["400"]["description"])
        self.assertEqual(responses["401"], {"$ref": "#/components/responses/401"})

    def test_a_type_is_described_by_its_docstring_and_free_values_are_free(self) -> None:
        whole = described(answers={200: list[Thing]}, labels=OutcomeLabel)
        schema = whole["components"]["schemas"]["Thing"]
        self.assertEqual(schema["properties"]["size"], {"type": "integer", "default": 3})
        self.assertEqual(schema["properties"]["free"], {"description": "Any value.", "default": None})
        self.assertNotIn("OutcomeLabel", whole["components"]["schemas"])

    def test_a_body_may_be_left_out_where_that_is_allowed(self) -> None:
        self.assertFalse(operation(method="POST", body=Thing, optional_body=True)["requestBody"]["required"])
        self.assertTrue(operation(method="POST", body=Thing)["requestBody"]["required"])
