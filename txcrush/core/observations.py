"""What the services note while they work, for `/metrics` and for the answer to "is it well?".

Plain counters, made once by `wiring.py` and handed to whoever does the work. No label holds an id, a path or a secret.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from txcrush.core.tallies import Spread, Tally
from txcrush.model.metrics import Family

MANY_TRIES = 32
"""Directories that could not be opened, as far as they are remembered."""


class RunFigures:
    """Runs as they come and go."""

    def __init__(self) -> None:
        self.accepted = Tally("txcrush_runs_accepted_total", "Prompts that became a run.")
        self.ended = Tally("txcrush_runs_ended_total", "Runs that have ended.", ("outcome",))
        self.seconds = Spread("txcrush_run_duration_seconds", "From acceptance to the end of a run.", ("outcome",))
        self.waited = Spread("txcrush_run_queue_wait_seconds", "From acceptance to the begin of a run's turn.")

    def families(self) -> Iterator[Family]:
        yield from (one.family() for one in (self.accepted, self.ended, self.seconds, self.waited))


class StreamFigures:
    """Readers of the event streams. How many are open, and what waits for them, is asked of the streams themselves."""

    def __init__(self) -> None:
        self.coalesced = Tally(
            "txcrush_stream_updates_coalesced_total", "Updates that a newer one replaced while a reader was slow."
        )
        self.given_up = Tally("txcrush_stream_readers_given_up_total", "Readers that were ended for being too slow.")

    def families(self) -> Iterator[Family]:
        yield from (one.family() for one in (self.coalesced, self.given_up))


class ToolFigures:
    """Tool calls. `outcome` is ok, error, refused, crashed or cancelled; a tool that does not exist is `unknown`."""

    def __init__(self) -> None:
        self.calls = Tally("txcrush_tool_calls_total", "Tool calls that have ended.", ("tool", "outcome"))

    def families(self) -> Iterator[Family]:
        yield self.calls.family()


class ProviderFigures:
    """Requests to models. `outcome` is ok, failed or cancelled."""

    def __init__(self) -> None:
        model = ("provider", "model")
        self.requests = Tally("txcrush_provider_requests_total", "Requests to models.", (*model, "outcome"))
        self.first = Spread("txcrush_provider_first_token_seconds", "From a request to the first token.", model)
        self.seconds = Spread("txcrush_provider_request_seconds", "From a request to the end of its answer.", model)
        self.tokens = Tally("txcrush_provider_tokens_total", "Tokens as providers count them.", (*model, "kind"))

    def families(self) -> Iterator[Family]:
        yield from (one.family() for one in (self.requests, self.first, self.seconds, self.tokens))


@dataclass
class DatabaseFigures:
    """One open database. `waiting` are the writes that are not on disk yet; `failing` says why the last one failed,
    and is empty where it did not. `moved_aside` is where a damaged database was put that was found in its place, empty
    where there was none; `stalled_s` tells for how many seconds writes have waited without progress."""

    commits: Spread
    failures: Tally
    waiting: int = 0
    failing: str = ""
    moved_aside: str = ""
    stalled_s: Callable[[], float] = lambda: 0.0

    def settled(self, writes: int, seconds: float, error: str) -> None:
        """So many writes were one commit; `error` is the last failure among them, empty where all are on disk."""
        self.waiting -= writes
        self.commits.observe(seconds)
        self.failing = error
        if error:
            self.failures.add()


class Databases:
    """The open databases, by data directory."""

    def __init__(self) -> None:
        self.commits = Spread("txcrush_database_commit_seconds", "Commits of the writer, one for a group of writes.")
        self.failures = Tally("txcrush_database_commits_failed_total", "Commits in which a write failed.")
        self.open: dict[str, DatabaseFigures] = {}

    def opened(self, data_dir: str) -> DatabaseFigures:
        figures = self.open[data_dir] = DatabaseFigures(self.commits, self.failures)
        return figures

    def closed(self, data_dir: str) -> None:
        self.open.pop(data_dir, None)

    @property
    def waiting(self) -> int:
        return sum(one.waiting for one in self.open.values())

    def failing(self) -> dict[str, str]:
        """The data directories whose last write failed, and why."""
        return {path: one.failing for path, one in self.open.items() if one.failing}

    def moved_aside(self) -> dict[str, str]:
        """The data directories in which a damaged database was replaced when they were opened, and where it lies."""
        return {path: one.moved_aside for path, one in self.open.items() if one.moved_aside}

    def stalled(self) -> dict[str, float]:
        """The data directories whose disk takes no writes, and for how many seconds."""
        stalls = {path: one.stalled_s() for path, one in self.open.items()}
        return {path: stalled_s for path, stalled_s in stalls.items() if stalled_s}

    def families(self) -> Iterator[Family]:
        yield from (one.family() for one in (self.commits, self.failures))


@dataclass(frozen=True)
class OpenFailure:
    """Why a directory could not be opened the last time, and when (Unix seconds); `storage`: its database was it."""

    reason: str
    at_s: float
    storage: bool


class OpenFailures:
    """The directories that could not be opened, each until it can be; the newest of them."""

    def __init__(self) -> None:
        self.by_path: dict[str, OpenFailure] = {}

    def note(self, path: str, failure: OpenFailure) -> None:
        self.by_path.pop(path, None)
        self.by_path[path] = failure
        if len(self.by_path) > MANY_TRIES:
            del self.by_path[next(iter(self.by_path))]

    def forget(self, path: str) -> None:
        self.by_path.pop(path, None)


@dataclass(frozen=True)
class Observations:
    """All of it."""

    runs: RunFigures = field(default_factory=RunFigures)
    streams: StreamFigures = field(default_factory=StreamFigures)
    tools: ToolFigures = field(default_factory=ToolFigures)
    providers: ProviderFigures = field(default_factory=ProviderFigures)
    databases: Databases = field(default_factory=Databases)
    open_failures: OpenFailures = field(default_factory=OpenFailures)

    def families(self) -> Iterator[Family]:
        for figures in (self.runs, self.streams, self.tools, self.providers, self.databases):
            yield from figures.families()
