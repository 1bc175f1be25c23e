"""A server that is to be killed, one client of it, and what the client was promised."""

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGTERM
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from txcrush.core.observers import OneShot
from txcrush.testing.answer import Answer, StreamEvent
from txcrush.testing.live_client import CLIENT, EventStream, LiveClient
from txcrush.testing.live_server import UNIX_ORIGIN
from txcrush.testing.nursery import Grown, Nursery
from txcrush.testing.played_model import PlayedModel
from txcrush.testing.two_wires import chosen

LOOK_S = 0.005
LONGEST_S = 20.0


class Stage:
    """Everything lies in `directory`, whose name must be short. `acknowledged` has the texts of the prompts that were
    answered 2xx, `seen` the parts of answers that a GET has shown. `began` is when the last start began."""

    client: LiveClient
    stream: EventStream
    grown: Grown
    workspace: str

    def __init__(self, reactor: Any, nursery: Nursery, directory: Path) -> None:
        self.reactor = reactor
        self.directory = directory
        self.failpoint = ""
        self.acknowledged: list[str] = []
        self.seen: list[str] = []
        self.session = ""
        self.began = 0.0
        self.model = cast(PlayedModel, PlayedModel.listen(reactor))
        self.model.go_on("open from the start")
        self.project = directory / "project"
        self.effects = directory / "effects"
        self.project.mkdir()
        self.effects.mkdir()
        (self.project / "crush.json").write_bytes(self.model.config())
        self._nursery = nursery
        self._sent: list[Deferred[Answer]] = []
        self._died: OneShot[None] = OneShot()
        self._expected: int | None = None

    @property
    def database(self) -> Path:
        return self.project / ".crush" / "txcrush.db"

    @property
    def errors(self) -> Path:
        return self.directory / "errors"

    # The server

    async def launch(self, failpoint: str = "") -> None:
        """Start a server, and wait until it answers."""
        socket = self.directory / "s"
        environ = {"HOME": str(self.directory), "XDG_RUNTIME_DIR": str(self.directory), "PATH": os.defpath}
        arguments = ["--host", f"unix://{socket}", "--state-dir", str(self.directory / "state"), "--trust-projects"]
        self.began = self.reactor.seconds()
        self.grown = await self._nursery.serve(arguments, environ | {"TXCRUSH_FAILPOINT": failpoint}, self.errors)
        self._expected = None
        self.grown.when_gone().addCallback(self._gone)
        self.client = LiveClient(self.reactor, UNIXClientEndpoint(self.reactor, str(socket)), UNIX_ORIGIN)
        await self.until(self._answers)

    async def _answers(self) -> bool:
        try:
            return (await self.client.get("/v1/health")).status == 200
        except ConnectError:
            return False

    async def enter(self, *, yolo: bool = True) -> None:
        """Open the workspace and attend to it: every request is granted, every question answered, as it comes."""
        self.workspace = await self.client.join(str(self.project), yolo=yolo)
        self.stream = await self.client.stream(self.workspace)

    async def begin(self, *, yolo: bool = True) -> None:
        """A server with this stage's failpoint, the workspace, and a session."""
        await self.launch(self.failpoint)
        await self.enter(yolo=yolo)
        self.session = await self.client.session(self.workspace)

    async def kill(self) -> None:
        """`kill -9`, whatever it does."""
        self._expected = -SIGKILL
        self.grown.signal(SIGKILL)
        self.grown.signal(SIGCONT)
        await self.grown.when_gone()

    async def stop(self) -> int:
        """SIGTERM; the status."""
        self._expected = 0
        self.grown.signal(SIGTERM)
        return await self.grown.when_gone()

    async def survives(self, work: Coroutine[Deferred[Any], Any, None], limit_s: float = LONGEST_S) -> bool:
        """Do the work, and say whether no server died of itself meanwhile. Raises what the work raised, if none did."""
        self._died = OneShot()
        failures: list[Failure] = []
        task = Deferred.fromCoroutine(work).addTimeout(limit_s, self.reactor)
        task.addErrback(failures.append)
        died = self._died.when().addErrback(lambda failure: failure.trap(CancelledError))
        await DeferredList([task, died], fireOnOneCallback=True)
        for _ in range(40 if failures else 0):  # a connection may break before its server's death is told
            if not self._died.happened:
                await deferLater(self.reactor, LOOK_S)
        task.cancel()
        died.cancel()
        if failures and not self._died.happened:
            failures[0].raiseException()
        return not self._died.happened

    def _gone(self, status: int) -> None:
        if status != self._expected:
            self._died.fire(None)

    # What the client does

    def prompt(self, text: str, *, session: str = "", **fields: Any) -> Deferred[Answer]:
        """Post a prompt; a 2xx is noted."""

        def note(answer: Answer) -> Answer:
            if 200 <= answer.status < 300:
                self.acknowledged.append(text)
            return answer

        answer = self.client.prompt(self.workspace, session or self.session, text, **fields).addCallback(note)
        self._sent.append(answer)
        return answer

    async def queue(self, text: str, run_id: str = "", **fields: Any) -> None:
        """Post a prompt that is answered at once."""
        answer = await self.prompt(text, run_id=run_id, prefer="respond-async", **fields)
        assert answer.status == 202, answer

    async def post(self, rest: str, value: object = None) -> Answer:
        answer = await self.client.post(f"/v1/workspaces/{self.workspace}/{rest}", value)
        assert answer.status == 200, answer
        return answer

    async def get(self, rest: str) -> Any:
        answer = await self.client.get(f"/v1/workspaces/{self.workspace}/{rest}")
        assert answer.status == 200, answer
        return answer.value

    async def grant(self, count: int = 1) -> None:
        """Grant the so many-th request that the stream shows."""
        await self.stream.when(lambda _: len(self.stream.of("permission_request")) >= count)
        request = self.stream.of("permission_request")[count - 1]
        await self.post(f"permissions/grant?client_id={CLIENT}", {"permission": request, "action": "allow"})

    async def answer(self) -> None:
        """Answer the first batch of questions that the stream shows, if nobody has yet."""
        await self.stream.when(lambda event: event.kind == "question_batch_request")
        batch = self.stream.of("question_batch_request")[0]
        responses = [{"request_id": one["id"], "yes": True} for one in batch["questions"]]
        path = f"/v1/workspaces/{self.workspace}/questions/answer?client_id={CLIENT}"
        await self.client.post(path, {"batch_request_id": batch["id"], "responses": responses})

    async def choose(self, wire: str) -> None:
        """From now on prompts go over this wire."""
        for slot in ("large", "small"):
            await self.post("config/model", {"scope": 1, "model_type": slot, "model": chosen(wire, slot)})

    # What the client waits for

    async def until(self, holds: Callable[[], Any]) -> None:
        """Look until it holds."""
        for _ in range(int(LONGEST_S / LOOK_S)):
            found = holds()
            if await found if isinstance(found, Coroutine) else found:
                return
            await deferLater(self.reactor, LOOK_S)
        raise AssertionError(f"it took longer than {LONGEST_S} s")

    async def shows(self, text: str) -> None:
        """Returns once a GET has shown this text of the model's: from then on it is durable."""

        async def is_shown() -> bool:
            return text in str(await self.get(f"sessions/{self.session}/messages"))

        await self.until(is_shown)
        self.seen.append(text)

    async def told(self, kind: str, **payload: object) -> StreamEvent:
        """The first event of the kind with this in its payload, once it has come."""
        return await self.stream.when(lambda event: event.kind == kind and payload.items() <= event.payload.items())

    async def is_idle(self) -> bool:
        return not (await self.get("agent"))["is_busy"]

    async def is_idle_once_granted(self) -> bool:
        """The same, granting whatever is asked: a workspace that the server reopens by itself skips no request, until
        the client that wants that is back."""
        for request in await self.get("permissions/pending"):
            await self.post(f"permissions/grant?client_id={CLIENT}", {"permission": request, "action": "allow"})
        return await self.is_idle()

    async def close(self) -> None:
        """End everything; the files stay. What was asked of a dead server has no answer, and that is no news."""
        await self.kill()
        for answer in self._sent:
            answer.addErrback(lambda _: None)
        await self.model.stop()

    def fired(self) -> list[str]:
        """What failpoints have told so far."""
        lines = self.errors.read_text().splitlines() if self.errors.exists() else []
        return [line.removeprefix("failpoint ") for line in lines if line.startswith("failpoint ")]
