"""A prompt on a real server that one client sends, and that another watches, answers and cancels.

Alice prompts, her request is held. Bob sees the stream, answers requests and cancels. Both have streams of their own.
"""

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from txcrush.testing.accepted import accepts
from txcrush.testing.answer import Answer, StreamEvent
from txcrush.testing.live_client import EventStream
from txcrush.testing.live_server import LiveServer
from txcrush.testing.two_wires import WIRES, TwoWires, Voice, chosen, voice_for, wire_of
from txcrush.wire.json import encode_text

ALICE, BOB = "aaaaaaaa-1111-4111-8111-111111111111", "bbbbbbbb-1111-4111-8111-111111111111"
Call = tuple[str, str, dict[str, Any]]
"""A call's id, its tool, and its arguments."""


class Scene:
    """A server, its model, a workspace with one session, and two clients. `open` makes one, `close` ends it."""

    alice: EventStream
    bob: EventStream

    def __init__(self, reactor: Any, directory: Path, model: TwoWires) -> None:
        self._reactor = reactor
        self._directory = directory
        self.model = model
        self.project = directory / "project"
        self.server: LiveServer
        self.workspace = ""
        self.session = ""

    @classmethod
    async def open(cls, reactor: Any, directory: Path, wire: str = WIRES[0]) -> "Scene":
        """A scene whose prompts go over the wire."""
        scene = cls(reactor, directory, TwoWires.listen(reactor))  # type: ignore[arg-type]
        scene.project.mkdir()
        (scene.project / "crush.json").write_bytes(scene.model.config())
        await scene.start()
        scene.session = await scene.server.client.session(scene.workspace)
        await scene.choose(wire)
        return scene

    async def start(self) -> None:
        """Start the server, or another one over the same directories, with two clients attached."""
        self.server = await LiveServer.start(self._reactor, self._directory, allow_private_fetch=True)
        client = self.server.client
        self.workspace = await client.join(str(self.project), ALICE)
        await client.join(str(self.project), BOB)
        self.alice = await client.stream(self.workspace, ALICE)
        self.bob = await client.stream(self.workspace, BOB)

    async def close(self) -> None:
        await self.server.stop()
        await self.model.stop()

    # What clients do

    async def get(self, rest: str) -> Any:
        answer = await self.server.client.get(f"/v1/workspaces/{self.workspace}/{rest}")
        assert answer.status == 200, answer
        return answer.value

    async def post(self, rest: str, value: object) -> Answer:
        answer = await self.server.client.post(f"/v1/workspaces/{self.workspace}/{rest}", value)
        assert answer.status == 200, answer
        return answer

    async def choose(self, wire: str) -> None:
        """From now on prompts go over this wire."""
        for slot in ("large", "small"):
            await self.post("config/model", {"scope": 1, "model_type": slot, "model": chosen(wire, slot)})

    def prompt(self, text: str = "go") -> "Deferred[Answer]":
        """Alice prompts; fires with the answer to her request, which is held."""
        return self.server.client.prompt(self.workspace, self.session, text)

    async def grant(self, count: int = 1, verdict: str = "allow") -> dict[str, Any]:
        """Bob answers the so many-th permission request that he is shown; returns it."""
        request = await self.shown("permission_request", count)
        answer = await self.post(f"permissions/grant?client_id={BOB}", {"permission": request, "action": verdict})
        assert answer.value == {"resolved": True}
        return request

    async def cancel(self) -> None:
        """Bob cancels."""
        path = f"/v1/workspaces/{self.workspace}/agent/sessions/{self.session}/cancel"
        assert (await self.server.client.post(path)).status == 200

    async def delete(self) -> None:
        """Bob deletes the session."""
        path = f"/v1/workspaces/{self.workspace}/sessions/{self.session}"
        assert (await self.server.client.ask("DELETE", path)).status == 200

    # What is seen

    async def shown(self, kind: str, count: int = 1) -> dict[str, Any]:
        """The so many-th payload of a kind, once Bob has seen it."""
        await self.bob.when(lambda _: len(self.bob.of(kind)) >= count)
        return self.bob.of(kind)[count - 1]

    async def shown_part(self, kind: str, **data: object) -> None:
        """Returns once Bob has seen a part of a message with this data."""

        def holds(event: StreamEvent) -> bool:
            parts = event.payload.get("parts", ()) if event.kind == "message" else ()
            return any(part["type"] == kind and data.items() <= part["data"].items() for part in parts)

        await self.bob.when(holds)

    async def when_ended(self) -> None:
        """Returns once both streams have told of the end of a run of the session."""
        for stream in (self.alice, self.bob):
            await stream.when(self.is_end)

    def is_end(self, event: StreamEvent) -> bool:
        return event.kind == "run_complete" and event.payload["session_id"] == self.session

    def ends(self, stream: EventStream) -> list[str]:
        """How the session's runs ended, as the stream told it: `done`, `cancelled` or `failed`."""
        return [_outcome(event.payload) for event in stream.events if self.is_end(event)]

    async def parts(self, kind: str, session: str = "") -> list[dict[str, Any]]:
        """The data of all parts of a kind in the session's messages."""
        messages = await self.get(f"sessions/{session or self.session}/messages")
        return [part["data"] for message in messages for part in message["parts"] if part["type"] == kind]

    # What the model does

    async def asked(self) -> Voice:
        """What answers the next request, in which there is nothing that its provider would refuse."""
        exchange = await self.model.next_request()
        assert accepts(exchange.json()) == []
        return voice_for(exchange)

    async def calls(self, *calls: Call) -> None:
        """The model is asked and makes these calls."""
        voice = await self.asked()
        voice.begin()
        for call_id, name, arguments in calls:
            voice.call(call_id, name, encode_text(arguments))
        voice.end()

    async def says(self, text: str) -> None:
        """The model is asked and ends its turn with this."""
        (await self.asked()).say(text)

    async def goes_on(self) -> None:
        """The session takes another prompt, over each wire."""
        for wire in WIRES:
            await self.choose(wire)
            held = self.prompt(f"and now by {wire}")
            exchange = await self.model.next_request()
            assert wire_of(exchange) == wire
            assert accepts(exchange.json()) == []
            voice_for(exchange).say("fine")
            assert (await held).status == 200


def _outcome(run_complete: dict[str, Any]) -> str:
    if run_complete.get("cancelled"):
        return "cancelled"
    return "failed" if run_complete.get("error") else "done"
