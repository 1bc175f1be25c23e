"""`find` without its actions: which expressions only look."""

import re
from collections.abc import Sequence

from txcrush.adapters.bash_lines.options import stays_inside

_ALONE = frozenset("! ( ) -a -and -o -or -not -print -print0 -prune -empty -depth -xdev -mount -daystart -ls".split())
_WITH_TEXT = frozenset("-name -iname -path -ipath -wholename -iwholename -regex -iregex -user -group".split())
_WITH_WORD = {
    "-type": re.compile(r"[bcdpflsD](?:,[bcdpflsD])*"),
    "-perm": re.compile(r"[-/]?[0-7]{1,4}"),
    "-size": re.compile(r"[+-]?\d{1,12}[bcwkMG]?"),
    **dict.fromkeys(("-maxdepth", "-mindepth"), re.compile(r"\d{1,4}")),
    **dict.fromkeys(("-mtime", "-atime", "-ctime", "-mmin", "-amin", "-cmin"), re.compile(r"[+-]?\d{1,9}")),
}


def looked_at(arguments: Sequence[str]) -> tuple[str, ...] | None:
    """The directories that a `find` walks, if it does nothing but look; else None. `-exec`, `-delete`, `-fprint` and
    whatever else is not known here asks, as do `-L`, `-H` and `-follow`, which walk through links."""
    rest = list(arguments)
    roots: list[str] = []
    while rest and not rest[0].startswith(("-", "(", "!", ")", ",")):
        roots.append(rest.pop(0))
    while rest:
        test = rest.pop(0)
        if test in _ALONE:
            continue
        if not rest or not _takes(test, rest.pop(0)):
            return None
    return tuple(roots) if all(map(stays_inside, roots)) else None


def _takes(test: str, value: str) -> bool:
    if test in _WITH_TEXT:
        return True
    pattern = _WITH_WORD.get(test)
    return pattern is not None and pattern.fullmatch(value) is not None
