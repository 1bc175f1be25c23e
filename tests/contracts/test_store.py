"""What every `Store` promises: the one suite that the fake and the SQLite adapter both pass."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from txcrush.adapters.sqlite import OpenSettings, OpenSqliteStore
from txcrush.model.budgets import Budget
from txcrush.model.desk import DeskEntry, DeskKind, Fallback, SessionPolicy, Settlement, Unanswered
from txcrush.model.errors import StorageFailed
from txcrush.model.events import Change, EventKind, LoggedEvent
from txcrush.model.ids import ClientId, MessageId, RunId, SessionId
from txcrush.model.messages import Binary, Finish, FinishReason, Message, Part, Role, Text
from txcrush.model.runs import Attachment, Outcome, Prompt, RunEnd, RunRecord, RunUsage, WhenBusy
from txcrush.model.sessions import FileVersion, Session, Todo, TodoStatus
from txcrush.model.storage import (
    AppendEvent,
    BeginRun,
    DeleteMessage,
    DeleteSession,
    EndRun,
    MarkRead,
    PutDeskEntry,
    PutFileVersion,
    PutMessage,
    PutPolicy,
    PutSession,
    ReadMark,
    SkipNumbers,
    StartRun,
)
from txcrush.ports import Store
from txcrush.testing.memory_store import MemoryStore

S1, S2 = SessionId("s1"), SessionId("s2")
END = RunEnd(outcome=Outcome.COMPLETED, message_id=MessageId("m9"), text="done", ended_at=9, usage=RunUsage(0.5, 7, 2))


def session(session_id: SessionId = S1, **changes: Any) -> Session:
    return Session(**{"id": session_id, "title": "A", "created_at": 1, "updated_at": 2, **changes})


def message(message_id: str, at: int = 1, text: str = "hi", owner: SessionId = S1, role: Role = Role.USER) -> Message:
    parts: tuple[Part, ...] = (Text(text), Finish(FinishReason.STOP, 0))
    return Message(MessageId(message_id), owner, role, parts, "model", "provider", at, at + 1)


def record(run_id: str, position: int, **changes: Any) -> RunRecord:
    prompt = Prompt(
        session_id=S1,
        text=f"do {run_id}",
        run_id=RunId(run_id),
        attachments=(Attachment("/a", "a", "image/png", b"\x00\xff"),),
        when_busy=WhenBusy.QUEUE,
        budget=Budget(cost=0.5, steps=3),
    )
    values = {"id": RunId(run_id), "minted": False, "prompt": prompt, "position": position, "accepted_at": 5}
    return RunRecord(**{**values, **changes})


def event(
    seq: int, key: str = "k", kind: EventKind = EventKind.MESSAGE, change: Change = Change.UPDATED
) -> LoggedEvent:
    return LoggedEvent(seq=seq, kind=kind, change=change, key=key, body=b"", at=100)


class SqlitePlace:
    """A data directory on disk that can be closed and opened again."""

    def __init__(self, path: Path) -> None:
        from twisted.internet import reactor

        ids = (f"generation-{number}" for number in itertools.count())
        self._path = path
        self._open: Any = OpenSqliteStore(reactor, lambda: 100.0, lambda: next(ids), OpenSettings("test"))  # type: ignore[arg-type]

    def open(self) -> "Deferred[Store]":
        opening: Deferred[Store] = self._open(str(self._path))
        return opening


class MemoryPlace:
    def __init__(self, path: Path) -> None:
        self._store = MemoryStore()

    def open(self) -> "Deferred[Store]":
        self._store.head()
        opening: Deferred[Store] = Deferred()
        opening.callback(self._store)
        return opening


class Opened:
    """The store under test; `again` closes it and opens its directory anew."""

    def __init__(self, place: Any, store: Store) -> None:
        self._place = place
        self.store = store

    async def again(self) -> Store:
        await self.store.close()
        self.store = await self._place.open()
        return self.store


@pytest_twisted.async_yield_fixture(params=[MemoryPlace, SqlitePlace])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opened]:
    place = request.param(tmp_path / "data")
    found = Opened(place, await place.open())
    yield found
    await found.store.close()


async def refused(deferred: "Deferred[Any]") -> StorageFailed:
    with pytest.raises(StorageFailed) as caught:
        await deferred
    return caught.value


@pytest_twisted.ensureDeferred
async def test_a_new_directory_is_empty(opened: Opened) -> None:
    store = opened.store
    assert (store.head().seq, store.head().position) == (0, 0)
    assert store.head().generation
    assert await store.sessions() == []
    assert await store.messages(S1) == []
    assert await store.user_messages(None) == []
    assert await store.message(MessageId("m")) is None
    assert await store.run(RunId("r")) is None
    assert await store.unfinished_runs() == []
    assert await store.file_versions(S1) == []
    assert await store.read_marks(S1) == []
    assert await store.events_after(0, 10) == []
    assert await store.desk_entry("d") is None
    assert (await store.desk_entries(None, "", 10), await store.pending_desk_entries()) == ([], [])
    assert await store.policies() == []


@pytest_twisted.ensureDeferred
async def test_a_session_comes_back_with_every_column_and_is_replaced_as_a_whole(opened: Opened) -> None:
    full = session(
        parent_session_id=S2,
        message_count=3,
        prompt_tokens=4,
        completion_tokens=5,
        summary_message_id=MessageId("m1"),
        cost=0.25,
        todos=(Todo("write", TodoStatus.PENDING, "Writing"),),
    )
    await opened.store.write(PutSession(full))
    assert await opened.store.sessions() == [full]
    await opened.store.write(PutSession(session()))
    assert await opened.store.sessions() == [session()]


@pytest_twisted.ensureDeferred
async def test_replacing_a_session_keeps_its_messages(opened: Opened) -> None:
    await opened.store.write(PutSession(session()), PutMessage(message("m1")))
    await opened.store.write(PutSession(session(title="B")))
    assert await opened.store.messages(S1) == [message("m1")]


@pytest_twisted.ensureDeferred
async def test_deleting_a_session_takes_its_rows_and_leaves_children_and_runs(opened: Opened) -> None:
    store = opened.store
    child = session(S2, parent_session_id=S1)
    version = FileVersion(id="f1", session_id=S1, path="/a", content="x")
    await store.write(PutSession(session()), PutSession(child), PutMessage(message("m1")), PutFileVersion(version))
    await store.write(MarkRead(S1, "/a", 5), PutMessage(message("m2", owner=S2)))
    await store.accept_run(record("r1", 1))
    await store.write(DeleteSession(S1))
    assert await store.sessions() == [child]
    assert await store.user_messages(None) == [message("m2", owner=S2)]
    assert (await store.file_versions(S1), await store.read_marks(S1)) == ([], [])
    assert [one.id for one in await store.unfinished_runs()] == ["r1"]


@pytest_twisted.ensureDeferred
async def test_promise_80_messages_are_ordered_by_insertion_whatever_the_clock_said_also_after_a_rewrite(
    opened: Opened,
) -> None:
    store = opened.store
    await store.write(PutSession(session()))
    for one in (message("z", 2), message("b", 1), message("a", 1), message("y", 2)):
        await store.write(PutMessage(one))
    await store.write(PutMessage(message("b", 1, "longer")))
    assert [one.id for one in await store.messages(S1)] == ["z", "b", "a", "y"]
    assert [one.id for one in await store.user_messages(S1)] == ["y", "a", "b", "z"]


@pytest_twisted.ensureDeferred
async def test_user_messages_are_of_one_session_or_of_all(opened: Opened) -> None:
    store = opened.store
    await store.write(PutSession(session()), PutSession(session(S2)))
    await store.write(
        PutMessage(message("m1", 1)),
        PutMessage(message("m2", 2, owner=S2)),
        PutMessage(message("m3", 3, role=Role.ASSISTANT)),
    )
    assert [one.id for one in await store.user_messages(None)] == ["m2", "m1"]
    assert [one.id for one in await store.user_messages(S2)] == ["m2"]


@pytest_twisted.ensureDeferred
async def test_unfinished_messages_are_the_assistants_without_a_finish(opened: Opened) -> None:
    store = opened.store
    await store.write(PutSession(session()), PutSession(session(S2)))
    cut_off = replace(message("m2", 2, role=Role.ASSISTANT, owner=S2), parts=(Text("half"),))
    finished = replace(cut_off, id=MessageId("m3"), parts=(Text("done"), Finish(FinishReason.END_TURN, 9)))
    await store.write(PutMessage(message("m1", 1)), PutMessage(cut_off), PutMessage(finished))
    assert [one.id for one in await store.unfinished_messages()] == ["m2"]
    await store.write(PutMessage(replace(finished, id=cut_off.id)))
    assert await store.unfinished_messages() == []


@pytest_twisted.ensureDeferred
async def test_a_message_is_replaced_found_and_deleted(opened: Opened) -> None:
    store = opened.store
    binary = replace(message("m1"), parts=(Text(""), Binary("a", "text/plain", b"\x00")), is_summary_message=True)
    await store.write(PutSession(session()), PutMessage(message("m1")), PutMessage(binary))
    assert await store.message(MessageId("m1")) == binary
    await store.write(DeleteMessage(MessageId("m1")), DeleteMessage(MessageId("unknown")))
    assert await store.message(MessageId("m1")) is None


@pytest_twisted.ensureDeferred
async def test_a_message_of_an_unknown_session_is_refused(opened: Opened) -> None:
    await refused(opened.store.write(PutMessage(message("m1"))))
    assert await opened.store.message(MessageId("m1")) is None


@pytest_twisted.ensureDeferred
async def test_a_failed_write_keeps_nothing_and_its_neighbours_are_untouched(opened: Opened) -> None:
    store = opened.store
    before = store.write(PutSession(session()))
    broken = store.write(PutMessage(message("m1")), PutMessage(message("m2", owner=S2)))
    after = store.write(PutMessage(message("m3")))
    await before
    await refused(broken)
    await after
    assert [one.id for one in await store.messages(S1)] == ["m3"]


@pytest_twisted.ensureDeferred
async def test_negative_counts_are_refused(opened: Opened) -> None:
    await refused(opened.store.write(PutSession(session(message_count=-1))))


@pytest_twisted.ensureDeferred
async def test_a_run_is_accepted_once_and_the_second_asker_gets_the_first_record(opened: Opened) -> None:
    store = opened.store
    first = record("r1", 1)
    assert await store.accept_run(first) is None
    other = record("r1", 2, prompt=Prompt(session_id=S2, text="another", run_id=RunId("r1")))
    assert await store.accept_run(other) == first
    assert await store.run(RunId("r1")) == first
    assert (await opened.again()).head().position == 1


@pytest_twisted.ensureDeferred
async def test_a_run_without_a_client_id_is_told_from_one_with_it(opened: Opened) -> None:
    minted = record("r1", 1, minted=True, prompt=Prompt(session_id=S1, text="x"))
    await opened.store.accept_run(minted)
    assert await opened.store.run(RunId("r1")) == minted


@pytest_twisted.ensureDeferred
async def test_a_position_is_used_once(opened: Opened) -> None:
    await opened.store.accept_run(record("r1", 1))
    await refused(opened.store.accept_run(record("r2", 1)))
    assert await opened.store.run(RunId("r2")) is None


@pytest_twisted.ensureDeferred
async def test_the_facts_of_a_run_are_kept_and_the_first_beginning_counts(opened: Opened) -> None:
    store = opened.store
    await store.accept_run(record("r1", 1))
    await store.write(StartRun(RunId("r1"), MessageId("m1")))
    await store.write(BeginRun(RunId("r1"), 7))
    await store.write(BeginRun(RunId("r1"), 8))
    assert await store.run(RunId("r1")) == record("r1", 1, user_message_id=MessageId("m1"), began_at=7)


@pytest_twisted.ensureDeferred
async def test_marks_of_an_unknown_run_are_refused(opened: Opened) -> None:
    await refused(opened.store.write(StartRun(RunId("r"), MessageId("m"))))
    await refused(opened.store.write(BeginRun(RunId("r"), 1)))
    await refused(opened.store.write(EndRun(RunId("r"), END)))


@pytest_twisted.ensureDeferred
async def test_a_run_ends_once_and_a_second_end_takes_its_whole_write_with_it(opened: Opened) -> None:
    store = opened.store
    await store.accept_run(record("r1", 1))
    first = store.write(PutSession(session()), EndRun(RunId("r1"), END))
    second = store.write(PutSession(session(S2)), EndRun(RunId("r1"), replace(END, outcome=Outcome.FAILED)))
    third = store.write(PutMessage(message("m1")))
    await first
    await refused(second)
    await third
    ended = await store.run(RunId("r1"))
    assert ended is not None and ended.end == END
    assert [one.id for one in await store.sessions()] == [S1]
    assert await store.unfinished_runs() == []


@pytest_twisted.ensureDeferred
async def test_an_ended_run_keeps_what_tells_another_prompt(opened: Opened) -> None:
    store = opened.store
    await store.accept_run(record("r1", 1))
    end = RunEnd(outcome=Outcome.CANCELLED, error="e", reason="asked", source="user", ended_at=4)
    await store.write(EndRun(RunId("r1"), end))
    existing = await store.accept_run(record("r1", 2))
    assert existing is not None
    assert (existing.prompt.session_id, existing.prompt.text) == (S1, "do r1")
    assert (existing.end, existing.prompt.attachments) == (end, ())


@pytest_twisted.ensureDeferred
async def test_promise_16_unfinished_runs_come_back_in_the_order_of_acceptance(opened: Opened) -> None:
    await gatherResults([opened.store.accept_run(record(f"r{999 - number}", number + 1)) for number in range(1000)])
    await opened.store.write(EndRun(RunId("r995"), END))
    found = await (await opened.again()).unfinished_runs()
    assert [one.position for one in found] == [number for number in range(1, 1001) if number != 5]
    assert found[0] == record("r999", 1)


@pytest_twisted.ensureDeferred
async def test_runs_are_listed_the_newest_first_by_session_and_page(opened: Opened) -> None:
    store = opened.store
    other = replace(record("r2", 2).prompt, session_id=S2)
    for one in (record("r1", 1), record("r2", 2, prompt=other), record("r3", 3), record("r4", 4)):
        await store.accept_run(one)
    await store.write(EndRun(RunId("r3"), END))

    async def listed(session_id: SessionId | None = None, before: str = "", limit: int = 9, **more: Any) -> list[str]:
        return [one.id for one in await store.runs(session_id, RunId(before), limit, **more)]

    assert await listed() == ["r4", "r3", "r2", "r1"]
    assert await listed(S1) == ["r4", "r3", "r1"]
    assert await listed(limit=2) == ["r4", "r3"]
    assert await listed(before="r3", limit=2) == ["r2", "r1"]
    assert await listed(S2, before="r2") == []
    assert await listed(before="unknown") == ["r4", "r3", "r2", "r1"]
    assert await listed(is_ended=True) == ["r3"]
    assert await listed(S1, is_ended=False) == ["r4", "r1"]
    (ended,) = await store.runs(S1, RunId(""), 9, is_ended=True)
    assert ended.end == END


@pytest_twisted.ensureDeferred
async def test_file_versions_are_ordered_by_version_and_unique_per_path(opened: Opened) -> None:
    store = opened.store
    versions = [
        FileVersion(id=name, session_id=S1, path=path, content=name, version=number, created_at=at, updated_at=at)
        for name, path, number, at in (("c", "/b", 1, 5), ("a", "/a", 0, 9), ("b", "/b", 0, 3))
    ]
    await store.write(PutSession(session()), *(PutFileVersion(one) for one in versions))
    assert [one.id for one in await store.file_versions(S1)] == ["b", "a", "c"]
    assert (await store.file_versions(S1))[2] == versions[0]
    await refused(store.write(PutFileVersion(replace(versions[0], id="d"))))


@pytest_twisted.ensureDeferred
async def test_d_17_the_newest_version_of_a_path_is_of_one_session_or_of_all(opened: Opened) -> None:
    store = opened.store
    versions = [
        FileVersion(id=name, session_id=owner, path=path, content=name, version=number, created_at=at)
        for name, owner, path, number, at in (
            ("a", S1, "/a", 0, 1),
            ("b", S1, "/a", 1, 1),
            ("c", S2, "/a", 3, 1),
            ("d", S2, "/b", 9, 1),
            ("e", S1, "/a", 3, 1),
        )
    ]
    await store.write(PutSession(session()), PutSession(session(S2)), *map(PutFileVersion, versions))
    assert await store.newest_file_version("/a", S2) == versions[2]
    assert await store.newest_file_version("/a", None) == versions[4]
    assert await store.newest_file_version("/b", S1) is None
    assert await store.newest_file_version("/c", None) is None


@pytest_twisted.ensureDeferred
async def test_read_marks_keep_the_last_time_latest_first(opened: Opened) -> None:
    store = opened.store
    await store.write(PutSession(session()), PutSession(session(S2)))
    await store.write(MarkRead(S1, "/a", 1), MarkRead(S1, "/b", 2), MarkRead(S1, "/a", 3), MarkRead(S2, "/c", 9))
    assert await store.read_marks(S1) == [ReadMark("/a", 3), ReadMark("/b", 2)]
    await store.write(MarkRead(S1, "/b", 1, size=7, mtime_ns=1_700_000_000_123_456_789))
    assert await store.read_marks(S1) == [ReadMark("/a", 3), ReadMark("/b", 2, 7, 1_700_000_000_123_456_789)]
    await refused(store.write(MarkRead(SessionId("unknown"), "/a", 1)))
    await refused(store.write(MarkRead(S1, "", 1)))


@pytest_twisted.ensureDeferred
async def test_events_come_in_order_and_in_pages(opened: Opened) -> None:
    store = opened.store
    logged = [replace(event(seq, kind=EventKind.SESSION), body=b'{"a":1}') for seq in (1, 2, 5)]
    await store.write(*(AppendEvent(one) for one in logged))
    assert await store.events_after(0, 10) == logged
    assert await store.events_after(1, 1) == [logged[1]]
    assert await store.events_after(5, 10) == []


@pytest_twisted.ensureDeferred
async def test_a_message_update_replaces_its_older_updates_and_nothing_else(opened: Opened) -> None:
    store = opened.store
    await store.write(AppendEvent(event(1, "m1", change=Change.CREATED)), AppendEvent(event(2, "m1")))
    await store.write(AppendEvent(event(3, "m2")), AppendEvent(event(4, "m1", EventKind.SESSION)))
    await store.write(AppendEvent(event(5, "m1", EventKind.SESSION)), AppendEvent(event(6, "m1")))
    assert [one.seq for one in await store.events_after(0, 10)] == [1, 3, 4, 5, 6]


@pytest_twisted.ensureDeferred
async def test_an_event_number_is_used_once(opened: Opened) -> None:
    await opened.store.write(AppendEvent(event(1, kind=EventKind.SESSION)))
    await refused(opened.store.write(AppendEvent(event(1, kind=EventKind.FILE))))


@pytest_twisted.ensureDeferred
async def test_numbers_and_the_generation_survive_a_restart(opened: Opened) -> None:
    generation = opened.store.head().generation
    await opened.store.write(AppendEvent(event(41)))
    head = (await opened.again()).head()
    assert (head.generation, head.seq) == (generation, 41)


@pytest_twisted.ensureDeferred
async def test_promise_27_numbers_that_were_skipped_are_known_after_every_restart(opened: Opened) -> None:
    await opened.store.write(AppendEvent(event(41)))
    await opened.store.write(SkipNumbers(41, 100))
    store = await opened.again()
    assert (store.head().seq, store.head().skipped) == (100, (SkipNumbers(41, 100),))
    await store.write(SkipNumbers(100, 200), AppendEvent(event(201, "m2")))
    head = (await opened.again()).head()
    assert (head.seq, head.skipped) == (201, (SkipNumbers(41, 100), SkipNumbers(100, 200)))


@pytest_twisted.ensureDeferred
async def test_big_events_may_come_fewer_at_a_time_and_none_only_where_there_is_none(opened: Opened) -> None:
    store = opened.store
    big = [replace(event(seq, kind=EventKind.FILE), body=b"x" * 700_000) for seq in range(1, 6)]
    await store.write(*(AppendEvent(one) for one in big))
    read: list[LoggedEvent] = []
    while page := await store.events_after(read[-1].seq if read else 0, 10):
        read += page
    assert read == big


@pytest_twisted.ensureDeferred
async def test_reads_see_every_write_called_before_them(opened: Opened) -> None:
    store = opened.store
    writes = [store.write(PutSession(session()))]
    for number in range(50):
        writes.append(store.write(PutMessage(message(f"m{number}"))))
    read = store.messages(S1)
    later = store.write(DeleteSession(S1))
    assert len(await read) in (50, 0)  # later writes may be seen too
    await gatherResults([*writes, later])
    assert await store.messages(S1) == []


@pytest_twisted.ensureDeferred
async def test_a_write_of_nothing_fires(opened: Opened) -> None:
    assert await opened.store.write() is None


@pytest_twisted.ensureDeferred
async def test_cancelling_forgets_the_asker_and_not_the_work(opened: Opened) -> None:
    store = opened.store
    outcomes: list[Any] = []
    calls: list[Deferred[Any]] = [
        store.write(PutSession(session())),
        store.accept_run(record("r1", 1)),
        store.write(PutMessage(message("m1", owner=S2))),
        store.sessions(),
    ]
    for call in calls:
        call.addErrback(lambda failure: outcomes.append(failure.value))
        call.cancel()
    assert await store.sessions() == [session()]
    assert await store.run(RunId("r1")) == record("r1", 1)
    assert all(isinstance(outcome, (CancelledError, StorageFailed)) for outcome in outcomes)


@pytest_twisted.ensureDeferred
async def test_closing_keeps_every_write_and_answers_every_read_called_before(opened: Opened) -> None:
    store = opened.store
    writes = [store.write(PutSession(session(SessionId(f"s{number}")))) for number in range(100)]
    read = store.sessions()
    await store.close()
    await gatherResults(writes)
    assert len(await read) == 100
    assert len(await (await opened.again()).sessions()) == 100


@pytest_twisted.ensureDeferred
async def test_a_closed_store_refuses_and_may_be_closed_again(opened: Opened) -> None:
    store = opened.store
    await gatherResults([store.close(), store.close()])
    await refused(store.write(PutSession(session())))
    await refused(store.sessions())
    await refused(store.accept_run(record("r1", 1)))
    await store.close()


def desk_entry(entry_id: str, owner: SessionId = S1, **changes: Any) -> DeskEntry:
    values = {"id": entry_id, "kind": DeskKind.PERMISSION, "session_id": owner, "subject": {"n": 1}, "asked_at": 5}
    return DeskEntry(**{**values, **changes})


@pytest_twisted.ensureDeferred
async def test_a_desk_entry_comes_back_with_every_column_and_is_replaced_in_its_place(opened: Opened) -> None:
    settled = desk_entry(
        "d1",
        kind=DeskKind.QUESTION,
        tool_call_id="c1",
        subject={"params": {"text": "<\u00e4\x00>", "list": [1, None, {"a": 1.5}]}},
        outcome=Settlement.ANSWERED,
        by="client",
        client_id=ClientId("alice"),
        via="unix",
        settled_at=9,
    )
    await opened.store.write(PutDeskEntry(desk_entry("d1")), PutDeskEntry(desk_entry("d2")))
    assert await opened.store.pending_desk_entries() == [desk_entry("d1"), desk_entry("d2")]
    await opened.store.write(PutDeskEntry(settled))
    store = await opened.again()
    assert await store.desk_entry("d1") == settled
    assert await store.desk_entries(None, "", 10) == [desk_entry("d2"), settled]
    assert await store.pending_desk_entries() == [desk_entry("d2")]


@pytest_twisted.ensureDeferred
async def test_the_desks_book_is_read_page_by_page_of_one_session_or_of_all(opened: Opened) -> None:
    store = opened.store
    entries = [desk_entry(f"d{number}", S1 if number % 2 else S2) for number in range(6)]
    await store.write(*map(PutDeskEntry, entries))

    async def ids(session_id: SessionId | None, before: str, limit: int) -> list[str]:
        return [one.id for one in await store.desk_entries(session_id, before, limit)]

    assert await ids(None, "", 3) == ["d5", "d4", "d3"]
    assert await ids(None, "d3", 3) == ["d2", "d1", "d0"]
    assert await ids(S1, "", 2) == ["d5", "d3"]
    assert await ids(S1, "d3", 2) == ["d1"]
    assert await ids(S1, "unknown", 1) == ["d5"]


@pytest_twisted.ensureDeferred
async def test_the_desks_book_outlives_its_session_and_a_policy_does_not(opened: Opened) -> None:
    store = opened.store
    policy = SessionPolicy(S1, Unanswered(Fallback.DENY, 30.5), skip=True)
    await store.write(PutSession(session()), PutDeskEntry(desk_entry("d1")), PutPolicy(policy))
    assert await store.policies() == [policy]
    await store.write(PutPolicy(SessionPolicy(S1)))
    assert await store.policies() == [SessionPolicy(S1)]
    await store.write(DeleteSession(S1))
    assert (await store.policies(), await store.desk_entry("d1")) == ([], desk_entry("d1"))
    await refused(store.write(PutPolicy(policy)))
