"""The machine's processes as they are now, and which of them belong to what the server has started.

Everything here reads `/proc` (or its like) and is to be called in a thread: a table of 500 processes takes about 50 ms.
"""

import os
import signal
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import psutil

MARK = "TXCRUSH_CALL"
"""The variable that tells of every process which call it was started for."""


LAST_ROUNDS = 20
LAST_PAUSE_S = 0.005


class Seen(Struct, frozen=True, kw_only=True):
    """A process. `mark` is empty where it has none or shows none; `is_bare` says that its environment can be read and
    holds nothing of the server's own; `started_at` is Unix time in seconds."""

    pid: int
    parent: int
    group: int
    session: int
    started_at: float
    mark: str = ""
    is_bare: bool = False
    is_zombie: bool = False


Table = Mapping[int, Seen]


class Root(Struct, frozen=True, kw_only=True):
    """A program that the server has started, the leader of its session. `is_alive` until it has been reaped. Strays
    that began between `strays_from` and `strays_until` can be of nobody else, because nothing else ran then."""

    pid: int
    mark: str
    is_alive: bool
    strays_from: float = 0.0
    strays_until: float = 0.0


def read_table() -> dict[int, Seen]:
    """Every process that can be seen."""
    import psutil  # on first use: the server starts without it

    table = {}
    for pid in psutil.pids():
        seen = _look_at(pid)
        if seen is not None:
            table[pid] = seen
    return table


def _look_at(pid: int) -> Seen | None:
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            is_zombie = process.status() == psutil.STATUS_ZOMBIE
            environ = {} if is_zombie else _environ_of(process)
            return Seen(
                pid=pid,
                parent=process.ppid(),
                group=os.getpgid(pid),
                session=os.getsid(pid),
                started_at=process.create_time(),
                mark="" if environ is None else environ.get(MARK, ""),
                is_bare=environ is not None and not environ.items() & os.environ.items(),
                is_zombie=is_zombie,
            )
    except (psutil.Error, OSError):
        return None


def _environ_of(process: "psutil.Process") -> dict[str, str] | None:
    import psutil

    try:
        return process.environ()
    except (psutil.Error, OSError, ValueError):
        return None


def covers(mark: str, other: str) -> bool:
    """Whether what carries `other` is under `mark`."""
    return other == mark or other.startswith(f"{mark}/")


def belonging(table: Table, mark: str, roots: Iterable[Root], own_pid: int, children: Iterable[int]) -> set[int]:
    """The living processes that belong to a mark: those that carry it, those of a root's session, orphans that can be
    of nobody else, and all their descendants. `children` are the pids that the server has started itself."""
    ours = [root for root in roots if covers(mark, root.mark)]
    sessions = {root.pid for root in ours if root.is_alive}
    orphans = [seen for seen in table.values() if seen.parent == own_pid and seen.pid not in set(children)]
    found = {seen.pid for seen in table.values() if covers(mark, seen.mark) or seen.session in sessions}
    found |= {seen.pid for seen in orphans if any(_left_by(root, seen) for root in ours)}
    return {pid for pid in _with_descendants(table, found) if pid != own_pid and not table[pid].is_zombie}


def _left_by(root: Root, orphan: Seen) -> bool:
    """Whether an orphan that the server has adopted was left by a program, although it has shed its mark: it is still
    in the program's session, or it has shed its whole environment and began while nothing else ran."""
    if orphan.mark:
        return False
    if orphan.session == root.pid != orphan.pid:
        return True
    return orphan.is_bare and root.strays_from <= orphan.started_at <= root.strays_until


def descendants(table: Table, pid: int) -> set[int]:
    """Everything below a process that still lives and has left the process's own session, as all that we start does."""
    below = _with_descendants(table, {pid}) - {pid}
    return {one for one in below if table[one].session != table[pid].session and not table[one].is_zombie}


def _with_descendants(table: Table, found: set[int]) -> set[int]:
    below: dict[int, list[int]] = {}
    for seen in table.values():
        below.setdefault(seen.parent, []).append(seen.pid)
    reached, waiting = set[int](), list(found)
    while waiting:
        pid = waiting.pop()
        if pid not in reached and pid in table:
            reached.add(pid)
            waiting.extend(below.get(pid, ()))
    return reached


def send(table: Table, pids: Iterable[int], number: signal.Signals) -> None:
    """Signal the processes, and at once the groups that they lead or that are all theirs: no fork slips between."""
    pids = set(pids)
    own_group = os.getpgrp()
    groups = {table[pid].group for pid in pids} - {own_group, 0, 1}
    shared = {seen.group for seen in table.values() if seen.pid not in pids and not seen.is_zombie}
    for group in groups - shared:
        _signal(os.killpg, group, number)
    for pid in pids:
        if table[pid].group in shared or number == signal.SIGKILL:
            _signal(os.kill, pid, number)


def _signal(how: object, pid: int, number: signal.Signals) -> bool:
    try:
        how(pid, number)  # type: ignore[operator]  # os.kill or os.killpg
    except (ProcessLookupError, PermissionError):
        return False
    return True


def ignores_interrupt(pid: int) -> bool:
    """Whether an interrupt would change nothing for the process; False where that cannot be known."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            masks = [line.split()[1] for line in status if line.startswith("SigIgn:")]
    except OSError:
        return False
    return bool(masks) and bool(int(masks[0], 16) >> (signal.SIGINT - 1) & 1)


def children_of(own_pid: int) -> list[int]:
    """The server's own children, adopted ones too, dead ones too."""
    try:
        tasks = os.listdir(f"/proc/{own_pid}/task")
        texts = [_read(f"/proc/{own_pid}/task/{task}/children") for task in tasks]
    except OSError:
        import psutil

        return [child.pid for child in psutil.Process(own_pid).children()]
    return [int(pid) for text in texts for pid in text.split()]


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()


class Orphans(Struct, frozen=True, kw_only=True):
    """Adopted children. `dead` are surely nobody's; `suspects` have died and may still be waited for by a part of the
    server that started them itself; `living` counts the rest."""

    dead: frozenset[int]
    suspects: dict[int, float]
    living: int


def find_orphans(own_pid: int, children: Iterable[int], suspects: Mapping[int, float]) -> Orphans:
    """The server's children without those that it knows.

    A dead one in a session that is neither ours nor its own was never started by us. Any other is a suspect at first
    sight; if it is still there at the next look (`suspects` holds when each had been started), nobody waits for it.
    """
    dead, doubtful, living = set[int](), dict[int, float](), 0
    own_session = os.getsid(0)
    for pid in set(children_of(own_pid)) - set(children):
        seen = _look_at(pid)
        if seen is None or not seen.is_zombie:
            living += 1
        elif seen.session not in (own_session, pid) or suspects.get(pid) == seen.started_at:
            dead.add(pid)
        else:
            doubtful[pid] = seen.started_at
    return Orphans(dead=frozenset(dead), suspects=doubtful, living=living)


def kill_children(own_pid: int) -> None:
    """Kill the children, their groups, and whom these leave to us, here and now: the process is about to end. Takes a
    tenth of a second at most, and blocks."""
    for _ in range(LAST_ROUNDS):
        children = children_of(own_pid)
        for pid in children:
            _signal(os.killpg, pid, signal.SIGKILL)
            _signal(os.kill, pid, signal.SIGKILL)
        reap(children)
        if not children:
            return
        time.sleep(LAST_PAUSE_S)


def reap(pids: Iterable[int]) -> None:
    """Take the dead off the table, each by its own number: nobody else's children are touched."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue
