"""Naming a session after the first words that the user says in it (`agent.md` 5.1)."""

import re
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcrush import failpoints
from txcrush.core import retries, usage
from txcrush.core.agents import Brain, Crew
from txcrush.core.asking import bare_request, system_turns
from txcrush.core.cells import beginning
from txcrush.core.instructions import TITLE, title_request
from txcrush.core.sessions import Sessions
from txcrush.model.errors import CrushError, StorageFailed
from txcrush.model.ids import SessionId
from txcrush.model.messages import FinishReason
from txcrush.model.providers import ModelReply, Usage, UserTurn
from txcrush.ports import Clock

MAX_TOKENS = 40
MAX_WIDTH = 50
UNTITLED = "Untitled Session"

log = Logger()


class _Words:
    """Collects the text of an answer; a `StreamSink`."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def text(self, delta: str) -> None:
        self.pieces.append(delta)

    def reasoning(self, delta: str) -> None:
        """Thinking is no part of a title."""

    def reasoning_ended(self, signature: str = "") -> None:
        """Thinking is no part of a title."""

    def stalled(self, wait_s: float) -> None:
        """Nobody waits for a title."""

    def tool_started(self, call_id: str, name: str) -> None:
        """No tools are offered."""

    def tool_call(self, call_id: str, name: str, arguments: str) -> None:
        """No tools are offered."""


def clean(answer: str) -> str:
    """The title in a model's answer: one line, without what it thought."""
    text = " ".join(answer.splitlines())
    text = re.sub(r"<think>.*?</think>", "", text)
    return re.sub(r"</?think>", "", text).strip()


def from_prompt(prompt: str) -> str:
    """A title made of the prompt itself: one line of at most 50 columns, the last an ellipsis where it was cut."""
    text = " ".join(prompt.splitlines()).strip()
    if beginning(text, MAX_WIDTH) == text:
        return text or UNTITLED
    return beginning(text, MAX_WIDTH - 1) + "…"


def _unasked(used: Usage, cost: float) -> None:
    """Nobody wants to know what a title costs."""


class Titles:
    """Makes titles, one task each, which no run's cancel touches and no run waits for."""

    def __init__(self, sessions: Sessions, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock
        self._tasks: set[Deferred[None]] = set()

    def start(
        self, session_id: SessionId, prompt: str, crew: Crew, spend: Callable[[Usage, float], None] = _unasked
    ) -> None:
        """Begin to make a title for the session; nothing happens for an empty prompt. `spend` is told what it costs."""
        if not prompt:
            return
        task = Deferred.fromCoroutine(self._make(session_id, prompt, crew, spend))
        self._tasks.add(task)
        task.addErrback(self._report)
        task.addBoth(lambda _: self._tasks.discard(task))

    def stop(self) -> None:
        """Give up every title that is being made."""
        for task in list(self._tasks):
            task.cancel()

    async def _make(
        self, session_id: SessionId, prompt: str, crew: Crew, spend: Callable[[Usage, float], None]
    ) -> None:
        for brain in (crew.small, crew.large):
            failpoints.TITLE_ASKING()
            try:
                title, reply = await self._ask(session_id, prompt, brain)
            except CrushError as error:
                log.info("no title from {model}: {reason}", model=brain.model.id, reason=str(error))
                continue
            failpoints.TITLE_WRITTEN()
            spend(reply.usage, usage.cost(reply.usage, brain.model, flat_rate=brain.config.flat_rate))
            if reply.finish != FinishReason.MAX_TOKENS:
                await self._save(session_id, clean(title) or from_prompt(prompt), brain, reply)
                return
        await self._sessions.update(session_id, title=UNTITLED)

    async def _ask(self, session_id: SessionId, prompt: str, brain: Brain) -> tuple[str, ModelReply]:
        limit = brain.model.default_max_tokens if brain.model.can_reason else MAX_TOKENS
        turns = [*system_turns(brain, TITLE), UserTurn(title_request(prompt))]
        request = bare_request(brain, turns, session_id, limit)
        words = _Words()
        reply = await retries.ask(self._clock, lambda: brain.provider.stream(request, words), words.pieces.clear)
        return "".join(words.pieces), reply

    async def _save(self, session_id: SessionId, title: str, brain: Brain, reply: ModelReply) -> None:
        """Set the title and add what it cost. The title is never written from anywhere else (R-TITLE-08)."""
        session, used = self._sessions.get(session_id), reply.usage
        saved = self._sessions.update(
            session_id,
            title=title,
            prompt_tokens=session.prompt_tokens + used.input + used.cache_creation,
            completion_tokens=session.completion_tokens + used.output,
            cost=session.cost + usage.cost(used, brain.model, flat_rate=brain.config.flat_rate),
        )
        try:
            await saved
        except StorageFailed:
            await self._sessions.update(session_id, title=UNTITLED)

    def _report(self, failure: Failure) -> None:
        """A session that is gone needs no title, nor does a server that stops."""
        if failure.check(CancelledError, CrushError) is None:
            log.failure("a title could not be made", failure=failure)
