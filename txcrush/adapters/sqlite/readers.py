"""A few threads that read, each with its own connection, so that a long list blocks neither writes nor short reads."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from traceback import clear_frames
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred

from txcrush.adapters.sqlite.answers import CallFromThread, answer
from txcrush.adapters.sqlite.condition import Condition
from txcrush.adapters.sqlite.failures import primary_code, storage_failure
from txcrush.model.errors import CrushError

Query: TypeAlias = Callable[[sqlite3.Connection], Any]


@dataclass(frozen=True, eq=False)
class _Read:
    query: Query
    deferred: "Deferred[Any]"


class Readers:
    """The reading threads and their common queue."""

    def __init__(
        self,
        connections: Sequence[sqlite3.Connection],
        call_from_thread: CallFromThread,
        condition: Condition,
        name: str,
    ) -> None:
        self._call_from_thread = call_from_thread
        self._condition = condition
        self._queue: SimpleQueue[_Read | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, args=(connection,), name=name, daemon=True) for connection in connections
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def read(self, query: Query, deferred: "Deferred[Any]") -> None:
        """Fire the Deferred with what the query returns. May be called on any thread."""
        self._queue.put(_Read(query, deferred))

    def stop_and_join(self) -> None:
        """Answer what is queued, then end the threads. Blocks: not for the reactor's thread."""
        self.stop()
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Let the threads end, those that were ever started."""
        for _ in self._threads:
            self._queue.put(None)

    def _run(self, connection: sqlite3.Connection) -> None:
        while (read := self._queue.get()) is not None:
            if not read.deferred.called:  # else the asker has gone, which may be noticed too late but not too early
                result = ask(connection, read.query)
                self._condition.met(result)
                self._call_from_thread(answer, [(read.deferred, result)])


def ask(connection: sqlite3.Connection, query: Query) -> Any:
    """The query's result, or the error to fail with."""
    try:
        return query(connection)
    except sqlite3.OperationalError as error:
        if primary_code(error) < 0 and "UTF-8" in str(error):
            clear_frames(error.__traceback__)
            return _ask_leniently(connection, query)
        return _failure(error)
    except Exception as error:  # whatever it is, it is the asker's answer and the thread lives on
        return _failure(error)


def _ask_leniently(connection: sqlite3.Connection, query: Query) -> Any:
    """A damaged text does not keep everything beside it from being read: its broken bytes are replaced."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        return query(connection)
    except Exception as error:
        return _failure(error)
    finally:
        connection.text_factory = str


def _failure(error: Exception) -> CrushError:
    """What the asker gets. A cursor in the error's frames would keep its read open, and closing would wait for it."""
    clear_frames(error.__traceback__)
    return error if isinstance(error, CrushError) else storage_failure(error)
