"""Answering what tools ask: by a rule, or by whoever sits at the terminal."""

from collections.abc import Coroutine
from enum import StrEnum
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from txcrush.cli import _forms
from txcrush.cli._client import Refused, Unreachable
from txcrush.cli._keyboard import Keyboard
from txcrush.cli._membership import Membership
from txcrush.cli._screen import Screen
from txcrush.cli._stream import StreamedEvent

VERDICTS = {"y": "allow", "yes": "allow", "s": "allow_session", "n": "deny", "no": "deny"}


class Rule(StrEnum):
    """What to say to a permission request."""

    ASK = "ask"
    ALLOW = "allow"
    DENY = "deny"


class Family:
    """A session and its children, as far as events told of them."""

    def __init__(self, session_id: str) -> None:
        self._sessions = {session_id}

    def holds(self, event: StreamedEvent) -> bool:
        """Whether the event is of the family; a child is part of it from its first event on."""
        payload = event.payload
        if event.kind == "session" and payload.get("parent_session_id") in self._sessions:
            self._sessions.add(payload["id"])
        return payload.get("session_id") in self._sessions


class Answers:
    """Answers the requests of one session and those below it. Without a keyboard, what is to be asked waits for
    another client. `take` every event; `close` at the end."""

    def __init__(
        self, member: Membership, session_id: str, screen: Screen, rule: Rule, keyboard: Keyboard | None
    ) -> None:
        self._member = member
        self._screen = screen
        self._rule = rule
        self._keyboard = keyboard
        self._family = Family(session_id)
        self._seen: set[str] = set()
        self._open: dict[str, Coroutine[Deferred[Any], Any, None]] = {}
        self._current = ""
        self._task: Deferred[None] | None = None

    def take(self, event: StreamedEvent) -> None:
        """Begin to answer where the event asks something of us; stop where somebody else was quicker."""
        is_ours, payload = self._family.holds(event), event.payload
        if event.kind == "permission_notification" and (payload.get("granted") or payload.get("denied")):
            self._withdraw(payload["tool_call_id"])
        elif event.kind == "question_batch_notification":
            self._withdraw(payload["batch_id"])
        elif event.kind in ("permission_request", "question_batch_request") and is_ours and self._is_new(payload):
            self._put(event.kind, payload)

    def close(self) -> None:
        """Ask no more."""
        waiting, self._open = self._open, {}
        for asking in waiting.values():
            asking.close()
        if self._task is not None:
            self._task.cancel()

    def _is_new(self, payload: dict[str, Any]) -> bool:
        """An open request is sent again to each new stream."""
        is_new = payload["id"] not in self._seen
        self._seen.add(payload["id"])
        return is_new

    def _put(self, kind: str, payload: dict[str, Any]) -> None:
        if kind == "permission_request" and self._rule is not Rule.ASK:
            self._spawn(self._resolve(payload, self._rule))
        elif self._keyboard is None:
            self._screen.note(f"waiting for an answer ({_forms.title(kind, payload)}): give it in another client")
        else:
            permission = kind == "permission_request"
            key = payload.get("tool_call_id") if permission else payload["id"]
            key = key or payload["id"]
            self._open[key] = self._permission(payload) if permission else self._questions(payload)
            self._next()

    def _withdraw(self, key: str) -> None:
        waiting = self._open.pop(key, None)
        if waiting is not None:
            waiting.close()
        elif key == self._current and self._task is not None:
            self._screen.answered()
            self._screen.note("answered by another client")
            self._task.cancel()

    def _next(self) -> None:
        """Put the oldest open request to the user, one at a time."""
        if self._task is not None or not self._open:
            return
        self._current = next(iter(self._open))
        self._task = self._spawn(self._open.pop(self._current))
        self._task.addBoth(lambda _: self._done())

    def _done(self) -> None:
        self._task, self._current = None, ""
        self._next()

    def _spawn(self, work: Coroutine[Deferred[Any], Any, None]) -> "Deferred[None]":
        return Deferred.fromCoroutine(work).addErrback(self._failed)

    def _failed(self, failure: Any) -> None:
        failure.trap(Refused, Unreachable, CancelledError)
        if failure.check(CancelledError) is None:
            self._screen.note(f"the answer did not arrive: {failure.value}")

    async def _permission(self, request: dict[str, Any]) -> None:
        for line in _forms.permission(request):
            self._screen.note(line)
        verdict = None
        while verdict is None:
            typed = await self._typed("allow? [y]es, yes for this [s]ession, [n]o: ")
            if typed is None:
                return
            verdict = VERDICTS.get(typed.strip().lower())
        self._current = ""  # what the stream tells from now on is our own answer
        await self._resolve(request, verdict)

    async def _resolve(self, request: dict[str, Any], verdict: str) -> None:
        body = {"permission": request, "action": verdict}
        url = f"{self._member.url}/permissions/grant?client_id={self._member.client_id}"
        answer = await self._member.client.post(url, body)
        if not answer["resolved"]:
            self._screen.note("another client has answered that already")

    async def _questions(self, batch: dict[str, Any]) -> None:
        responses = []
        for question in batch["questions"]:
            for line in _forms.question(question):
                self._screen.note(line)
            response = None
            while response is None:
                typed = await self._typed(_forms.hint(question))
                if typed is None:
                    return
                response = _forms.response(question, typed)
            responses.append(response)
        self._current = ""
        body = {"batch_request_id": batch["id"], "responses": responses}
        await self._member.client.post(f"{self._member.url}/questions/answer", body)

    async def _typed(self, prompt: str) -> str | None:
        """What the user types, None where nobody is there any more."""
        assert self._keyboard is not None
        self._keyboard.forget()
        self._screen.ask(prompt)
        try:
            return await self._keyboard.line()
        finally:
            self._screen.answered()
