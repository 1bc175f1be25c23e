"""Puts the server together, top to bottom, once. The only module that knows every layer."""

import asyncio
import os
import random
import secrets
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from os import path as paths
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from txcrush import __version__
from txcrush.adapters import logs, providers, vitals
from txcrush.adapters.bash import Bash
from txcrush.adapters.bash_lines import BANNED_NAMES, BANNED_SHAPES
from txcrush.adapters.config_files import ConfigSettings, JsonConfigFiles
from txcrush.adapters.config_paths import in_work_tree
from txcrush.adapters.file_names import FileNames
from txcrush.adapters.guarded_places import OwnPlaces
from txcrush.adapters.processes import ChildProcesses
from txcrush.adapters.project_files import DiskProjectFiles
from txcrush.adapters.ripgrep import Ripgrep
from txcrush.adapters.skill_files import DiskSkillFiles
from txcrush.adapters.sqlite import OpenSettings, OpenSqliteStore, SqliteRegister
from txcrush.adapters.sqlite.files import DATABASE_FILE
from txcrush.adapters.wall_clock import WallClock
from txcrush.adapters.working_directory import directory_of, facts
from txcrush.core.edges import Edges
from txcrush.core.expansion import expand
from txcrush.core.observations import Observations
from txcrush.core.observatory import Observatory, WatchedOpener
from txcrush.core.observers import OneShot, within
from txcrush.core.opening import Opener
from txcrush.core.reopening import Reopening
from txcrush.core.workbench import MakeKit
from txcrush.core.workspaces import Workspaces
from txcrush.http.families import route_families
from txcrush.http.limits import limits_within
from txcrush.http.listening import Listening, listen
from txcrush.http.page import PAGE_FOLDER, PAGE_PREFIXES, PageRoutes
from txcrush.http.routing import build_app
from txcrush.model.addresses import default_state_dir
from txcrush.model.settings import ServerSettings
from txcrush.wire.json import parse_object
from txcrush.wire.repair import repaired_object
from txcrush.wire.sse import frame
from txcrush.wire.v1 import encode_big_event, encode_event

log = Logger()

WARM_UP_S = 0.25
REOPEN_S = 1.0
"""So long clients wait, at the most, for what the last server left; the rest opens beside them."""


class Server(Service):
    """The whole server; what `lifetime.Lifetime` runs."""

    def __init__(
        self,
        workspaces: Workspaces,
        observatory: Observatory,
        begin_listening: Callable[[], Deferred[Listening]],
        reopen: Callable[[], Deferred[None]],
        close: Callable[[], Deferred[Any]],
        warm_up: Callable[[], IDelayedCall],
    ) -> None:
        self._workspaces = workspaces
        self._observatory = observatory
        self._begin_listening = begin_listening
        self._reopen = reopen
        self._close = close
        self._warm_up = warm_up
        self._listening: Listening | None = None
        self._started: OneShot[None] = OneShot()
        self._failure: Exception | None = None
        self._warming: IDelayedCall | None = None

    @property
    def listening(self) -> Listening:
        """The open ports, once it has started."""
        assert self._listening is not None
        return self._listening

    @property
    def page_url(self) -> str | None:
        """Where `--web` put the page, with the token in its fragment."""
        return self.listening.page_url

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        Deferred.fromCoroutine(self._start())

    def when_started(self) -> Deferred[None]:
        """Fires once requests are answered; fails with what prevents that."""
        started = self._started.when()
        if self._failure is not None:
            self._started.fail_waiting(self._why)
        return started

    def stopService(self) -> Deferred[None]:
        """Take no more, end the runs, then the streams, then the rest; fires when everything is parked."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        try:
            self._listening = await self._begin_listening()
            await self._take_up(self._listening)
        except Exception as error:
            self._failure = error
            self._started.fail_waiting(self._why)
            return
        logs.secrets.add(self._listening.token or "")
        for address in self._listening.addresses:
            log.info("listening on {address}", address=address)
        self._warming = self._warm_up()
        self._observatory.start()
        self._started.fire(None)

    async def _take_up(self, listening: Listening) -> None:
        """Open what the last server left before anybody is answered, so that who comes back finds it; but nobody waits
        long for that."""
        listening.hold()
        with suppress(TimeoutError):
            await self._reopen()
        listening.resume()

    async def _stop(self) -> None:
        if self._warming is not None and self._warming.active():
            self._warming.cancel()
        if self._listening is not None:
            await self._listening.stop_accepting()
        await self._workspaces.stop()
        if self._listening is not None:
            await self._listening.close_connections()
        self._observatory.stop()
        await self._close()

    def _why(self) -> Exception:
        assert self._failure is not None
        return self._failure


class _Edges:
    """The edges of the server, each made once."""

    def __init__(self, reactor: Any, settings: ServerSettings, environ: Mapping[str, str]) -> None:
        self._reactor = reactor
        self._settings = settings
        self._environ = environ
        self.clock = WallClock(reactor)
        self.observations = Observations()
        self._own = OwnPlaces(state_dir=settings.state_dir, token_file=settings.token_file, env=environ)
        self.files = DiskProjectFiles(reactor, self._own, trust_projects=settings.trust_projects)
        self.skill_files = DiskSkillFiles(reactor, environ, trust_projects=settings.trust_projects)
        self.file_names = FileNames(Ripgrep(self.clock, environ, self.in_thread), self.clock, self.in_thread)
        self._processes = ChildProcesses(asyncio.get_running_loop, self.in_thread, self.clock)
        self.register = SqliteRegister(_state_dir(settings, environ), self.in_thread)
        self._bash = Bash(environ, _shell_folder(settings, environ), BANNED_NAMES, BANNED_SHAPES)

    @cached_property
    def _providers(self) -> "providers.ProviderBuilder":
        return providers.ProviderBuilder(
            self._reactor,
            clock=self.clock,
            environ=self._environ,
            expand=lambda value: expand(value, self._environ),
            new_id=_new_id,
            keep_secret=logs.secrets.add,
            limits=providers.Limits(idle_s=self._settings.provider_idle_s),
        )

    def in_thread(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function, *arguments, **named)

    def of_workspaces(self) -> Edges:
        """What the core needs of them."""
        settings, in_thread = self._settings, self.in_thread
        return Edges(
            open_store=OpenSqliteStore(
                self._reactor,
                self.clock.seconds,
                _new_id,
                _open_settings(self._environ),
                databases=self.observations.databases,
                log_bytes=settings.event_log_bytes,
                log_age_s=settings.event_log_age_s,
            ),
            register=self.register,
            config_files=JsonConfigFiles(
                self._reactor,
                _config_settings(settings, self._environ),
                lambda entry: self._providers.list_models(entry),
            ),
            project_files=self.files,
            skill_files=self.skill_files,
            build_provider=lambda config: self._providers(config),
            make_kit=lambda bench: self._palette(bench),
            processes=self._processes,
            make_program=self._bash,
            directory_of=lambda path: in_thread(directory_of, path),
            parse_object=parse_object,
            repair_object=lambda text: in_thread(repaired_object, text),
            encode_event=encode_event,
            frame=frame,
            clock=self.clock,
            new_id=_new_id,
            facts=facts,
            graces=(settings.create_grace_s, settings.detach_grace_s),
            unanswered=settings.unanswered,
            encode_apart=lambda event: in_thread(encode_big_event, event),
            observations=self.observations,
            budget=settings.budget,
            redact=logs.secrets.redact,
        )

    @cached_property
    def _palette(self) -> MakeKit:
        """The tools, imported for the first workspace; see `warm_up`."""
        from txcrush.adapters.tools.palette import Edges, Palette
        from txcrush.adapters.tools.web_tools import WebTools
        from txcrush.adapters.web import WebClient

        private = self._settings.allow_private_fetch
        web = WebClient(self._reactor, self.clock, self._environ, allow_private=private)
        edges = Edges(
            processes=self._processes,
            make_program=self._bash,
            web=WebTools(web, self.clock, random.random, self.in_thread),
            clock=self.clock,
            in_thread=self.in_thread,
            new_id=_new_id,
            environ=self._environ,
            own=self._own,
            redact=logs.secrets.redact,
        )
        return Palette(edges)

    def warm_up(self) -> IDelayedCall:
        """Import, a moment later and in a thread, what every workspace needs and the first answer does not."""
        return self.clock.callLater(WARM_UP_S, self.in_thread, _import_late)

    async def close(self) -> None:
        """End what they left running."""
        await self._processes.close()
        if "_providers" in self.__dict__:
            await self._providers.close()
        await self.register.close()


def build_server(
    reactor: Any, settings: ServerSettings, environ: Mapping[str, str], stop: Callable[[], None]
) -> Server:
    """Construct everything. `stop` is called when the server wants the process to end."""
    edges = _Edges(reactor, settings, environ)
    workspaces = Workspaces(
        WatchedOpener(Opener(edges.of_workspaces()), edges.observations, edges.clock),
        lambda path: edges.in_thread(paths.realpath, path),
        edges.clock,
        _new_id,
        idle_exit_s=settings.idle_exit_s,
        stop=stop,
    )
    observatory = Observatory(
        edges.observations,
        workspaces,
        vitals.in_thread(edges.in_thread),
        edges.clock,
        reactor,
        state_dir=_state_dir(settings, environ),
        build=vitals.build_info(__version__),
    )
    families = route_families(
        workspaces,
        edges.clock,
        observatory,
        project_files=edges.files,
        file_names=edges.file_names,
        skill_files=edges.skill_files,
        page=PageRoutes(PAGE_FOLDER, edges.in_thread),
        page_url=lambda: server.listening.open_page_url,
        replaceable=settings.replaceable,
    )
    resource = build_app(families, edges.in_thread).resource()
    limits = limits_within(open_files_limit())

    def begin_listening() -> Deferred[Listening]:
        return Deferred.fromCoroutine(
            listen(
                reactor,
                settings,
                environ,
                os.getuid(),
                resource,
                random=secrets.token_bytes,
                public_prefixes=PAGE_PREFIXES,
                limits=limits,
                now=edges.clock.seconds,
            )
        )

    server = Server(
        workspaces,
        observatory,
        begin_listening,
        lambda: _reopen(edges, workspaces),
        lambda: Deferred.fromCoroutine(edges.close()),
        edges.warm_up,
    )
    return server


def _reopen(edges: _Edges, workspaces: Workspaces) -> Deferred[None]:
    """Open what the last server left unfinished; fails with `TimeoutError` where somebody would wait too long."""

    def is_there(data_dir: str) -> Deferred[bool]:
        return edges.in_thread(_holds_database, data_dir)

    reopening = Reopening(edges.register, workspaces, is_there, edges.clock)
    return within(REOPEN_S, edges.clock, Deferred.fromCoroutine(reopening.reopen()))


def open_files_limit() -> int:
    """How many files this process may have open."""
    soft, _ = getrlimit(RLIMIT_NOFILE)
    return 1 << 20 if soft == RLIM_INFINITY else soft


def _import_late() -> None:
    for name in ("txcrush.adapters.tools.palette", "txcrush.adapters.providers.builder", "yaml"):
        import_module(name)


def _new_id() -> str:
    return str(uuid.uuid4())


def _state_dir(settings: ServerSettings, environ: Mapping[str, str]) -> str:
    return settings.state_dir or default_state_dir(environ)


def _holds_database(data_dir: str) -> bool:
    return paths.isfile(paths.join(data_dir, DATABASE_FILE))


def _shell_folder(settings: ServerSettings, environ: Mapping[str, str]) -> str:
    return paths.join(_state_dir(settings, environ), "shell")


def _config_settings(settings: ServerSettings, environ: Mapping[str, str]) -> ConfigSettings:
    return ConfigSettings(
        env=environ,
        trust_projects=settings.trust_projects,
        server_in_git=in_work_tree(os.getcwd()),
        offline=providers.offline_config(),
    )


def _open_settings(environ: Mapping[str, str]) -> OpenSettings:
    skips_lock = environ.get("CRUSH_SKIP_DATADIR_LOCK", "").lower() in ("1", "t", "true")
    return OpenSettings(__version__, skips_lock)
