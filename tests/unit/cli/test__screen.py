"""What a terminal shows of a run, from the events that a stream carries."""

from io import StringIO
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.cli._screen import JsonLines, Terminal, Watcher
from txcrush.cli._stream import StreamedEvent
from txcrush.wire.json import parse_object

SESSION = "s"


def message(role: str, *parts: tuple[str, dict[str, Any]], of: str = SESSION, number: int = 1) -> StreamedEvent:
    body = {"role": role, "session_id": of, "id": f"m{number}", "parts": [{"type": k, "data": d} for k, d in parts]}
    return StreamedEvent("message", "updated", body)


def said(text: str, number: int = 1) -> StreamedEvent:
    return message("assistant", ("text", {"text": text}), number=number)


class Terminals(StringIO):
    def isatty(self) -> bool:
        return True


class Shown(SynchronousTestCase):
    def setUp(self) -> None:
        self.out, self.err = StringIO(), StringIO()
        self.watch(Terminal(self.out, self.err, quiet=False, colours=False))

    def watch(self, screen: Terminal | JsonLines) -> None:
        self.screen = screen
        self.watcher = Watcher(screen, SESSION, "hi")

    def finish(self, end: dict[str, Any]) -> None:
        self.watcher.show_rest(end)
        self.screen.end(end)

    def prompted(self) -> None:
        self.watcher.take(message("user", ("text", {"text": "hi"}), number=0))

    def test_a_growing_answer_is_shown_once(self) -> None:
        self.prompted()
        for text in ("Hel", "Hello", "Hello"):
            self.watcher.take(said(text))
        self.finish({"message_id": "m1", "text": "Hello there"})
        self.assertEqual(self.out.getvalue(), "Hello there\n")

    def test_promise_89_what_a_newer_server_adds_is_passed_over(self) -> None:
        self.prompted()
        for newer in (
            StreamedEvent("from_the_future", "created", {"session_id": SESSION, "x": [1]}),
            StreamedEvent("message", "merged", said("Hi").payload),
            message("oracle", ("text", {"text": "not for us"}), number=3),
            message("assistant", ("hologram", {"x": 1}), ("text", {"text": "Hi", "tone": "kind"}), number=1),
            StreamedEvent("session", "updated", {"id": SESSION, "from_the_future": {}}),
        ):
            self.watcher.take(newer)
        self.finish({"message_id": "m1", "text": "Hi there", "from_the_future": 1})
        self.assertEqual(self.out.getvalue(), "Hi there\n")

    def test_what_is_said_before_our_prompt_or_elsewhere_is_not_ours(self) -> None:
        self.watcher.take(said("to somebody else"))
        self.prompted()
        self.watcher.take(message("assistant", ("text", {"text": "elsewhere"}), of="other", number=2))
        self.assertEqual(self.out.getvalue(), "")

    def test_promise_18_that_the_model_has_gone_quiet_is_shown(self) -> None:
        for session in ("another", SESSION):
            event = {"type": "stalled", "session_id": session, "progress": f"nothing new in {session}"}
            self.watcher.take(StreamedEvent("agent_event", "created", event))
        self.assertIn(f"nothing new in {SESSION}", self.err.getvalue())
        self.assertNotIn("another", self.err.getvalue())

    def test_a_run_whose_events_were_missed_is_shown_by_its_end(self) -> None:
        self.finish({"message_id": "m9", "text": "all of it"})
        self.assertEqual(self.out.getvalue(), "all of it\n")

    def test_an_answer_that_begins_anew_begins_a_line(self) -> None:
        self.prompted()
        self.watcher.take(said("a first try"))
        self.watcher.take(said("another"))
        self.assertEqual(self.out.getvalue(), "a first try\nanother")

    def test_the_texts_of_several_steps_are_lines_of_their_own_with_tools_aside(self) -> None:
        self.prompted()
        call = ("tool_call", {"id": "c", "name": "todos", "input": "{}", "finished": True})
        self.watcher.take(message("assistant", ("text", {"text": "one"}), call))
        self.watcher.take(message("assistant", ("text", {"text": "one"}), call))
        self.watcher.take(said("two", number=2))
        self.assertEqual(self.out.getvalue(), "one\ntwo")
        self.assertEqual(self.err.getvalue(), "· todos {}\n")

    def test_what_the_session_held_before_is_not_ours(self) -> None:
        self.watcher = Watcher(Terminal(self.out, self.err, quiet=False, colours=False), SESSION, "hi", {"m0", "m1"})
        self.prompted()
        self.watcher.take(said("an older answer to the same prompt"))
        self.assertEqual(self.out.getvalue(), "")

    def test_the_empty_lines_that_begin_an_answer_are_left_out(self) -> None:
        self.prompted()
        for text in ("\n", "\n\n yes", "\n\n yes\n\nno"):
            self.watcher.take(said(text))
        self.assertEqual(self.out.getvalue(), "yes\n\nno")

    def test_a_pipe_gets_every_byte_and_a_terminal_none_that_it_would_obey(self) -> None:
        for make, shown in ((StringIO, "a\x1b[2Jb\tc\n"), (Terminals, "a[2Jb\tc\n")):
            self.out = make()
            self.watch(Terminal(self.out, self.err, quiet=False, colours=False))
            self.finish({"message_id": "m1", "text": "a\x1b[2Jb\tc"})
            self.assertEqual(self.out.getvalue(), shown)

    def test_only_a_terminal_gets_a_spinner_which_makes_room_for_the_answer(self) -> None:
        for err, quiet, spins in ((Terminals(), False, True), (Terminals(), True, False), (StringIO(), False, False)):
            screen = Terminal(self.out, err, quiet=quiet, colours=False)
            screen.tick(2.0)
            screen.text("yes")
            screen.tick(3.0)
            self.assertEqual("2 s" in err.getvalue(), spins)
            self.assertTrue(not spins or err.getvalue().endswith("\r\x1b[K"))

    def test_thoughts_are_for_terminals_only(self) -> None:
        for err, shown in ((Terminals(), "hm\n"), (StringIO(), "")):
            screen = Terminal(self.out, err, quiet=False, colours=False)
            screen.reasoning("hm")
            screen.text("yes")
            self.assertEqual(err.getvalue(), shown)

    def test_json_lines_tell_the_same_to_a_program(self) -> None:
        self.watch(JsonLines(self.out))
        self.prompted()
        self.watcher.take(message("assistant", ("reasoning", {"thinking": "hm"}), ("text", {"text": "yes"})))
        self.finish({"message_id": "m1", "text": "yes", "run_id": "r"})
        lines = [parse_object(line) for line in self.out.getvalue().splitlines()]
        self.assertEqual([line["type"] for line in lines], ["reasoning", "text", "end"])
        self.assertEqual(lines[-1]["outcome"], "completed")

    def test_json_lines_tell_how_a_run_ended(self) -> None:
        self.watch(JsonLines(self.out))
        for end in ({"cancelled": True, "error": "context canceled"}, {"error": "no"}, {"left": True}):
            self.finish({"message_id": "", **end})
        outcomes = [parse_object(line)["outcome"] for line in self.out.getvalue().splitlines()]
        self.assertEqual(outcomes, ["cancelled", "failed", "left"])
