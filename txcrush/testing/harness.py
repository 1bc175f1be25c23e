"""A whole server without a socket: real services over a store in memory, a scripted model and a clock of the test's."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from txcrush.core.edges import Edges
from txcrush.core.events import Frame
from txcrush.core.instructions import TITLE, Facts
from txcrush.core.jobs import Jobs
from txcrush.core.observations import Observations
from txcrush.core.observatory import Observatory, WatchedOpener
from txcrush.core.observers import OneShot
from txcrush.core.opening import Opener
from txcrush.core.reopening import Reopening
from txcrush.core.workbench import Kit, Workbench
from txcrush.core.workspace_request import WorkspaceRequest
from txcrush.core.workspaces import Workspace, Workspaces
from txcrush.model.budgets import UNLIMITED, Budget
from txcrush.model.config import Config, Model, Options, ProviderConfig, SelectedModel, TuiOptions
from txcrush.model.config_sources import ConfigReport, ConfigSource, LoadedConfig
from txcrush.model.desk import parse_unanswered
from txcrush.model.errors import StorageFailed
from txcrush.model.ids import ClientId
from txcrush.model.messages import FinishReason
from txcrush.model.processes import Program, ShellLine
from txcrush.model.providers import ModelReply, ModelRequest, SystemTurn, Usage
from txcrush.model.skills import FoundSkill, Skill
from txcrush.model.vitals import Vitals
from txcrush.ports import Store, StreamSink, Tool
from txcrush.testing.memory_register import MemoryRegister
from txcrush.testing.memory_store import MemoryStore
from txcrush.testing.scripted_processes import ScriptedProcesses
from txcrush.testing.scripted_provider import ScriptedProvider, Step
from txcrush.wire.json import parse_object
from txcrush.wire.repair import repaired_object
from txcrush.wire.sse import frame
from txcrush.wire.v1 import encode_event

NOW_S = 1_800_000_000.0
_servers = itertools.count(1)  # no two servers mint the same id, also not before and after a restart
CLIENT = ClientId("11111111-1111-4111-8111-111111111111")


def model(model_id: str, **changes: object) -> Model:
    """A model that costs 1 and 2 dollars per million tokens."""
    values: dict[str, object] = {
        "id": model_id,
        "name": model_id.title(),
        "cost_per_1m_in": 1.0,
        "cost_per_1m_out": 2.0,
        "cost_per_1m_in_cached": 0.0,
        "cost_per_1m_out_cached": 0.0,
        "context_window": 200_000,
        "default_max_tokens": 4096,
        "can_reason": False,
        "supports_attachments": False,
    }
    return Model(**{**values, **changes})  # type: ignore[arg-type]


def configuration(*models: Model) -> Config:
    """One provider, `scripted`, whose first model is the large one and whose last is the small one."""
    known = models or (model("large"), model("small"))
    provider = ProviderConfig("scripted", "Scripted", "http://scripted.invalid", "openai-compat", models=known)
    return Config(
        models={
            "large": SelectedModel(known[0].id, "scripted"),
            "small": SelectedModel(known[-1].id, "scripted"),
        },
        providers={"scripted": provider},
        options=Options(tui=TuiOptions()),
    )


class MemoryConfigFiles:
    """A configuration that is handed in; each directory has a data directory of its own.

    `changes` holds what clients have changed, in order.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.changes: list[tuple[int, dict[str, object], tuple[str, ...]]] = []

    def load(self, path: str, data_dir: str, debug: bool, *, reload: bool = False) -> Deferred[LoadedConfig]:
        own = replace(self.config.options, data_directory=data_dir or f"{path}/.crush")
        return succeed(LoadedConfig(replace(self.config, options=own)))

    def report(self, sources: Sequence[ConfigSource]) -> Deferred[ConfigReport]:
        return succeed(ConfigReport(files=tuple(source.path for source in sources)))

    def change(self, scope: int, data_dir: str, sets: Mapping[str, object], removes: Sequence[str]) -> Deferred[None]:
        self.changes.append((scope, dict(sets), tuple(removes)))
        return succeed(None)


class NoProjectFiles:
    """A project without context files."""

    def context(self, path: str, config: Config) -> Deferred[str]:
        return succeed("")

    def needs_init(self, path: str, data_dir: str) -> Deferred[bool]:
        return succeed(False)

    def mark_initialized(self, data_dir: str) -> Deferred[None]:
        return succeed(None)


def named_files(directory: str, wanted: str, limit: int) -> "Deferred[Sequence[str]]":
    """A project of three files; a `ports.FindFileNames`."""
    return succeed([name for name in ("README.md", "src/app.py", "src/page.py") if wanted in name][:limit])


class HandedSkills:
    """Skills that are handed in. `texts` are their files by path."""

    def __init__(self) -> None:
        self.found: list[FoundSkill] = []
        self.texts: dict[str, bytes] = {}

    def find(self, path: str, config: Config) -> Deferred[Sequence[FoundSkill]]:
        return succeed(tuple(self.found))

    def read(self, path: str, skill: Skill) -> Deferred[bytes]:
        return succeed(self.texts[skill.path])


class Listener:
    """A subscriber that keeps what it hears, decoded."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.ended = False

    def deliver(self, frame: Frame) -> None:
        self.frames.append(frame)

    def end(self) -> None:
        self.ended = True

    @property
    def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Kind, change and payload of every event, in order."""
        return [_taken_apart(one) for one in self.frames]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The payloads of one kind."""
        return [payload for named, _, payload in self.events if named == kind]


def _taken_apart(one: Frame) -> tuple[str, str, dict[str, Any]]:
    envelope: dict[str, Any] = parse_object(one.data.removeprefix(b"data: ").decode())
    return envelope["type"], envelope["payload"]["type"], envelope["payload"]["payload"]


def program_of(line: ShellLine) -> Program:
    """The line as a program whose last argument it is."""
    return Program(argv=("bash", "-c", line.command), cwd=line.cwd, env=line.env, mark=line.mark)


class TitlesAside:
    """A provider that answers requests for titles itself, so that a script need not know of them."""

    def __init__(self, provider: ScriptedProvider, title: str) -> None:
        self._provider = provider
        self._title = title

    def stream(self, request: ModelRequest, sink: StreamSink) -> Deferred[ModelReply]:
        if SystemTurn(TITLE) not in request.turns:
            return self._provider.stream(request, sink)
        sink.text(self._title)
        return succeed(ModelReply(finish=FinishReason.END_TURN, usage=Usage(input=30, output=5, total=35)))


class Harness:
    """A server whose edges are fakes. `tools` are the tools of every workspace, or a function that makes them.

    `provider` plays its script for every request but those for titles: each title is `A Title`. `stores` keeps the data
    directories and `register` what is listed: hand both to a second harness to see a restart. `opened` names the
    directories each time that one is opened.
    """

    def __init__(
        self,
        steps: Iterable[Step] = (),
        *,
        config: Config | None = None,
        tools: Sequence[Tool] | Callable[[Workbench], Sequence[Tool]] = (),
        stores: dict[str, MemoryStore] | None = None,
        idle_exit_s: float | None = None,
        unanswered: str = "ask",
        register: MemoryRegister | None = None,
        budget: Budget = UNLIMITED,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(NOW_S)
        self.provider = ScriptedProvider(steps, self.clock)
        self.config_files = MemoryConfigFiles(config or configuration())
        self.skill_files = HandedSkills()
        self.observations = Observations()
        self.vitals = Vitals()
        self.processes = ScriptedProcesses()
        self.stores = {} if stores is None else stores
        self.register = register or MemoryRegister()
        self.stopped = 0
        self.opened: list[str] = []
        self._opens: OneShot[None] | None = None
        self._tools = tools
        self._unanswered = parse_unanswered(unanswered)
        self._budget = budget
        server = next(_servers)
        self._ids = (f"{server:08d}-0000-4000-8000-{number:012d}" for number in itertools.count(1))
        self.workspaces = Workspaces(
            WatchedOpener(Opener(self._edges()), self.observations, self.clock),
            succeed,
            self.clock,
            lambda: next(self._ids),
            idle_exit_s=idle_exit_s,
            stop=self._stop,
        )

    def observatory(self) -> Observatory:
        """What watches the server; it sees `vitals`."""
        return Observatory(
            self.observations,
            self.workspaces,
            lambda _directories: succeed(self.vitals),
            self.clock,
            self.clock,
            state_dir="/state",
            build={"version": "test"},
        )

    def open(self, path: str = "/project", client: ClientId = CLIENT, **changes: object) -> "Deferred[Workspace]":
        """Create or join a workspace."""
        request = WorkspaceRequest(path=path, client_id=client, **changes)  # type: ignore[arg-type]
        return Deferred.fromCoroutine(self.workspaces.create(request))

    def reopen(self) -> "Deferred[None]":
        """Open what the register lists, as a start does."""
        reopening = Reopening(self.register, self.workspaces, lambda path: succeed(path in self.stores), self.clock)
        return Deferred.fromCoroutine(reopening.reopen())

    def hold_opens(self) -> None:
        """From now on no data directory opens, until `release_opens`."""
        self._opens = OneShot()

    def release_opens(self, error: StorageFailed | None = None) -> None:
        """Open those that were held, or fail them; later ones open at once."""
        held, self._opens = self._opens, None
        assert held is not None
        if error is None:
            held.fire(None)
        else:
            held.fail_waiting(lambda: error)

    def _edges(self) -> Edges:
        return Edges(
            open_store=self._open_store,
            register=self.register,
            config_files=self.config_files,
            project_files=NoProjectFiles(),
            skill_files=self.skill_files,
            build_provider=lambda _config: TitlesAside(self.provider, "A Title"),
            make_kit=self._make_kit,
            processes=self.processes,
            make_program=program_of,
            directory_of=succeed,
            parse_object=parse_object,
            repair_object=lambda text: succeed(repaired_object(text)),
            encode_event=encode_event,
            frame=frame,
            clock=self.clock,
            new_id=lambda: next(self._ids),
            facts=lambda path: Facts(path, "test", "1/2/2027"),
            graces=(30.0, 10.0),
            unanswered=self._unanswered,
            observations=self.observations,
            budget=self._budget,
        )

    def _open_store(self, data_dir: str) -> Deferred[Store]:
        self.opened.append(data_dir)
        ready = succeed(None) if self._opens is None else self._opens.when()
        return ready.addCallback(lambda _: self.stores.setdefault(data_dir, MemoryStore(f"memory{len(self.stores)}")))

    def _make_kit(self, bench: Workbench) -> Kit:
        made = self._tools(bench) if callable(self._tools) else self._tools
        return Kit(tuple(made), jobs=Jobs(self.processes, program_of, self.clock, "jobs"))

    def _stop(self) -> None:
        self.stopped += 1
