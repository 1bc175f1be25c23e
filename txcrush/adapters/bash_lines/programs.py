"""The read-only list: programs that may run unasked, each with what it may be told.

The names are those of `tools.md` 8.3, less what runs, signals or sets something, and the programs that only read what
they are given (`docs/design/commands.md` says, for each, what was left out and why).
"""

import re

from txcrush.adapters.bash_lines.options import MANY, Allowance, Given
from txcrush.adapters.bash_lines.wordlists import named

_NAME = re.compile(r"[A-Za-z0-9_.+-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOMENT = re.compile(r"\+[^\x00-\x1f]*")
_MONTH = re.compile(r"\d{1,4}|[A-Za-z]{3,9}")
_COLUMN = re.compile(
    r"(?:pid|ppid|pgid|sid|tid|user|uid|group|gid|comm|cmd|args|command|%cpu|pcpu|%mem|pmem|rss|vsz|sz|stat|state|s"
    r"|start|lstart|etime|etimes|time|tty|tt|nlwp|ni|pri|wchan|psr)=?"
)
_TERSE_PS = re.compile(r"[auxfwljrh]+")
_PRINTED = re.compile(r"(?:\d{1,9}|\$)(?:,(?:\+?\d{1,9}|\$))?p")
_DEVICE = re.compile(r"/|\.|[A-Za-z0-9_][A-Za-z0-9_./-]*")


def _columns_of(given: Given, *names: str) -> list[str]:
    return [part for name, value in given.options if name in names for part in re.split("[, ]", value)]


def _shows_no_environment(given: Given) -> bool:
    """`ps`: a bare `e` shows the environment of processes, the server's keys among it. An argument list that makes no
    sense to `ps` is read once more with the dashes ignored: then `-e` is that `e`, and so is any `e` in a value.
    """
    columns = _columns_of(given, "o", "format")
    order = [column.lstrip("+-") for column in _columns_of(given, "sort")]
    numbers = _columns_of(given, "p", "pid", "ppid")
    users = _columns_of(given, "u", "user")
    if not all(_COLUMN.fullmatch(column) for column in columns + order):
        return False
    if not all(number.isdecimal() for number in numbers) or any("e" in user for user in users):
        return False
    alone = not given.operands and not numbers and not users
    return not given.has("e") or (alone and (not columns or not given.has(*"fFlj")))


def _has_pattern(given: Given) -> bool:
    """`grep` and `rg`: the first operand is the pattern, as no option that gives one is allowed."""
    return len(given.operands) >= 1


def _prints_lines(given: Given) -> bool:
    """`sed`: nothing but `-n` and a range to print; its other commands write and run."""
    return given.has("n") and len(given.operands) >= 1 and _PRINTED.fullmatch(given.operands[0]) is not None


_PATHS = Allowance(operands=MANY, reads=True)
_SEARCH = Allowance(
    letters="inrcvlLowxEFGPhHqsabz",
    valued="mABC",
    numeric=True,
    flags=named(
        "ignore-case line-number recursive count invert-match files-with-matches files-without-match only-matching"
        " word-regexp line-regexp extended-regexp fixed-strings basic-regexp perl-regexp no-filename with-filename"
        " null text no-messages quiet silent byte-offset"
    ),
    with_value=named("include exclude exclude-dir max-count context after-context before-context"),
    maybe_value=named("color colour"),
    operands=MANY,
    reads=True,
    patterns=1,
    condition=_has_pattern,
)
_PART = Allowance(
    letters="qvz",
    valued="nc",
    numeric=True,
    flags=named("quiet silent verbose"),
    with_value=named("lines bytes"),
    operands=MANY,
    reads=True,
)
_SUMS = Allowance(letters="bt", operands=MANY, reads=True)

PROGRAMS: dict[str, Allowance] = {
    "cal": Allowance(letters="13ymj", valued="n", operands=2, operand=_MONTH),
    "date": Allowance(
        letters="uR",
        attached="I",
        valued="d",
        flags=named("utc universal rfc-email"),
        with_value=named("date"),
        maybe_value=named("iso-8601"),
        operands=1,
        operand=_MOMENT,
        in_order=True,
    ),
    "df": Allowance(
        letters="hHkTialmP",
        valued="tx",
        flags=named("human-readable si total inodes all local print-type portability"),
        maybe_value=named("output"),
        operands=MANY,
        operand=_DEVICE,
    ),
    "du": Allowance(
        letters="shackmbxS",
        valued="dt",
        flags=named("summarize human-readable all total apparent-size si bytes one-file-system separate-dirs"),
        with_value=named("max-depth exclude threshold"),
        operands=MANY,
        reads=True,
        names_only=True,
    ),
    "free": Allowance(letters="hbkmgtwlv", flags=named("human si total wide lohi bytes kibi mebi gibi")),
    "groups": Allowance(operands=MANY, operand=_NAME),
    "hostname": Allowance(letters="fsIid", flags=named("fqdn long short ip-address all-ip-addresses domain")),
    "id": Allowance(letters="ugGnrz", flags=named("user group groups name real zero"), operands=MANY, operand=_NAME),
    "ls": Allowance(
        letters="aAlhF1rtRSsidGgnopcuXUmkBNQqvx",
        flags=named(
            "all almost-all human-readable group-directories-first recursive reverse size full-time inode directory"
            " numeric-uid-gid si no-group literal quote-name file-type"
        ),
        with_value=named("sort time time-style ignore hide format indicator-style"),
        maybe_value=named("color classify"),
        operands=MANY,
        reads=True,
        names_only=True,
    ),
    "printenv": Allowance(operands=MANY, operand=_VARIABLE),
    "ps": Allowance(
        letters="AadefFljwH",
        valued="oup",
        flags=named("forest no-headers"),
        with_value=named("sort pid ppid user format"),
        operands=1,
        operand=_TERSE_PS,
        condition=_shows_no_environment,
    ),
    "pwd": Allowance(letters="LP"),
    "set": Allowance(in_order=True),
    "type": Allowance(letters="atpPf", operands=MANY, operand=_NAME),
    "uname": Allowance(
        letters="asnrvmpio",
        flags=named(
            "all kernel-name nodename kernel-release kernel-version machine processor hardware-platform"
            " operating-system"
        ),
    ),
    "uptime": Allowance(letters="ps", flags=named("pretty since")),
    "whatis": Allowance(operands=MANY, operand=_NAME),
    "whereis": Allowance(letters="bms", operands=MANY, operand=_NAME),
    "which": Allowance(letters="as", flags=named("all"), operands=MANY, operand=_NAME),
    "whoami": Allowance(),
    # what only reads files, or what a pipe brings
    "basename": Allowance(letters="az", valued="s", operands=MANY),
    "cat": Allowance(
        letters="nbsAEvTet", flags=named("number number-nonblank show-all show-ends"), operands=MANY, reads=True
    ),
    "cut": Allowance(
        letters="sz",
        valued="dfcb",
        flags=named("complement only-delimited"),
        with_value=named("delimiter fields characters bytes output-delimiter"),
        operands=MANY,
        reads=True,
    ),
    "dirname": Allowance(letters="z", operands=MANY),
    "egrep": _SEARCH,
    "fgrep": _SEARCH,
    "file": Allowance(letters="bi", flags=named("brief mime mime-type"), operands=MANY, reads=True),
    "grep": _SEARCH,
    "head": _PART,
    "md5sum": _SUMS,
    "nl": Allowance(valued="bnws", operands=MANY, reads=True),
    "rg": Allowance(
        letters="inlcvwFSsoNHIx",
        valued="ABCmgtT",
        flags=named(
            "ignore-case line-number files-with-matches files-without-match count invert-match word-regexp"
            " fixed-strings smart-case case-sensitive only-matching no-line-number no-filename with-filename hidden"
            " no-heading heading line-regexp"
        ),
        with_value=named("color context after-context before-context max-count max-depth glob type type-not sort"),
        operands=MANY,
        reads=True,
        patterns=1,
        condition=_has_pattern,
    ),
    "sed": Allowance(letters="n", operands=MANY, reads=True, patterns=1, condition=_prints_lines),
    "sha1sum": _SUMS,
    "sha256sum": _SUMS,
    "sort": Allowance(
        letters="bdfghinrRsuVMz",
        valued="kt",
        flags=named(
            "reverse numeric-sort human-numeric-sort unique version-sort ignore-case general-numeric-sort stable"
        ),
        with_value=named("key field-separator"),
        operands=MANY,
        reads=True,
    ),
    "stat": Allowance(
        letters="t",
        valued="c",
        flags=named("terse"),
        with_value=named("format printf"),
        operands=MANY,
        reads=True,
        names_only=True,
    ),
    "tac": _PATHS,
    "tail": _PART,
    "tr": Allowance(letters="dscC", flags=named("delete squeeze-repeats complement"), operands=2),
    "tree": Allowance(
        letters="adfhspugDFCin",
        valued="LIP",
        flags=named("dirsfirst noreport gitignore prune"),
        operands=MANY,
        reads=True,
        names_only=True,
    ),
    "uniq": Allowance(
        letters="cdDuiz",
        valued="fsw",
        flags=named("count repeated unique ignore-case"),
        operands=1,
        in_order=True,
        reads=True,
    ),
    "wc": Allowance(letters="lwcmL", flags=named("lines words bytes chars max-line-length"), operands=MANY, reads=True),
}
