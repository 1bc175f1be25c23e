"""A session on a harness: what is said in it, and what everybody hears of it."""

from collections.abc import Awaitable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from txcrush.core.run import Run
from txcrush.core.workspaces import Workspace
from txcrush.model.budgets import UNLIMITED, Budget
from txcrush.model.ids import RunId, SessionId
from txcrush.model.messages import Message, ToolResult
from txcrush.model.runs import Attachment, Prompt, RunRecord, WhenBusy
from txcrush.testing.harness import Harness, Listener
from txcrush.testing.memory_store import MemoryStore

T = TypeVar("T")


def now(awaitable: Awaitable[T]) -> T:
    """The result, which must be there already; raises what it failed with."""
    deferred = awaitable if isinstance(awaitable, Deferred) else Deferred.fromCoroutine(_awaited(awaitable))
    results: list[T | Failure] = []
    deferred.addBoth(results.append)
    if not results:
        raise AssertionError("there is no result yet")
    result = results[0]
    if isinstance(result, Failure):
        result.raiseException()
    return result


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


class Conversation:
    """One session of a workspace, and a listener that hears the workspace's events."""

    def __init__(self, harness: Harness, path: str = "/project", session_id: SessionId | None = None) -> None:
        self.harness = harness
        self.workspace: Workspace = now(harness.open(path))
        self.listener = Listener()
        self.session_id = session_id or now(self.workspace.sessions.create("A Session")).id
        self.workspace.events.subscribe(self.listener)

    @property
    def store(self) -> MemoryStore:
        """The workspace's store."""
        return self.harness.stores[self.workspace.settings.data_dir]

    def prompt(
        self,
        text: str,
        run_id: str = "",
        when_busy: WhenBusy = WhenBusy.REFERENCE,
        *,
        key: str = "",
        attachments: tuple[Attachment, ...] = (),
        budget: Budget = UNLIMITED,
    ) -> Run:
        """Send a prompt, as a request would."""
        prompt = Prompt(
            session_id=self.session_id,
            text=text,
            run_id=RunId(run_id),
            key=RunId(key),
            attachments=attachments,
            when_busy=when_busy,
            budget=budget,
        )
        return self.workspace.runs.accept(prompt)

    def cancel(self) -> None:
        self.workspace.runs.cancel(self.session_id)

    def queued(self) -> list[str]:
        return self.workspace.runs.queued(self.session_id)

    @property
    def is_busy(self) -> bool:
        return self.workspace.runs.is_busy(self.session_id)

    def messages(self) -> list[Message]:
        """Every stored message, oldest first."""
        return now(self.workspace.transcript.messages(self.session_id))

    def lines(self) -> list[str]:
        """The stored messages, a line each: role, text, and how an assistant's ended (`?` where it has not)."""
        return [line_of(message) for message in self.messages()]

    def record(self, run: Run) -> RunRecord:
        """The run as the store keeps it."""
        record = now(self.store.run(run.id))
        assert record is not None
        return record

    def completions(self) -> list[dict[str, Any]]:
        """The payload of every `run_complete` so far."""
        return self.listener.of("run_complete")

    def errors(self) -> list[dict[str, Any]]:
        """The payload of every error `agent_event` so far."""
        return [payload for payload in self.listener.of("agent_event") if payload["type"] == "error"]

    def stop(self) -> "Deferred[None]":
        """Stop the whole server."""
        return Deferred.fromCoroutine(self.harness.workspaces.stop())

    def restarted(self, harness: Harness) -> "Conversation":
        """The same session on another server over the same stores."""
        return Conversation(harness, self.workspace.path, self.session_id)

    def delete(self) -> "Deferred[None]":
        """Delete the session, as the route does."""
        return Deferred.fromCoroutine(self.workspace.delete_session(self.session_id))


def line_of(message: Message) -> str:
    """A message on one line."""
    if message.role == "tool":
        results = (part for part in message.parts if isinstance(part, ToolResult))
        return f"tool: {'; '.join(f'{one.tool_call_id} {one.content}' for one in results)}"
    if message.role == "user":
        return f"user: {message.text}"
    return f"assistant: {message.text} [{message.finish.reason.value if message.finish else '?'}]"
