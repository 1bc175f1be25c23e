"""Which files and directories nobody looks for (`tools.md` 4.2): ignore files, names that are always noise.

Pure: it is given the texts of the files. Rules are asked as git asks them: level by level from the top, and what lies
in an ignored directory is ignored whatever a later rule says.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from txcrush.core.wildcards import MatchName, PathPattern, is_literal, name_matcher

NOISY = frozenset(
    (
        ".git",
        ".svn",
        ".hg",
        ".bzr",
        ".vscode",
        ".idea",
        "node_modules",
        "__pycache__",
        ".pytest_cache",
        ".cache",
        ".tmp",
        ".Trash",
        ".Spotlight-V100",
        ".fseventsd",
        ".crush",
        "OrbStack",
        ".local",
        ".share",
    )
)
"""Directories of these names are ignored without looking at any rule."""

COMMON = "\n".join(
    [
        "*.swp",
        "*.swo",
        "*~",
        ".DS_Store",
        "Thumbs.db",
        "target",
        "build",
        "dist",
        "out",
        "bin",
        "obj",
        "*.o",
        "*.so",
        "*.dylib",
        "*.dll",
        "*.exe",
        "*.log",
        "*.tmp",
        "*.temp",
        "*.pyc",
        "*.pyo",
        "vendor",
        "Cargo.lock",
        "package-lock.json",
        "yarn.lock",
        "pnpm-lock.yaml",
    ]
)
"""What projects hold that is seldom written by hand; every ignore file ranks above it."""

FILE_NAMES = (".gitignore", ".crushignore")
"""The ignore files of a directory; the later one's rules win."""

MAX_RULES = 5000
"""A file's rules beyond these are not read."""

Parts = tuple[str, ...]
ReadRules = Callable[[Parts], str]
"""The text of a directory's ignore files, one behind the other; the directory by its segments below the root."""


class _Rule(Struct, frozen=True):
    order: int
    is_exception: bool
    directories_only: bool
    name: MatchName | None = None
    path: PathPattern | None = None

    def matches(self, parts: Sequence[str], is_directory: bool) -> bool:
        if self.directories_only and not is_directory:
            return False
        if self.path is not None:
            return self.path.matches(parts)
        return self.name is None or bool(self.name(parts[-1]))


class RuleList:
    """The rules of one ignore file, or of several that stand in one directory."""

    def __init__(self, text: str) -> None:
        self._literal: dict[str, list[_Rule]] = {}
        self._others: list[_Rule] = []
        for order, line in enumerate(_lines(text)):
            if order == MAX_RULES:
                break
            self._add(order, line)
        self._others.reverse()

    def verdict(self, parts: Sequence[str], *, is_directory: bool) -> bool | None:
        """Whether the path is ignored, as the last rule says that matches it; None where none does."""
        last: _Rule | None = None
        for rule in reversed(self._literal.get(parts[-1], ())):
            if rule.matches(parts, is_directory):
                last = rule
                break
        for rule in self._others:
            if last is not None and rule.order < last.order:
                break
            if rule.matches(parts, is_directory):
                last = rule
                break
        return None if last is None else not last.is_exception

    def _add(self, order: int, line: str) -> None:
        is_exception = line.startswith("!")
        pattern = line[is_exception:]
        directories_only = pattern.endswith("/")
        pattern = pattern[: len(pattern) - directories_only]
        below = pattern.removeprefix("/")
        if not below:
            return
        if "/" in pattern:
            self._others.append(_Rule(order, is_exception, directories_only, path=PathPattern(below)))
        elif is_literal(pattern):
            self._literal.setdefault(pattern, []).append(_Rule(order, is_exception, directories_only))
        else:
            self._others.append(_Rule(order, is_exception, directories_only, name=name_matcher(pattern)))


def _lines(text: str) -> Iterable[str]:
    lines = (line.strip() for line in text.removeprefix("\ufeff").split("\n"))
    return (line for line in lines if line and not line.startswith("#"))


_NOTHING = RuleList("")


class Ignoring:
    """What is ignored below a root, for the life of one walk.

    `read` gives the rules of each directory, once; `everywhere` are the texts of the rules that hold in all of them and
    rank below, the strongest last; `names` are patterns for base names that the caller does not want. The walk begins
    at `start`, the segments of a directory below the root; paths are asked for from there.
    """

    def __init__(
        self,
        read: ReadRules,
        *,
        everywhere: Sequence[str] = (COMMON,),
        names: Sequence[str] = (),
        start: Parts = (),
    ) -> None:
        self._read = read
        self._everywhere = [RuleList(text) for text in reversed(everywhere)]
        self._names = [name_matcher(pattern) for pattern in names]
        self._start = start
        self._rules: dict[Parts, RuleList] = {}
        self._hidden: dict[Parts, bool] = {}

    def hides(self, parts: Parts, *, is_directory: bool) -> bool:
        """Whether the path, or a directory below the start that it lies in, is ignored; the start itself is not."""
        if not parts:
            return False
        return self._hides_directory(parts[:-1]) or self.hides_alone(parts, is_directory=is_directory)

    def hides_alone(self, parts: Parts, *, is_directory: bool) -> bool:
        """The same where the directories that it lies in are known to be visible."""
        name = parts[-1]
        if (is_directory and name in NOISY) or any(matches(name) for matches in self._names):
            return True
        whole = self._start + parts
        for depth in range(len(whole) - 1, -1, -1):
            verdict = self._of(whole[:depth]).verdict(whole[depth:], is_directory=is_directory)
            if verdict is not None:
                return verdict
        verdicts = (rules.verdict(whole, is_directory=is_directory) for rules in self._everywhere)
        return next((verdict for verdict in verdicts if verdict is not None), False)

    def _hides_directory(self, parts: Parts) -> bool:
        if parts not in self._hidden:
            self._hidden[parts] = self.hides(parts, is_directory=True)
        return self._hidden[parts]

    def _of(self, directory: Parts) -> RuleList:
        rules = self._rules.get(directory)
        if rules is None:
            text = self._read(directory)
            rules = self._rules[directory] = RuleList(text) if text else _NOTHING
        return rules
