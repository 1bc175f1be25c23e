"""A sink that keeps what a provider says, for tests."""

from twisted.internet.defer import Deferred

from txcrush.ports import StreamSink

Said = tuple[str, ...]


class RecordingSink:
    """`said` holds every call in order: `("text", delta)`, `("reasoning", delta)`, `("reasoning_ended", signature)`,
    `("tool_started", id, name)`, `("tool_call", id, name, arguments)`; `stalls` the stalls."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.stalls: list[float] = []
        self._watchers: list[tuple[int, Deferred[None]]] = []

    def text(self, delta: str) -> None:
        self._add("text", delta)

    def reasoning(self, delta: str) -> None:
        self._add("reasoning", delta)

    def reasoning_ended(self, signature: str = "") -> None:
        self._add("reasoning_ended", signature)

    def tool_started(self, call_id: str, name: str) -> None:
        self._add("tool_started", call_id, name)

    def tool_call(self, call_id: str, name: str, arguments: str) -> None:
        self._add("tool_call", call_id, name, arguments)

    def stalled(self, wait_s: float) -> None:
        self.stalls.append(wait_s)

    @property
    def whole_text(self) -> str:
        """All text deltas, joined."""
        return "".join(said[1] for said in self.said if said[0] == "text")

    @property
    def whole_reasoning(self) -> str:
        """All reasoning deltas, joined."""
        return "".join(said[1] for said in self.said if said[0] == "reasoning")

    @property
    def calls(self) -> list[Said]:
        """The complete tool calls: (id, name, arguments)."""
        return [said[1:] for said in self.said if said[0] == "tool_call"]

    def when_said(self, count: int) -> Deferred[None]:
        """Fires when so many things were said."""
        watcher: Deferred[None] = Deferred()
        self._watchers.append((count, watcher))
        self._tell()
        return watcher

    def _add(self, *said: str) -> None:
        self.said.append(said)
        self._tell()

    def _tell(self) -> None:
        due = [item for item in self._watchers if item[0] <= len(self.said)]
        self._watchers = [item for item in self._watchers if item not in due]
        for _, watcher in due:
            watcher.callback(None)


def _conforms(sink: RecordingSink) -> StreamSink:
    return sink
