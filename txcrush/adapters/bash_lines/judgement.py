"""What a command line is: may it run unasked, what is remembered if somebody allows it, is it refused (`contract.md`
5, `tools.md` 8.3 and 10.4, D-07). Pure: the line's text is all there is."""

import re
from collections.abc import Sequence

from msgspec import Struct

from txcrush.adapters.bash_lines.blocklist import BANNED_NAMES, blocked_by
from txcrush.adapters.bash_lines.contents import Walk, shown_by, walked_by, without_data_directories
from txcrush.adapters.bash_lines.find_expressions import looked_at
from txcrush.adapters.bash_lines.git_forms import LOOKS_AT_FILES, WITHOUT_FILTERS, GitForm, git_form
from txcrush.adapters.bash_lines.keys import keys_of
from txcrush.adapters.bash_lines.options import given_to
from txcrush.adapters.bash_lines.parsing import (
    Parsed,
    agrees,
    is_parsable,
    literal_commands,
    parse,
    syntax_error,
)
from txcrush.adapters.bash_lines.programs import PROGRAMS
from txcrush.adapters.bash_lines.protected_places import (
    changes_git_config,
    names_private_place,
    names_protected_place,
)
from txcrush.adapters.bash_lines.scanning import PlainLine, Word, scan

_PRINTABLE = re.compile(r"[\t\x20-\x7e]*")
_HALF = re.compile("[\ud800-\udfff]")
_BEHIND = re.compile(
    r"\b(?:command|exec|builtin)\s+(?:-\S+\s+)*(" + "|".join(map(re.escape, BANNED_NAMES)) + r")(?![\w-])"
)
_MOST_UNASKED = 4000
"""Characters of a line that may run unasked."""


class Judgement(Struct, frozen=True):
    """A line, judged.

    `runs_unasked`: it may run without asking anybody, provided that it runs inside the workspace and that none of
    `reads` leads out of it through a link (`reach.leads_out`), and that nothing of `shows` (paths whose contents are
    shown) and `walks` is private (`reach.Reach`): text alone cannot tell. `command` is what to run then: the line, or
    the line with what is forced on git and on searches; otherwise it is the line.
    `keys` is what "allow for session" remembers. `blocked` names the program for which the line is refused before it
    starts. `parse_error` says in words why it cannot be parsed. `guarded`: it names a place that is never written
    without a prompt.
    """

    runs_unasked: bool
    command: str
    keys: tuple[str, ...]
    blocked: str
    parse_error: str
    guarded: bool
    reads: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    walks: tuple[Walk, ...] = ()


class _Unasked(Struct, frozen=True):
    """One simple command that may run: its text, what it reads and shows, whether something is forced on it, and
    whether git's content filters must be emptied."""

    text: str
    reads: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    walks: tuple[Walk, ...] = ()
    forced: bool = False
    without_filters: bool = False


def judge(line: str) -> Judgement:
    """The judgement of a line; below 1 ms for an ordinary one, at most about 100 ms for one made to be slow."""
    unreadable = _unreadable(line)
    if unreadable:
        return _asking(line, None, parse_error=unreadable, guarded=names_protected_place(line))
    if not is_parsable(line):
        return _asking(line, None, blocked=_blocked_unparsed(line), guarded=names_protected_place(line))
    parsed, plain = parse(line), scan(line)
    if plain is not None and (parts := _unasked(line, parsed, plain)):
        return _running(line, plain, parts)
    return _asking(
        line,
        plain,
        parse_error=syntax_error(parsed),
        blocked=_blocked(parsed),
        guarded=names_protected_place(line) or changes_git_config(literal_commands(parsed)),
    )


def _unreadable(line: str) -> str:
    """Why no program could be given such a text, or nothing."""
    if "\0" in line:
        return "the line holds a NUL character"
    return "the line is not valid text" if _HALF.search(line) else ""


def _asking(
    line: str, plain: PlainLine | None, *, parse_error: str = "", blocked: str = "", guarded: bool
) -> Judgement:
    return Judgement(
        runs_unasked=False,
        command=line,
        keys=keys_of(line, None if parse_error or names_private_place(line) else plain),
        blocked=blocked,
        parse_error=parse_error,
        guarded=guarded,
    )


def _running(line: str, plain: PlainLine, parts: Sequence[_Unasked]) -> Judgement:
    forced = any(part.forced for part in parts)
    before = WITHOUT_FILTERS if any(part.without_filters for part in parts) else ""
    return Judgement(
        runs_unasked=True,
        command=before + " | ".join(part.text for part in parts) if forced else line,
        keys=keys_of(line, plain),
        blocked="",
        parse_error="",
        guarded=False,
        reads=tuple(path for part in parts for path in part.reads),
        shows=tuple(path for part in parts for path in part.shows),
        walks=tuple(walk for part in parts for walk in part.walks),
    )


def _unasked(line: str, parsed: Parsed, plain: PlainLine) -> list[_Unasked]:
    """The parts of a pipe, each of which may run unasked; empty if one may not, or if it is no mere pipe."""
    text = line.strip(" \t\n")
    if len(text) > _MOST_UNASKED or not _PRINTABLE.fullmatch(text) or not agrees(parsed, plain):
        return []
    between = plain.joints[: len(plain.commands) - 1]
    if set(between) - {"|"} or (";" in plain.joints):
        return []
    parts = [_part(line, command) for command in plain.commands]
    return [] if None in parts else [part for part in parts if part is not None]


def _part(line: str, command: Sequence[Word]) -> _Unasked | None:
    program, arguments = command[0].text, [word.text for word in command[1:]]
    text = line[command[0].start : command[-1].end]
    if program == "git":
        form = git_form(arguments)
        return _of_git(form) if form else None
    if program == "echo":
        return _Unasked(text)
    if program == "find":
        roots = looked_at(arguments)
        return None if roots is None else _Unasked(text, roots)
    allowance = PROGRAMS.get(program)
    given = given_to(allowance, arguments) if allowance else None
    if allowance is None or given is None:
        return None
    reads = given.operands[allowance.patterns :] if allowance.reads else ()
    walks = walked_by(program, given, reads)
    if walks:
        text = without_data_directories(line, program, command)
    shows = () if allowance.names_only else shown_by(reads, walks)
    return _Unasked(text, reads, shows, walks, forced=bool(walks))


def _of_git(form: GitForm) -> _Unasked:
    return _Unasked(
        form.command, form.reads, form.shows, form.walks, forced=True, without_filters=form.subcommand in LOOKS_AT_FILES
    )


def _blocked(parsed: Parsed) -> str:
    """The banned program that `command` or `exec` would start: the shell's functions do not stand in their way."""
    for words in literal_commands(parsed):
        if words and (blocked := _blocked_behind(words)):
            return blocked
    return ""


def _blocked_behind(words: Sequence[str]) -> str:
    rest = list(words)
    while rest and rest[0] in ("command", "exec", "builtin"):
        taker = rest.pop(0)
        while rest and rest[0].startswith("-"):
            option = rest.pop(0)
            if taker == "command" and set("vV") & set(option):
                return ""
            if taker == "exec" and option.endswith("a") and rest:
                rest.pop(0)
    return blocked_by(rest) if len(rest) < len(words) else ""


def _blocked_unparsed(line: str) -> str:
    """The same for a line that is too long to parse, by its text."""
    found = _BEHIND.search(line)
    return found.group(1) if found else ""
