"""Whatever comes in whatever order, each request is settled once, told once, and stands in the book as it ended."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from txcrush.model.desk import Answerer, Settlement, Settler, parse_unanswered
from txcrush.model.errors import StorageFailed
from txcrush.model.ids import PermissionId, SessionId
from txcrush.model.permissions import Ask, Verdict
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import CLIENT, Harness

WHO = Answerer(Settler.CLIENT)
OUTCOMES = {Settlement.GRANTED: True, Settlement.GRANTED_FOR_SESSION: True, Settlement.DENIED: False}

POLICIES = [("policy", text) for text in ("ask", "deny:30", "allow", "allow:5")]

ops = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 2)),
    st.tuples(st.just("answer"), st.integers(0, 1), st.sampled_from(list(Verdict))),
    st.tuples(st.just("answer"), st.integers(0, 1), st.sampled_from(list(Verdict))),
    st.tuples(st.just("cancel"), st.integers(0, 4)),
    st.tuples(st.just("cancel"), st.integers(0, 4)),
    st.tuples(st.just("hold")),
    st.tuples(st.just("release"), st.sampled_from([1, 2, None, None])),
    st.tuples(st.just("rest"), st.sampled_from([("fail",), ("wait", 1), ("wait", 30), *POLICIES])),
)


class World:
    """A desk, those who ask, and those who answer."""

    def __init__(self) -> None:
        self.harness = Harness()
        self.talk = Conversation(self.harness)
        self.talk.workspace.claims.attach(CLIENT)
        self.desk = self.talk.workspace.permissions
        self.store = self.talk.store
        self.sessions = [now(self.talk.workspace.sessions.create(str(number))).id for number in range(3)]
        self.asked: list[tuple[SessionId, Deferred[bool]]] = []
        self.results: dict[str, bool | Failure] = {}
        self.errors: list[Failure] = []
        self.won: list[str] = []

    def ask(self, session: int) -> None:
        call_id = f"c{len(self.asked)}"
        asked = self.desk.ask(
            Ask(
                session_id=self.sessions[session],
                tool_call_id=call_id,
                tool_name="bash",
                action="execute",
                description="",
                path=f"/project/{len(self.asked) % 2}",
                params=None,
            )
        )
        self.asked.append((self.sessions[session], asked))
        asked.addBoth(lambda result: self.results.__setitem__(call_id, result))

    def answer(self, number: int, verdict: Verdict) -> None:
        pending = self.desk.pending()
        if pending:
            permission_id = pending[number % len(pending)].id
            self._answer(permission_id, verdict)
            self._answer(permission_id, Verdict.DENY)

    def _answer(self, permission_id: PermissionId, verdict: Verdict) -> None:
        answering = Deferred.fromCoroutine(self.desk.answer(permission_id, verdict, WHO))
        answering.addCallbacks(lambda won: self.won.extend([permission_id] * won), self.errors.append)

    def cancel(self, number: int) -> None:
        waiting = [asked for _, asked in self.asked if not asked.called]
        if waiting:
            waiting[number % len(waiting)].cancel()

    def hold(self) -> None:
        self.store.hold()

    def release(self, count: int | None) -> None:
        self.store.release(count)

    def rest(self, op: tuple[str, object]) -> None:
        getattr(self, op[0])(*op[1:])

    def fail(self) -> None:
        self.store.fail_next(StorageFailed("disk full"))

    def wait(self, seconds: int) -> None:
        self.harness.clock.advance(seconds)

    def policy(self, text: str) -> None:
        unanswered = parse_unanswered(text)
        setting = Deferred.fromCoroutine(self.desk.policies.set(self.sessions[0], WHO, unanswered=unanswered))
        setting.addErrback(self.errors.append)

    def finish(self) -> None:
        """Let everything that is under way come to its end; what waits for an answer goes on waiting."""
        self.store._failures.clear()
        self.store.release()

    def check(self) -> None:
        book = {one.tool_call_id: one for one in now(self.desk.book.entries(None, "", 1000)) if one.tool_call_id}
        told = Counter(
            one["tool_call_id"]
            for one in self.talk.listener.of("permission_notification")
            if one["granted"] or one["denied"]
        )
        pending = {one.tool_call_id for one in self.desk.pending()}
        assert max(told.values(), default=0) <= 1
        assert max(Counter(self.won).values(), default=0) <= 1
        assert len({one.session_id for one in self.desk.pending()}) == len(pending)
        for call_id, result in self.results.items():
            assert call_id not in pending
            if isinstance(result, Failure):
                assert result.check(CancelledError, StorageFailed)
            else:
                assert told[call_id] == 1 and OUTCOMES[book[call_id].outcome] is result
        for call_id in pending:
            assert told[call_id] == 0 and book[call_id].outcome is Settlement.PENDING
        for error in self.errors:
            assert error.check(StorageFailed)


@settings(max_examples=300)
@given(st.lists(ops, max_size=40))
def test_each_request_is_settled_once_and_told_once(script: list[tuple[object, ...]]) -> None:
    world = World()
    for name, *arguments in script:
        getattr(world, str(name))(*arguments)
    world.finish()
    world.check()
