"""One turn: a prompt, and the steps of the model until it is answered (`agent.md` 1.3).

`take` does the work and may be cancelled at any await. `completed`, `cancelled` and `failed` say what has to be written
at the end; they are plain functions, so nothing can come in between, and what they say is one transaction. Whatever was
begun is noted before the await that does it, so that the end finds it also where the cancel came in between.
"""

from collections.abc import Callable, Collection, Sequence

from msgspec.structs import replace

from txcrush import failpoints
from txcrush.core import budgets, history, loops, retries, usage
from txcrush.core.agents import Brain, Crew
from txcrush.core.asking import model_request, system_turns
from txcrush.core.closing import CANCELLED_TOOL, FAILED_TOOL, Closing, describe
from txcrush.core.equipment import Equipment
from txcrush.core.instructions import resumed_request
from txcrush.core.live_message import LiveMessage
from txcrush.core.run import Cancellation, Run
from txcrush.core.sessions import session_event
from txcrush.core.summary_message import SummaryMessage, is_nearly_full
from txcrush.core.toolbox import Done, Place, Toolbox
from txcrush.core.transcript import Addition
from txcrush.model.errors import Failed, SessionNotFound, StorageFailed
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Finish, FinishReason, Message, ToolCall, ToolResult
from txcrush.model.providers import ModelReply
from txcrush.model.providers import Turn as ModelTurn
from txcrush.model.runs import Prompt
from txcrush.model.sessions import Session
from txcrush.model.storage import BeginRun, PutSession, StartRun

FOR_INTERACTIVE_RUNS = frozenset({"question"})
"""Tools that make no sense where nobody is there to answer."""


class Turn:
    """The turn of one run.

    `drain` takes queued prompts that join it; those that did are in `folded`. `waiting` names the stored user messages
    of a session whose runs have not been answered yet.
    """

    def __init__(
        self,
        run: Run,
        equipment: Equipment,
        drain: Callable[[], list[Run]],
        waiting: Callable[[SessionId], Collection[MessageId]],
    ) -> None:
        self.run = run
        self.folded: list[Run] = []
        self._with = equipment
        self._drain = drain
        self._waiting = waiting
        self._live: LiveMessage | None = None
        self._said = bool(run.record.user_message_id)
        self._results: dict[str, ToolResult] = {}
        self._unkept: dict[str, ToolResult] = {}
        self._has_begun = False
        self._finish = Finish(FinishReason.UNKNOWN, 0)
        self._accounted = False
        self._signatures: list[bytes] = []
        self._summary: SummaryMessage | None = None
        run.ledger.limit(equipment.budget)

    @property
    def session_id(self) -> SessionId:
        return self.run.prompt.session_id

    async def take(self) -> None:
        """Do the work, to the finish of the last step. Raises what stopped it."""
        if self.run.is_errand:  # the time is its caller's
            await self._take()
        else:
            await budgets.in_time(self.run.ledger, self._with.clock, self._take())

    async def _take(self) -> None:
        session = self._session()
        crew = await self._with.agents.prepare()
        stored = await self._with.transcript.messages(self.session_id)
        past = self._before_prompt(history.after_summary(stored, session.summary_message_id))
        is_first = not history.has_user_text(past)
        conversation = self._opening(crew, past, session.summary_message_id, self.run.prompt)
        await self._say(self.run)
        failpoints.TURN_SAID()
        live = await self._prepared(crew.large, conversation)
        if is_first and not session.parent_session_id:  # only now, so that the title's event counts both messages
            self._with.titles.start(self.session_id, self.run.prompt.text, crew, self.run.ledger.spend)
        while True:
            goes_on = await self._step(crew, conversation, live)
            if self._is_nearly_full(crew.large) and not self.run.ledger.is_spent:
                await self._sum_up(crew.large, is_open=not goes_on)
                conversation = await self._resume(crew) if goes_on else conversation
            if not goes_on:
                return
            live = await self._prepared(crew.large, conversation)

    # Steps

    async def _prepared(self, brain: Brain, conversation: list[ModelTurn]) -> LiveMessage:
        """What a step begins with: prompts that join the turn, and an empty message for the model to write in."""
        if not self.run.ledger.is_spent:  # who comes behind the last step has a turn, and a budget, of his own
            await self._fold(brain, conversation)
        return await self._begin(brain)

    async def _step(self, crew: Crew, conversation: list[ModelTurn], live: LiveMessage) -> bool:
        """Ask the model once and run the tools that it calls; says whether another step follows."""
        brain, toolbox = crew.large, self._offered(crew)
        self.run.ledger.step()
        request = model_request(brain, conversation, self.session_id, toolbox.specs())
        reply = await retries.ask(self._with.clock, lambda: brain.provider.stream(request, live), live.reset)
        live.reasoning_ended()
        failpoints.TURN_ANSWERED()
        self._account(brain, reply, conversation, live)
        done = await self._run_tools(brain, toolbox, live, is_whole=reply.finish != FinishReason.MAX_TOKENS)
        goes_on = bool(live.calls) and reply.finish == FinishReason.TOOL_USE and not done.stop_turn
        self._finish = self._finish_of(reply, goes_on=goes_on)
        if done.error is not None:
            raise done.error
        goes_on = goes_on and not self._goes_in_circles(live, done)
        if goes_on:
            await self._end_step()
            conversation += history.exchange(
                live.snapshot(),
                done.results,
                provider=brain.config.id,
                supports_images=brain.model.supports_attachments,
            )
        return goes_on

    async def _fold(self, brain: Brain, conversation: list[ModelTurn]) -> None:
        """Take in the queued prompts that join this turn; later steps see them too (R-QUEUE-13)."""
        taken = self._drain()
        self.folded += taken
        for run in taken:
            failpoints.TURN_FOLDING()
            await self._say(run)
            failpoints.TURN_FOLDED()
            conversation.append(self._prompt_turn(run.prompt, brain))

    async def _begin(self, brain: Brain) -> LiveMessage:
        """An empty assistant message; from here on a restart does not start these runs again."""
        now = int(self._with.clock.seconds())
        begun = [BeginRun(run.id, now) for run in (self.run, *self.folded) if not run.is_errand]
        self._retire_live()
        self._results.clear()
        live, addition = self._with.transcript.assistant(self.session_id, brain.model.id, brain.config.id, begun)
        self._live = live
        try:
            await self._with.transcript.add(addition)
        except StorageFailed:  # there is no such message; the end of a turn that had begun makes one of its own
            live.discard()
            self._retire_live()
            self._live = None
            raise
        self._has_begun = True
        failpoints.TURN_BEGUN()
        return live

    def _offered(self, crew: Crew) -> Toolbox:
        hidden = set(self._with.disabled_tools())
        return self._with.toolbox.without(hidden if crew.interactive else hidden | FOR_INTERACTIVE_RUNS)

    def _goes_in_circles(self, live: LiveMessage, done: Done) -> bool:
        """A turn that repeats itself ends as if it were done, and says `tool_use` (R-LOOP-05)."""
        self._signatures.append(loops.signature(live.calls, done.results))
        return loops.is_loop(self._signatures)

    async def _run_tools(self, brain: Brain, toolbox: Toolbox, live: LiveMessage, *, is_whole: bool) -> Done:
        if not live.calls:
            return Done(())
        calls = await self._read(toolbox, live) if is_whole else live.calls
        self._mend_inputs(live)
        place = Place(self.session_id, MessageId(live.id), brain.model.supports_attachments, brain.model.name)
        return await toolbox.run(calls, place, self._keep)

    async def _read(self, toolbox: Toolbox, live: LiveMessage) -> list[ToolCall]:
        """The calls as they are run: badly written ones are mended. What the token limit has cut off never is: half a
        file must not be written."""
        calls = [await toolbox.repaired(call) for call in live.calls]
        for written, call in zip(live.calls, calls, strict=True):
            if call != written:
                live.replace_input(call.id, call.input)
        return calls

    def _mend_inputs(self, live: LiveMessage) -> None:
        """What is no JSON object must not be stored: some providers refuse a past that holds it."""
        for call in live.calls:
            if not self._with.toolbox.is_readable(call):
                live.replace_input(call.id, "{}")

    async def _keep(self, result: ToolResult) -> None:
        addition = await self._with.transcript.prepared_result(self.session_id, result)
        self._results[result.tool_call_id] = result
        try:
            await self._with.transcript.add(addition)
        except StorageFailed:
            self._unkept[result.tool_call_id] = self._results.pop(result.tool_call_id)
            raise
        failpoints.TOOL_KEPT()

    async def _end_step(self) -> None:
        """Finish this step's message; the turn goes on with another."""
        assert self._live is not None
        put, event = self._live.finish(self._finish)
        sessions = self._changed_session()
        changes = [*map(PutSession, sessions), put]
        await self._with.events.commit(changes, [*map(session_event, sessions), event])
        failpoints.TURN_STEPPED()

    def _account(self, brain: Brain, reply: ModelReply, asked: Sequence[ModelTurn], live: LiveMessage) -> None:
        """Add what the step used to the session: before its tools, for a cancel of those does not take it back. An
        estimate moves the gauges, never the cost (R-USE-07)."""
        sessions, used, price = self._with.sessions, reply.usage, 0.0
        if used.is_zero:
            used = usage.estimated(asked, live.snapshot())
        else:
            price = usage.cost(used, brain.model, flat_rate=brain.config.flat_rate)
        self.run.ledger.spend(used, price)
        self.run.account.step(brain.config.id, brain.model.id, used.input + used.cache_read, used.output)
        if sessions.exists(self.session_id):
            session = sessions.get(self.session_id)
            gauges = usage.gauges(session, used)
            sessions.changed(self.session_id, cost=session.cost + price, **gauges)
            self._accounted = True

    def _changed_session(self) -> list[Session]:
        """The session as it is now, once for each step that was accounted."""
        accounted, self._accounted = self._accounted, False
        return [self._with.sessions.get(self.session_id)] if accounted else []

    def _finish_of(self, reply: ModelReply, *, goes_on: bool) -> Finish:
        reason = reply.finish
        if reason == FinishReason.TOOL_USE and not goes_on:
            reason = FinishReason.END_TURN
        return Finish(reason, int(self._with.clock.seconds()))

    # The summary of a context that is nearly full

    def _is_nearly_full(self, brain: Brain) -> bool:
        if not self._with.sums_up() or not self._with.sessions.exists(self.session_id):
            return False
        session = self._with.sessions.get(self.session_id)
        return is_nearly_full(brain.model.context_window, session.prompt_tokens + session.completion_tokens)

    async def _sum_up(self, brain: Brain, *, is_open: bool) -> None:
        """The run keeps the session all the while, so a cancel ends both (H-24, R-SUM-10)."""
        if is_open:
            await self._end_step()
        work = self._with
        self._summary = summary = SummaryMessage(self.session_id, work.sessions, work.transcript, work.clock)
        past = await summary.past()
        self.run.ledger.step()
        reply = await summary.write(brain, past)
        self.run.ledger.spend(reply.usage, usage.cost(reply.usage, brain.model, flat_rate=brain.config.flat_rate))
        kept = summary.kept(brain, reply)
        self._summary = None
        failpoints.SUMMARY_WRITTEN()
        await work.transcript.add(kept)
        failpoints.SUMMARY_KEPT()

    async def _resume(self, crew: Crew) -> list[ModelTurn]:
        """The turn goes on from its summary, with its prompt said anew."""
        session = self._session()
        stored = await self._with.transcript.messages(self.session_id)
        past = history.after_summary(stored, session.summary_message_id)
        prompt = replace(self.run.prompt, text=resumed_request(self.run.prompt.text))
        await self._with.transcript.add(self._with.transcript.user(prompt, self._with.transcript.new_id()))
        failpoints.TURN_RESUMED()
        return self._opening(crew, past, session.summary_message_id, prompt)

    # The conversation

    def _session(self) -> Session:
        try:
            return self._with.sessions.get(self.session_id)
        except SessionNotFound as error:
            raise Failed(f"failed to get session: {error.message}") from error

    def _before_prompt(self, past: list[Message]) -> list[Message]:
        """The past without the prompts that wait for their turn, this run's own among them: a restart may have found
        them stored already."""
        waiting = self._waiting(self.session_id)
        return [message for message in past if message.id not in waiting]

    def _opening(self, crew: Crew, past: list[Message], summary_id: MessageId, prompt: Prompt) -> list[ModelTurn]:
        brain = crew.large
        turns = history.past_turns(
            past, summary_id=summary_id, provider=brain.config.id, supports_images=brain.model.supports_attachments
        )
        system = system_turns(brain, crew.instructions)
        reminder = [] if self.run.is_errand else [history.REMINDER]
        return [*system, *reminder, *turns, self._prompt_turn(prompt, brain)]

    def _prompt_turn(self, prompt: Prompt, brain: Brain) -> ModelTurn:
        return history.prompt_turn(prompt.text, prompt.attachments, supports_images=brain.model.supports_attachments)

    async def _say(self, run: Run) -> None:
        """Store a run's prompt as a user message, once; a restart may have found it stored already."""
        if run is self.run:
            if self._said:
                return
            self._said = True
        elif run.record.user_message_id:
            return
        await self._with.transcript.add(self._words_of(run))

    def _words_of(self, run: Run) -> Addition:
        message_id = self._with.transcript.new_id()
        started = [] if run.is_errand else [StartRun(run.id, message_id)]
        return self._with.transcript.user(run.prompt, message_id, started)

    # The end

    def completed(self) -> Closing:
        """The turn went through."""
        return self._closed(self._finish)

    def cancelled(self, cancellation: Cancellation) -> Closing:
        """Close what is open; a turn that was cancelled before it said anything says that (R-CANCEL-04)."""
        if not self._with.sessions.exists(self.session_id):
            return self._abandoned()
        missing = [*self._unsaid(), *self._unbegun()]
        finish = Finish(FinishReason.CANCELED, int(self._with.clock.seconds()), cancellation.reason)
        withdrawn = [self._summary.withdrawn()] if self._summary else []
        return self._closed(finish, [*missing, *self._open_calls_answered(CANCELLED_TOOL), *withdrawn])

    def failed(self, error: Exception) -> Closing:
        """Close what is open; an error before the model was asked leaves no assistant message (R-ERR-03)."""
        if not (self._live or self._has_begun) or not self._with.sessions.exists(self.session_id):
            return self._abandoned()
        missing = self._unbegun()
        title, details = describe(error)
        if self._summary is not None:  # the answer itself went well
            return self._closed(self._finish, [self._summary.failed(details)])
        finish = Finish(FinishReason.ERROR, int(self._with.clock.seconds()), title, details)
        return self._closed(finish, [*missing, *self._open_calls_answered(FAILED_TOOL)])

    def _abandoned(self) -> Closing:
        """There is nothing to close, or nowhere to write it."""
        if self._live is not None:
            self._live.discard()
        if self._summary is not None:
            self._summary.abandon()
        self._retire_live()
        return Closing()

    def _unsaid(self) -> list[Addition]:
        """The prompt, where the turn ended before it was stored."""
        said, self._said = self._said, True
        return [] if said else [self._words_of(self.run)]

    def _unbegun(self) -> list[Addition]:
        """An assistant message, where the turn ended before it had one."""
        if self._live is not None:
            return []
        begun = [] if self.run.is_errand else [BeginRun(self.run.id, int(self._with.clock.seconds()))]
        self._live, addition = self._with.transcript.assistant(self.session_id, *self._model_names(), begun)
        return [addition]

    def _open_calls_answered(self, text: str) -> list[Addition]:
        assert self._live is not None
        names = {call.id: call.name for call in self._live.calls}
        missing = [call_id for call_id in self._live.close() if call_id not in self._results]
        self._mend_inputs(self._live)
        results = (
            self._unkept.get(call_id) or ToolResult(call_id, names[call_id], text, is_error=True) for call_id in missing
        )
        return [self._with.transcript.result(self.session_id, result) for result in results]

    def _closed(self, finish: Finish, additions: Sequence[Addition] = ()) -> Closing:
        assert self._live is not None
        live, sessions = self._live, self._changed_session()
        put, event = live.finish(finish)
        self._retire_live()
        return Closing(
            (*(change for one in additions for change in one.changes), *map(PutSession, sessions), put),
            (*(told for one in additions for told in one.events), *map(session_event, sessions), event),
            MessageId(live.id),
            live.snapshot().text,
        )

    def _retire_live(self) -> None:
        if self._live is not None:
            self._with.transcript.ended(self._live)

    def _model_names(self) -> tuple[str, str]:
        current = self._with.agents.current()
        return (current[1].id, current[0].provider) if current else ("", "")
