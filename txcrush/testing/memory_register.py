"""A register in memory, with the real one's rules."""

from collections.abc import Callable

from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail, succeed

from txcrush.model.errors import StorageFailed
from txcrush.model.register import Listed
from txcrush.ports import Register


class MemoryRegister:
    """`listed` is what is durable. While `error` is set every call fails with it; while `held` is, changes wait."""

    def __init__(self) -> None:
        self.listed: dict[str, Listed] = {}
        self.error: StorageFailed | None = None
        self._held: list[tuple[Callable[[], None], Deferred[None]]] | None = None

    def hold(self) -> None:
        """From now on no change becomes durable, until `release`."""
        self._held = []

    def release(self) -> None:
        """Make the changes that were held, and later ones at once."""
        held, self._held = self._held or [], None
        for change, done in held:
            change()
            done.callback(None)

    def entries(self) -> "Deferred[list[Listed]]":
        return fail(self.error) if self.error is not None else succeed(list(self.listed.values()))

    def add(self, entry: Listed) -> "Deferred[None]":
        def add() -> None:
            known = self.listed.get(entry.data_dir, entry)
            self.listed[entry.data_dir] = replace(
                entry, attempts=known.attempts, error=known.error, failing_since=known.failing_since
            )

        return self._do(add)

    def attempt(self, data_dir: str) -> "Deferred[None]":
        return self._change(data_dir, lambda one: replace(one, attempts=one.attempts + 1))

    def opened(self, data_dir: str) -> "Deferred[None]":
        return self._change(data_dir, lambda one: replace(one, attempts=0, error="", failing_since=0))

    def failed(self, data_dir: str, error: str, at: int) -> "Deferred[None]":
        return self._change(
            data_dir, lambda one: replace(one, attempts=0, error=error, failing_since=one.failing_since or at)
        )

    def skipped(self, data_dir: str, error: str, at: int) -> "Deferred[None]":
        return self._change(data_dir, lambda one: replace(one, error=error, failing_since=one.failing_since or at))

    def remove(self, data_dir: str) -> "Deferred[None]":
        return self._do(lambda: self.listed.pop(data_dir, None))

    def close(self) -> "Deferred[None]":
        return succeed(None)

    def _change(self, data_dir: str, change: Callable[[Listed], Listed]) -> "Deferred[None]":
        def apply() -> None:
            if data_dir in self.listed:
                self.listed[data_dir] = change(self.listed[data_dir])

        return self._do(apply)

    def _do(self, change: Callable[[], object]) -> "Deferred[None]":
        if self.error is not None:
            return fail(self.error)
        if self._held is not None:
            done: Deferred[None] = Deferred(lambda _: None)
            self._held.append((lambda: (change(), None)[1], done))
            return done
        change()
        return succeed(None)


def _conforms(register: MemoryRegister) -> Register:
    """Read by mypy only: the fake fits its port."""
    return register
