"""A prompt from the command line, over a server that does what the test says."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.cli._client import Answer, Refused, Unreachable
from txcrush.cli._prompting import CANCELLED, COMPLETED, FAILED, Prompting, Wish
from txcrush.cli._stream import StreamedEvent

WORKSPACE = "/v1/workspaces/w"


class Notes:
    """A screen that keeps what it is told."""

    def __init__(self) -> None:
        self.shown = ""
        self.notes: list[str] = []
        self.ends: list[dict[str, Any]] = []

    def session(self, session_id: str, run_id: str, /) -> None:
        self.run_id = run_id

    def text(self, delta: str) -> None:
        self.shown += delta

    def again(self) -> None:
        self.shown += "|"

    def reasoning(self, delta: str) -> None:
        self.shown += f"({delta})"

    def tool(self, name: str, arguments: str) -> None:
        self.shown += f"[{name}]"

    def note(self, text: str) -> None:
        self.notes.append(text)

    def end(self, end: dict[str, Any], /) -> None:
        self.ends.append(end)


class Stream:
    """A stream whose events the test hands out."""

    def __init__(self) -> None:
        self.asker: Deferred[StreamedEvent | None] = Deferred()

    def next(self) -> Deferred[StreamedEvent | None]:
        self.asker = Deferred()
        return self.asker

    def close(self) -> None:
        """Nothing is open."""


class FakeServer:
    """Answers as a server would; `asked` holds every request."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.streams: list[Stream] = []
        self.answers: dict[str, Any] = {
            "POST /v1/workspaces": {"id": "w"},
            f"GET {WORKSPACE}/agent": {"is_ready": True},
        }
        self.answers[f"POST {WORKSPACE}/sessions"] = {"id": "s"}
        self.joined = 202
        self.is_gone = False

    async def get(self, path: str) -> Any:
        return (await self.ask("GET", path)).value

    async def post(self, path: str, body: object = None, **headers: str) -> Any:
        return (await self.ask("POST", path, body, **headers)).value

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        self.asked.append(f"{method} {path}")
        if self.is_gone:
            raise Unreachable("gone")
        return Answer(self.joined, self.answers.get(f"{method} {path}"))

    async def stream(self, path: str) -> Stream:
        self.streams.append(Stream())
        return self.streams[-1]


class PromptingCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.server, self.screen = Clock(), FakeServer(), Notes()

    def start(self, **wish: Any) -> Deferred[int]:
        asked = Wish(prompt="hi", directory="/p", **wish)
        self.prompting = Prompting(self.clock, self.server, asked, self.screen)  # type: ignore[arg-type]
        return self.prompting.start()

    def tell(self, kind: str, **payload: Any) -> None:
        self.server.streams[-1].asker.callback(StreamedEvent(kind, "updated", payload))

    def end(self, **fields: Any) -> None:
        self.tell("run_complete", run_id=self.screen.run_id, message_id="m", **fields)


class Ends(PromptingCase):
    def test_the_stream_is_open_before_the_prompt_goes_out(self) -> None:
        self.start()
        self.assertEqual(len(self.server.streams), 1)
        self.assertEqual(self.server.asked[-1], f"POST {WORKSPACE}/agent")

    def test_a_completed_run_is_status_0_and_the_client_says_goodbye(self) -> None:
        done = self.start()
        self.tell("run_complete", run_id="another", message_id="x", text="not ours")
        self.end(text="yes")
        self.assertEqual((self.successResultOf(done), self.screen.shown), (COMPLETED, "yes"))
        self.assertTrue(self.server.asked[-1].startswith("DELETE /v1/clients/"))

    def test_a_failed_run_is_status_1(self) -> None:
        done = self.start()
        self.end(error="no")
        self.assertEqual((self.successResultOf(done), self.screen.notes), (FAILED, ["the run failed: no"]))

    def test_without_a_provider_it_says_what_to_do(self) -> None:
        self.server.answers[f"GET {WORKSPACE}/agent"] = {"is_ready": False}
        self.failureResultOf(self.start(), Refused)

    def test_a_directory_without_sessions_has_none_to_continue(self) -> None:
        self.server.answers[f"GET {WORKSPACE}/sessions"] = []
        self.failureResultOf(self.start(goes_on=True), Refused)


class Interrupts(PromptingCase):
    def test_the_first_cancels_and_waits_for_the_end(self) -> None:
        done = self.start()
        self.prompting.interrupt()
        self.assertEqual(self.server.asked[-1], f"POST {WORKSPACE}/agent/sessions/s/cancel")
        self.assertNoResult(done)
        self.end(cancelled=True, error="context canceled")
        self.assertEqual(self.successResultOf(done), CANCELLED)

    def test_the_second_leaves_the_run_and_says_how_to_come_back(self) -> None:
        done = self.start()
        self.prompting.interrupt()
        self.prompting.interrupt()
        self.assertEqual(self.successResultOf(done), CANCELLED)
        self.assertIn("txcrush run --session s", self.screen.notes[-1])


class BrokenStreams(PromptingCase):
    def lose(self) -> None:
        self.server.streams[-1].asker.callback(None)
        self.clock.pump([0.25])

    def test_a_stream_that_ends_is_opened_again_and_the_run_joined_by_its_id(self) -> None:
        done = self.start()
        self.lose()
        self.assertEqual(len(self.server.streams), 2)
        self.end(text="yes")
        self.assertEqual(self.successResultOf(done), COMPLETED)

    def test_a_run_that_ended_meanwhile_is_told_from_its_messages(self) -> None:
        done = self.start()
        self.server.joined = 200
        parts = [{"type": "text", "data": {"text": "all"}}, {"type": "finish", "data": {"reason": "end_turn"}}]
        message = {"id": "m", "role": "assistant", "parts": parts}
        self.server.answers[f"GET {WORKSPACE}/sessions/s/messages"] = [message]
        self.lose()
        self.assertEqual((self.successResultOf(done), self.screen.shown), (COMPLETED, "all"))

    def test_a_server_that_stays_away_is_told(self) -> None:
        done = self.start()
        self.server.is_gone = True
        self.server.streams[-1].asker.callback(None)
        self.clock.pump([5.0] * 5)
        self.failureResultOf(done, Unreachable)
