"""Finds and reads `SKILL.md` files: those that the server brings, the user's, the project's.

Directories are strangers' until proven otherwise: the search has a bound on everything, follows each directory once
(links may form circles), and, until projects are trusted, no link that leads out of the project.
"""

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.resources import files as package_files

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorThreads
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from txcrush import ports
from txcrush.adapters.bounded_reading import read_regular
from txcrush.adapters.config_paths import located, places, project_boundary
from txcrush.core.skills import by_path, judged
from txcrush.model.config import Config
from txcrush.model.errors import Failed
from txcrush.model.skills import SKILL_FILE, BrokenSkill, FoundSkill, Skill, SkillSource
from txcrush.wire.front_matter import MAX_HEADER_BYTES, read_header

BUILTIN = "crush://skills/"
MAX_FILE_BYTES = 1024 * 1024
MAX_SKILLS = 500
MAX_ENTRIES = 10_000
"""Directory entries looked at below one skills path; the search goes level by level, so what is near is found."""

_BUILTIN_FILES = package_files("txcrush") / "data" / "skills"
_NEVER_SEARCHED = frozenset((".git", "node_modules"))

log = Logger()


class DiskSkillFiles:
    """Finds and reads skills in threads.

    `env` is the server's environment. Until projects are trusted, a link that leads out of one is not followed.
    """

    def __init__(self, reactor: IReactorThreads, env: Mapping[str, str], *, trust_projects: bool) -> None:
        self._reactor = reactor
        self._env = env
        self._trust_projects = trust_projects

    def find(self, path: str, config: Config) -> Deferred[Sequence[FoundSkill]]:
        """The server's skills, then the user's and the project's by path.

        At most 500, and 10,000 directory entries below each skills path; the log says where that was not enough.
        Skills paths are absolute or begin with `~` or `$`: a relative one would be relative to wherever the server was
        started, and is passed over, as it finds nothing in the reference.
        """
        return Deferred.fromCoroutine(self._found(path, config))

    def read(self, path: str, skill: Skill) -> Deferred[bytes]:
        """The file as it is now. Fails with `Failed`, also for one that is larger than 1 MiB."""
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._read, path, skill)

    async def _found(self, path: str, config: Config) -> Sequence[FoundSkill]:
        search = _Search(path, is_confined=not self._trust_projects)
        home = places(self._env).home
        roots = [located(written, home, self._env) for written in config.options.skills_paths]
        found = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), search.found, roots)
        for root in search.cut:
            log.warn("skills of {path}: not all of {root} was looked through, it is too large", path=path, root=root)
        return found

    def _read(self, path: str, skill: Skill) -> bytes:
        try:
            if skill.source is SkillSource.SYSTEM:
                return _BUILTIN_FILES.joinpath(skill.path.removeprefix(BUILTIN)).read_bytes()
            return self._read_file(path, skill.path)
        except OSError as error:
            raise Failed(f"failed to read skill {skill.path}: {error.strerror}") from error

    def _read_file(self, path: str, file: str) -> bytes:
        if not self._trust_projects and not _may_be_read(file, os.path.abspath(path), project_boundary(path)):
            raise Failed(f"failed to read skill {file}: it lies outside of the project, which is not trusted")
        raw = read_regular(file, MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise Failed(f"failed to read skill {file}: larger than {MAX_FILE_BYTES} bytes")
        return raw


class _Search:
    """One search. Everything but its making runs in a thread; `cut` are the paths that were too large."""

    def __init__(self, path: str, *, is_confined: bool) -> None:
        self.cut: list[str] = []
        self._path = os.path.abspath(path)
        self._is_confined = is_confined
        self._seen: set[tuple[int, int]] = set()
        self._skills: list[FoundSkill] = []

    def found(self, roots: Sequence[str]) -> Sequence[FoundSkill]:
        for root in filter(_is_usable, roots):
            root = os.path.normpath(root)
            self._take_all(root, SkillSource.PROJECT if _is_inside(root, self._path) else SkillSource.USER)
        return [*_builtin_skills(), *by_path(self._skills)]

    @cached_property
    def _boundary(self) -> str:
        return project_boundary(self._path)

    def _take_all(self, root: str, source: SkillSource) -> None:
        for file in self._walked(root):
            if len(self._skills) == MAX_SKILLS:
                self.cut.append(root)
                return
            self._skills.append(_skill_in(file, source))

    def _walked(self, root: str) -> Iterator[str]:
        """The skill files below the root, level by level."""
        waiting = deque([root])
        left = MAX_ENTRIES
        while waiting:
            directory = waiting.popleft()
            if not self._is_new(directory):
                continue
            for name in _names_in(directory, left):
                left -= 1
                entry = os.path.join(directory, name)
                if name == SKILL_FILE and os.path.isfile(entry) and self._is_new(entry):
                    yield entry
                elif name not in _NEVER_SEARCHED and os.path.isdir(entry):
                    waiting.append(entry)
            if left <= 0:
                self.cut.append(root)
                return

    def _is_new(self, entry: str) -> bool:
        """Whether the file or directory may be looked at, and was not under another name."""
        if self._is_confined and not _may_be_read(entry, self._path, self._boundary):
            return False
        try:
            found = os.stat(entry)
        except OSError:
            return False
        identity = (found.st_dev, found.st_ino)
        is_new = identity not in self._seen
        self._seen.add(identity)
        return is_new


def read_builtin(path: str) -> bytes:
    """A file of the server's own skills, `crush://skills/NAME/FILE`. Raises FileNotFoundError for any other path."""
    names = path.removeprefix(BUILTIN).split("/")
    found = _BUILTIN_FILES.joinpath(*names)
    if "\0" in path or not {"", ".", ".."}.isdisjoint(names) or not found.is_file():
        raise FileNotFoundError(path)
    return found.read_bytes()


def _may_be_read(entry: str, path: str, boundary: str) -> bool:
    """Whether what is named in the project also lies in it. What is named elsewhere is the user's own."""
    named_inside = _is_inside(entry, path) or _is_inside(entry, boundary)
    return not named_inside or _is_inside(os.path.realpath(entry), boundary)


def _is_inside(path: str, directory: str) -> bool:
    return os.path.commonpath((path, directory)) == directory


def _names_in(directory: str, limit: int) -> list[str]:
    """At most so many names, sorted; none of a directory that cannot be read. A name that is not UTF-8 could not be
    told to a client."""
    names = []
    try:
        with os.scandir(directory) as entries:
            for entry, _ in zip(entries, range(limit), strict=False):
                names.append(entry.name)
    except OSError:
        return []
    return sorted(filter(_is_text, names))


def _is_usable(root: str) -> bool:
    return os.path.isabs(root) and "\0" not in root and _is_text(root)


def _is_text(name: str) -> bool:
    """Whether the name is UTF-8; in Python's names, bytes that are not stand as surrogates."""
    return name.isascii() or not any("\ud800" <= char <= "\udfff" for char in name)


def _skill_in(file: str, source: SkillSource) -> FoundSkill:
    try:
        return judged(file, source, read_header(read_regular(file, MAX_HEADER_BYTES)))
    except OSError as error:
        return BrokenSkill(path=file, error=f"reading {SKILL_FILE}: {error.strerror}")
    except ValueError as error:
        return BrokenSkill(path=file, error=str(error))


def _builtin_skills() -> list[FoundSkill]:
    skills = []
    for directory in sorted(_BUILTIN_FILES.iterdir(), key=lambda entry: entry.name):
        path = f"{BUILTIN}{directory.name}/{SKILL_FILE}"
        header = read_header(directory.joinpath(SKILL_FILE).read_bytes())
        skills.append(judged(path, SkillSource.SYSTEM, header))
    return skills


_: type[ports.SkillFiles] = DiskSkillFiles
