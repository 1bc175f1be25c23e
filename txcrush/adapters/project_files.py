"""What the server reads of a project itself: context files for the system prompt, and whether it was initialised."""

import os
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorThreads
from twisted.internet.threads import deferToThreadPool

from txcrush import ports
from txcrush.adapters.bounded_reading import read_regular
from txcrush.adapters.config_paths import located, places, project_boundary
from txcrush.adapters.guarded_places import OwnPlaces
from txcrush.adapters.private_places import PrivatePlaces
from txcrush.core.config_defaults import CONTEXT_PATHS
from txcrush.core.expansion import quoted
from txcrush.model.config import Config

MAX_FILE_BYTES = 256 * 1024
MAX_TOTAL_BYTES = 1024 * 1024
MAX_FILES = 200
MAX_VISITED = 10_000

_INIT_MARK = "init"
_CONTEXT_NAMES = frozenset(os.path.basename(name.rstrip("/")).lower() for name in CONTEXT_PATHS)
_UNINTERESTING = frozenset(("node_modules", "__pycache__", "dist", "build", "target", "vendor"))


class ContextFile(Struct, frozen=True):
    path: str
    text: str


class DiskProjectFiles:
    """Reads the project in threads.

    `own` are the server's own places, its environment among them. What is private there or in a data directory is read
    under no name. Until projects are trusted, a link that leads out of one is not followed.
    """

    def __init__(self, reactor: IReactorThreads, own: OwnPlaces, *, trust_projects: bool) -> None:
        self._reactor = reactor
        self._own = own
        self._trust_projects = trust_projects

    def context(self, path: str, config: Config) -> Deferred[str]:
        """The project's context files, then the user's, each in sorted order; empty where there are none.

        A file is cut at 256 KiB, all of one kind at 1 MiB and 200 files; the text says so.
        """
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._context, path, config)

    def needs_init(self, path: str, data_dir: str) -> Deferred[bool]:
        """Whether the project holds something but no context file, and nobody has declined to make one."""
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), _needs_init, path, data_dir)

    def mark_initialized(self, data_dir: str) -> Deferred[None]:
        """Make `needs_init` false from now on. Fails with OSError."""
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), _mark_initialized, data_dir)

    def _context(self, path: str, config: Config) -> str:
        boundary = None if self._trust_projects else project_boundary(path)
        home = places(self._own.env).home
        options = config.options
        private = PrivatePlaces(path, options.data_directory, self._own)
        sections = []
        for tag, names in (("project", options.context_paths), ("user", options.global_context_paths)):
            reading = _Reading(path, boundary, private)
            reading.read({name: located(name, home, self._own.env) for name in names})
            sections.append(_rendered(f"{tag}_context", reading))
        return "\n".join(section for section in sections if section)


class _Reading:
    """Reads context files until a bound is reached."""

    def __init__(self, root: str, boundary: str | None, private: PrivatePlaces) -> None:
        self._private = private
        self.files: list[ContextFile] = []
        self.is_cut = False
        self._root = root
        self._boundary = boundary
        self._left = MAX_TOTAL_BYTES
        self._seen: set[str] = set()

    def read(self, located: Mapping[str, str]) -> None:
        """Of spellings that differ in case only, the first that is there is read."""
        spelled: set[str] = set()
        for name in sorted(located):
            folded = name.rstrip("/").lower()
            if folded not in spelled and self._read_all(located[name]):
                spelled.add(folded)

    def _read_all(self, name: str) -> bool:
        """Whether the name stands for something."""
        target = os.path.join(self._root, name)
        if not os.path.exists(target) or not (os.path.isabs(name) or self._is_inside(target)):
            return False
        files = _walked(target) if os.path.isdir(target) else iter((target,))
        found = [self._read_one(file) for file in files if os.path.isabs(name) or self._is_inside(file)]
        return any(found)

    def _read_one(self, file: str) -> bool:
        real = os.path.realpath(file)
        if real in self._seen:
            return True
        if self._private.hold(os.path.normpath(file), real):
            return False
        if len(self.files) == MAX_FILES or self._left <= 0:
            self.is_cut = True
            return True
        try:
            raw = read_regular(file, MAX_FILE_BYTES + 1)
        except OSError:
            return False
        if b"\0" in raw:
            return False
        self._seen.add(real)
        self._left -= len(raw)
        self.files.append(ContextFile(os.path.normpath(file), _text(raw)))
        return True

    def _is_inside(self, target: str) -> bool:
        if self._boundary is None:
            return True
        return os.path.commonpath((os.path.realpath(target), self._boundary)) == self._boundary


def _walked(directory: str) -> Iterator[str]:
    """The files below a directory in sorted order; links to directories are not followed."""
    visited = 0
    for parent, directories, names in os.walk(directory):
        directories.sort()
        for name in sorted(names):
            visited += 1
            if visited > MAX_VISITED:
                return
            yield os.path.join(parent, name)


def _text(raw: bytes) -> str:
    text = raw[:MAX_FILE_BYTES].decode("utf-8", "replace")
    return f"{text}\n[cut after {MAX_FILE_BYTES // 1024} KiB]" if len(raw) > MAX_FILE_BYTES else text


def _rendered(tag: str, reading: _Reading) -> str:
    if not reading.files:
        return ""
    blocks = [f"<file path={quoted(file.path)}>\n{file.text}\n</file>" for file in reading.files]
    if reading.is_cut:
        blocks.append("[more context files were left out: there are too many]")
    return "\n".join((f"<{tag}>", *blocks, f"</{tag}>"))


def _needs_init(path: str, data_dir: str) -> bool:
    if os.path.exists(os.path.join(data_dir, _INIT_MARK)):
        return False
    try:
        with os.scandir(path) as entries:
            return _is_uninitialised(entries)
    except OSError:
        return False


def _is_uninitialised(entries: Iterable["os.DirEntry[str]"]) -> bool:
    has_content = False
    for entry in entries:
        if entry.name.lower() in _CONTEXT_NAMES and entry.is_file():
            return False
        has_content = has_content or not (entry.name.startswith(".") or entry.name in _UNINTERESTING)
    return has_content


def _mark_initialized(data_dir: str) -> None:
    os.makedirs(data_dir, mode=0o700, exist_ok=True)
    handle = os.open(os.path.join(data_dir, _INIT_MARK), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    os.close(handle)


_: type[ports.ProjectFiles] = DiskProjectFiles
