"""What everybody hears when runs end: one `run_complete` each, in one order."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import ProviderError
from txcrush.model.runs import WhenBusy
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness
from txcrush.testing.scripted_provider import Call, Fail, Hang, Wait
from txcrush.testing.scripted_tool import ScriptedTool

REFUSED = ProviderError("that was nothing", title="Bad Request", status=400)


class EventsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.tool = ScriptedTool("look")
        self.harness = Harness(tools=[self.tool])
        self.provider = self.harness.provider
        self.talk = Conversation(self.harness)

    def told(self) -> list[tuple[str, Any]]:
        """The kinds of the events, each with what tells it from its like."""
        marks = {"agent_event": "type", "run_complete": "run_id", "message": "role"}
        return [(kind, payload.get(marks.get(kind, ""))) for kind, _, payload in self.talk.listener.events]

    def only(self) -> dict[str, Any]:
        """The one `run_complete`."""
        (payload,) = self.talk.completions()
        return payload


class Shapes(EventsCase):
    def test_r_rc_21_a_completed_run_tells_its_text_and_message(self) -> None:
        self.provider.add("hello")
        self.talk.prompt("hi", "r1")
        self.assertEqual(
            self.only(),
            {
                "session_id": self.talk.session_id,
                "run_id": "r1",
                "message_id": self.talk.messages()[-1].id,
                "text": "hello",
            },
        )
        self.assertEqual(self.talk.listener.events[-1][:2], ("run_complete", "updated"))

    def test_without_a_run_id_the_event_has_none(self) -> None:
        self.provider.add("hello")
        self.talk.prompt("hi")
        self.assertNotIn("run_id", self.only())

    def test_r_rc_16_and_r_rc_21_a_cancelled_turn_tells_both_error_and_cancelled(self) -> None:
        self.provider.add("partial", Hang())
        self.talk.prompt("hi", "r1")
        self.talk.cancel()
        last = self.talk.messages()[-1].id
        wanted = {"message_id": last, "text": "partial", "error": "context canceled", "cancelled": True}
        self.assertEqual(self.only(), {"session_id": self.talk.session_id, "run_id": "r1", **wanted})

    def test_r_rc_20_an_error_tells_its_text_run_and_session(self) -> None:
        self.provider.add(Fail(REFUSED))
        self.talk.prompt("hi", "r1")
        (event,) = self.talk.errors()
        self.assertEqual(event["error"], "bad request: that was nothing")
        self.assertEqual((event["run_id"], event["session_id"]), ("r1", self.talk.session_id))
        self.assertEqual((self.only()["error"], "cancelled" in self.only()), ("bad request: that was nothing", False))

    def test_r_rc_04_a_run_cancelled_on_entry_is_cancelled_without_an_error(self) -> None:
        self.talk.store.hold()
        self.talk.prompt("hi", "r1")
        self.talk.cancel()
        self.talk.store.release()
        complete = self.only()
        self.assertEqual((complete["run_id"], complete["session_id"]), ("r1", self.talk.session_id))
        self.assertTrue(complete["cancelled"])
        self.assertNotIn("error", complete)

    def test_a_finished_turn_tells_the_sessions_title(self) -> None:
        self.provider.add("hello")
        self.talk.prompt("hi")
        (event,) = self.talk.listener.of("agent_event")
        self.assertEqual((event["type"], event["session_title"]), ("agent_finished", "A Title"))


class Order(EventsCase):
    def test_r_rc_03_the_last_message_then_agent_finished_then_run_complete(self) -> None:
        self.provider.add("hello")
        self.talk.prompt("hi", "r1")
        last = [("message", "assistant"), ("agent_event", "agent_finished"), ("run_complete", "r1")]
        self.assertEqual(self.told()[-3:], last)

    def test_the_same_order_after_an_error(self) -> None:
        self.provider.add(Fail(REFUSED))
        self.talk.prompt("hi", "r1")
        last = [("message", "assistant"), ("agent_event", "error"), ("run_complete", "r1")]
        self.assertEqual(self.told()[-3:], last)

    def test_growing_text_is_out_before_the_end_and_never_after_it(self) -> None:
        self.provider.add("a", "b", "c", Wait(), "d")
        self.talk.prompt("hi", "r1")
        self.provider.proceed()
        self.harness.clock.advance(60)
        self.assertEqual(self.told()[-1], ("run_complete", "r1"))
        self.assertEqual(self.talk.listener.of("message")[-1]["parts"][0]["data"]["text"], "abcd")

    def test_r_rc_14_a_turns_event_comes_before_the_next_turn_begins(self) -> None:
        self.provider.add(Wait(), "a")
        self.provider.add("b")
        self.talk.prompt("one", "r1")
        self.talk.prompt("two", "r2")
        self.provider.proceed()
        ends = self.told()
        self.assertLess(ends.index(("run_complete", "r1")), len(ends) - 1 - ends[::-1].index(("message", "user")))

    def test_a_client_that_asks_on_agent_finished_finds_the_session_free(self) -> None:
        free: list[bool] = []
        deliver = self.talk.listener.deliver

        def listen(frame):  # type: ignore[no-untyped-def]
            deliver(frame)
            if self.told()[-1] == ("agent_event", "agent_finished"):
                free.append(not self.talk.is_busy)

        self.talk.listener.deliver = listen  # type: ignore[method-assign]
        self.provider.add("hello")
        self.talk.prompt("hi")
        self.assertEqual(free, [True])


class ExactlyOnce(EventsCase):
    def test_r_rc_01_one_event_whichever_way_a_run_ends(self) -> None:
        self.provider.add("ran")
        self.talk.prompt("a", "ran")
        self.provider.add(Wait(), "first")
        self.provider.add("from the queue")
        self.talk.prompt("b", "first")
        self.talk.prompt("c", "queued")
        self.provider.proceed()
        self.provider.add(Hang())
        self.talk.prompt("d", "cancelled")
        self.talk.prompt("e", "dropped")
        self.talk.cancel()
        self.provider.add(Wait())
        self.talk.prompt("f", "busy")
        self.talk.prompt("g", "cleared")
        self.talk.workspace.runs.clear(self.talk.session_id)
        self.provider.proceed()
        self.talk.store.hold()
        self.talk.prompt("h", "on entry")
        self.talk.cancel()
        self.talk.store.release()
        self.provider.add(Fail(REFUSED))
        self.talk.prompt("i", "failed")
        self.harness.clock.advance(60)
        told = [one["run_id"] for one in self.talk.completions()]
        names = ["ran", "first", "queued", "cancelled", "dropped", "busy", "cleared", "on entry", "failed"]
        self.assertCountEqual(told, names)

    def test_r_rc_07_a_dropped_prompt_is_told_of_once_with_and_without_run_id(self) -> None:
        self.provider.add(Wait(), "a")
        self.talk.prompt("one", "r1")
        self.talk.prompt("two", "r2")
        self.talk.prompt("three", when_busy=WhenBusy.QUEUE)
        self.talk.workspace.runs.clear(self.talk.session_id)
        self.talk.workspace.runs.clear(self.talk.session_id)
        told = [(one.get("run_id"), one["cancelled"], one.get("error")) for one in self.talk.completions()]
        self.assertEqual(told, [("r2", True, None), (None, True, None)])

    def test_r_rc_08_a_folded_prompt_shares_the_event_of_the_turn_that_took_it_in(self) -> None:
        self.provider.add(Wait(), Call("c1", "look"))
        self.provider.add("end")
        self.talk.prompt("one", "r1")
        self.talk.prompt("two")
        self.talk.prompt("three", "r3", WhenBusy.STEER)
        self.provider.proceed()
        self.tool.answer("c1")
        told = [(one.get("run_id"), one["text"]) for one in self.talk.completions()]
        self.assertEqual(told, [("r1", "end"), ("r3", "end")])

    def test_r_rc_09_and_r_rc_18_an_error_before_the_agent_runs_is_told_of(self) -> None:
        self.talk.workspace.settings.config.models.clear()
        self.talk.prompt("hi", "r1")
        complete = self.only()
        self.assertEqual(complete["error"], "failed to update models: large model not selected")
        self.assertEqual((complete["run_id"], "cancelled" in complete), ("r1", False))
        self.assertEqual((len(self.talk.errors()), self.talk.lines()), (1, []))

    def test_r_rc_10_a_failed_turn_is_told_of_once(self) -> None:
        self.provider.add("partial", Fail(REFUSED))
        self.talk.prompt("hi", "r1")
        self.assertEqual((len(self.talk.completions()), len(self.talk.errors())), (1, 1))

    def test_r_rc_11_a_cancel_is_no_error_of_the_agent(self) -> None:
        self.provider.add(Hang())
        self.talk.prompt("hi", "r1")
        self.talk.cancel()
        self.assertEqual(self.talk.listener.of("agent_event"), [])

    def test_r_rc_13_a_turn_that_is_tried_again_is_told_of_once(self) -> None:
        self.provider.add("x", Fail(ProviderError("busy", status=429, retryable=True)))
        self.provider.add("y")
        self.talk.prompt("hi", "r1")
        self.assertEqual(self.talk.completions(), [])
        self.harness.clock.advance(5)
        self.assertEqual(self.only()["text"], "y")

    def test_r_rc_15_turns_without_run_id_are_told_of_one_by_one(self) -> None:
        self.provider.add(Wait(), "a")
        self.provider.add("b")
        self.talk.prompt("one")
        self.talk.prompt("two", when_busy=WhenBusy.QUEUE)
        self.provider.proceed()
        self.assertEqual([one["text"] for one in self.talk.completions()], ["a", "b"])

    def test_r_rc_02_the_event_is_in_the_durable_log(self) -> None:
        self.provider.add("a")
        self.talk.prompt("hi", "r1")
        logged = now(self.talk.store.events_after(0, 1000))
        self.assertEqual([one.key for one in logged if one.kind == "run_complete"], ["r1"])
