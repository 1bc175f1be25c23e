"""The tool calls of one step."""

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.toolbox import NOT_JSON, PARALLEL, Done, Place, Toolbox
from txcrush.model.errors import Failed, StorageFailed
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall, ToolResult
from txcrush.model.tools import ToolUse
from txcrush.testing.scripted_tool import ScriptedTool
from txcrush.wire.json import parse_object
from txcrush.wire.repair import repaired_object

PLACE = Place(SessionId("s"), MessageId("m"), False, "Large")


def mend(text: str) -> "Deferred[str | None]":
    return succeed(repaired_object(text))


def call(call_id: str, name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(call_id, name, arguments, finished=True)


class ToolboxCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.one = ScriptedTool("one", required=("path",))
        self.side = ScriptedTool("side", parallel=True)
        self.last = ScriptedTool("last")
        self.toolbox = Toolbox([self.one, self.side, self.last], parse_object, mend)
        self.kept: list[ToolResult] = []

    def keep(self, result: ToolResult) -> Deferred[None]:
        self.kept.append(result)
        return succeed(None)

    def run_calls(self, *calls: ToolCall) -> "Deferred[Done]":
        return Deferred.fromCoroutine(self.toolbox.run(calls, PLACE, self.keep))

    def refused(self, made: ToolCall) -> str:
        """The error that the model is told of; the step goes on."""
        (result,) = self.successResultOf(self.run_calls(made)).results
        self.assertTrue(result.is_error)
        return result.content


class Context(ToolboxCase):
    def test_t_ctx_01_a_tool_is_told_where_its_call_stands(self) -> None:
        self.run_calls(call("a", "last", '{"n":1}'))
        (use,) = self.last.uses
        told = (use.session_id, use.message_id, use.supports_images, use.model_name, use.arguments)
        self.assertEqual(told, ("s", "m", False, "Large", {"n": 1}))
        bare = ToolUse(call=use.call, arguments={}, session_id=SessionId(""), message_id=MessageId(""))
        self.assertEqual((bare.supports_images, bare.model_name), (False, ""))


class Order(ToolboxCase):
    def test_those_in_sequence_run_one_at_a_time_in_order(self) -> None:
        done = self.run_calls(call("a", "last"), call("b", "last"))
        self.assertEqual(self.last.running, ["a"])
        self.last.answer("a")
        self.assertEqual(self.last.running, ["b"])
        self.last.answer("b")
        self.assertEqual([result.tool_call_id for result in self.successResultOf(done).results], ["a", "b"])

    def test_at_most_five_run_side_by_side_and_are_kept_as_they_come(self) -> None:
        done = self.run_calls(*(call(str(number), "side") for number in range(PARALLEL + 2)))
        self.assertEqual(self.side.running, ["0", "1", "2", "3", "4"])
        self.side.answer("3")
        self.assertEqual(self.side.running, ["0", "1", "2", "4", "5"])
        for number in ("5", "0", "6", "1", "2", "4"):
            self.side.answer(number)
        self.successResultOf(done)
        self.assertEqual([result.tool_call_id for result in self.kept], ["3", "5", "0", "6", "1", "2", "4"])

    def test_one_in_sequence_does_not_wait_for_those_beside_it_but_holds_up_the_rest(self) -> None:
        done = self.run_calls(call("a", "side"), call("b", "last"), call("c", "side"))
        self.assertEqual((self.side.running, self.last.running), (["a"], ["b"]))
        self.last.answer("b")
        self.assertEqual(self.side.running, ["a", "c"])
        self.side.answer("c")
        self.assertNoResult(done)
        self.side.answer("a")
        self.assertEqual(len(self.successResultOf(done).results), 3)

    def test_a_tool_knows_its_place(self) -> None:
        done = self.run_calls(call("a", "one", '{"path": "x"}'))
        self.one.answer("a")
        self.successResultOf(done)
        (use,) = self.one.uses
        self.assertEqual(
            (use.arguments, use.session_id, use.message_id, use.model_name), ({"path": "x"}, "s", "m", "Large")
        )


class Refusing(ToolboxCase):
    def test_an_unknown_tool_is_named_with_those_that_there_are(self) -> None:
        self.assertEqual(self.refused(call("a", "none")), "tool not found: none. Available tools: last, one, side")

    def test_input_that_is_no_object_is_refused(self) -> None:
        for arguments in ("", "{", "[]", "1", "null"):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.refused(call("a", "one", arguments)), NOT_JSON)
                self.assertFalse(self.toolbox.is_readable(call("a", "one", arguments)))

    def test_a_missing_parameter_is_named(self) -> None:
        self.assertEqual(self.refused(call("a", "one")), "missing required parameter: path")
        self.assertEqual(self.one.uses, [])

    def test_a_crash_is_a_result_and_is_logged(self) -> None:
        done = self.run_calls(call("a", "last"), call("b", "last"))
        self.last.fail("a", ZeroDivisionError("oh"))
        self.last.answer("b")
        first, second = self.successResultOf(done).results
        self.assertEqual((first.is_error, second.is_error), (True, False))
        self.assertIn("ZeroDivisionError", first.content)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_failure_of_the_tool_is_kept_and_fails_the_turn_after_the_others(self) -> None:
        done = self.run_calls(call("a", "last"), call("b", "last"))
        self.last.fail("a", Failed("broken"))
        self.last.answer("b")
        result = self.successResultOf(done)
        self.assertEqual(str(result.error), "broken")
        self.assertEqual([one.content for one in self.kept], ["broken", "done"])

    def test_a_result_may_stop_the_turn(self) -> None:
        done = self.run_calls(call("a", "last"))
        self.last.answer("a", stop_turn=True)
        self.assertTrue(self.successResultOf(done).stop_turn)

    def test_what_is_not_on_offer_is_not_told_of(self) -> None:
        self.assertEqual([spec.name for spec in self.toolbox.without(["side"]).specs()], ["last", "one"])


class Stopping(ToolboxCase):
    def test_cancelling_cancels_all_and_waits_until_they_have_ended(self) -> None:
        stubborn = ScriptedTool("slow", parallel=True, stubborn=True)
        self.toolbox = Toolbox([stubborn, self.side, self.last], parse_object, mend)
        done = self.run_calls(call("a", "slow"), call("b", "side"), call("c", "last"), call("d", "last"))
        done.cancel()
        self.assertNoResult(done)
        self.assertEqual((stubborn.cancelled, self.side.cancelled, self.last.cancelled), (["a"], ["b"], ["c"]))
        stubborn.answer("a", "cleaned up")
        self.failureResultOf(done, CancelledError)
        self.assertEqual([result.content for result in self.kept], ["cleaned up"])
        self.assertEqual(self.last.uses[-1].call.id, "c")

    def test_those_that_wait_for_their_turn_never_start(self) -> None:
        done = self.run_calls(*(call(str(number), "side") for number in range(PARALLEL + 2)))
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.assertEqual(len(self.side.uses), PARALLEL)

    def test_a_result_that_cannot_be_kept_stops_the_others_and_fails_by_its_own_name(self) -> None:
        self.keep = lambda _: fail(StorageFailed("full"))  # type: ignore[method-assign, assignment]
        for name, tool in (("side", self.side), ("last", self.last)):
            with self.subTest(tool=name):
                done = self.run_calls(call("a", "side"), call("b", name))
                tool.answer("b")
                self.failureResultOf(done, StorageFailed)
                self.assertEqual(self.side.running, [])
