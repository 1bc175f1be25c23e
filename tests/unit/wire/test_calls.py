"""Calls of the past in a form that providers take."""

import json

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.providers import AssistantCall, AssistantTurn, CallResult, ResultsTurn, Turn, UserTurn
from txcrush.wire.calls import any_id, arguments_object, arguments_text, safe_id, with_legal_calls


def called(*call_ids: str, name: str = "ls") -> AssistantTurn:
    return AssistantTurn(calls=tuple(AssistantCall(call_id, name, "{}") for call_id in call_ids))


def answered(*call_ids: str) -> ResultsTurn:
    return ResultsTurn(tuple(CallResult(call_id, "ls", f"of {call_id}") for call_id in call_ids))


def ids(turns: list[Turn]) -> list[list[str]]:
    """The ids in each turn, of calls or of results."""
    found = []
    for turn in turns:
        if isinstance(turn, AssistantTurn):
            found.append([call.id for call in turn.calls])
        if isinstance(turn, ResultsTurn):
            found.append([result.call_id for result in turn.results])
    return found


def safe(*turns: Turn) -> list[Turn]:
    return list(with_legal_calls(turns, safe_id, unique_throughout=True))


class IdTests(SynchronousTestCase):
    def test_legal_ids_stay_as_they_are(self) -> None:
        turns: list[Turn] = [UserTurn("x"), called("toolu_1", "call-2"), answered("toolu_1", "call-2")]
        self.assertEqual(safe(*turns), turns)

    def test_a_call_and_its_result_get_the_same_legal_id(self) -> None:
        turns = safe(called("functions.ls:0", "é", ""), answered("é", "", "functions.ls:0"))
        self.assertEqual(ids(turns), [["functions_ls_0", "_", "call"], ["_", "call", "functions_ls_0"]])

    def test_ids_that_become_the_same_are_told_apart(self) -> None:
        turns = safe(called("a.b", "a:b", "a_b"), answered("a_b", "a:b", "a.b"))
        self.assertEqual(ids(turns), [["a_b", "a_b_2", "a_b_3"], ["a_b_3", "a_b_2", "a_b"]])
        (_, results) = turns
        assert isinstance(results, ResultsTurn)
        self.assertEqual([result.text for result in results.results], ["of a_b", "of a:b", "of a.b"])

    def test_an_id_that_a_later_turn_uses_again_gets_a_number_where_that_matters(self) -> None:
        turns = [called("c"), answered("c"), called("c"), answered("c")]
        self.assertEqual(ids(safe(*turns)), [["c"], ["c"], ["c_2"], ["c_2"]])
        once = list(with_legal_calls(turns, any_id, unique_throughout=False))
        self.assertEqual(ids(once), [["c"]] * 4)

    def test_an_id_twice_in_one_turn_is_told_apart_on_every_wire(self) -> None:
        turns = list(with_legal_calls([called("c", "c", ""), answered("c", "c", "")], any_id, unique_throughout=False))
        self.assertEqual(ids(turns), [["c", "c_2", "call"], ["c", "c_2", "call"]])

    def test_results_of_no_call_are_left_out(self) -> None:
        self.assertEqual(
            safe(answered("c"), called("d"), answered("e", "d"), answered("d")), safe(called("d"), answered("d"))
        )


class NameTests(SynchronousTestCase):
    def test_names_are_made_legal(self) -> None:
        for name, legal in (
            ("mcp_a-b", "mcp_a-b"),
            ("no.such tool", "no_such_tool"),
            ("", "unknown"),
            ("x" * 70, "x" * 64),
        ):
            (turn,) = safe(called("c", name=name))
            assert isinstance(turn, AssistantTurn)
            self.assertEqual(turn.calls[0].name, legal)


class ArgumentTests(SynchronousTestCase):
    def test_an_object_stays_as_it_was_written(self) -> None:
        for text in ('{"path": ".",  "n": 1e3}', "{}", '{"a": {"b": [null]}}'):
            self.assertEqual(arguments_text(text), text)
            self.assertEqual(msgspec.json.decode(msgspec.json.encode(arguments_object(text))), json.loads(text))

    def test_what_is_no_object_is_an_empty_one(self) -> None:
        for text in ("", "[1]", "null", "{nope", '{"a": 1} trailing', "7", '{"a":' * 100_000, '{"a": NaN}'):
            self.assertEqual(arguments_text(text), "{}")
            self.assertEqual(arguments_object(text), {})

    def test_half_of_a_surrogate_pair_does_not_go_out(self) -> None:
        self.assertEqual(arguments_object('{"a": "\\ud83d"}'), {"a": "\ufffd"})
        self.assertEqual(arguments_object('{"a": "\\ud83d\\ude00"}'), {"a": "\U0001f600"})
        self.assertEqual(arguments_object('{"a": "\\ud83d"'), {})
