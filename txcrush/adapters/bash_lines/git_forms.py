"""The forms of git that may run unasked, and what is forced on them.

A repository's own configuration names programs that git runs by itself. What is forced here turns each of them off;
`docs/design/commands.md` has the list, and `tests/live/test_bash_lines.py` tries each against a real git.
"""

import re
import shlex
from collections.abc import Sequence

from msgspec import Struct

from txcrush.adapters.bash_lines.contents import Among, Walk
from txcrush.adapters.bash_lines.options import MANY, Allowance, Given, given_to, stays_inside
from txcrush.adapters.bash_lines.wordlists import named

_ENVIRONMENT = "GIT_PAGER=cat GIT_OPTIONAL_LOCKS=0 GIT_NO_LAZY_FETCH=1 GIT_ALLOW_PROTOCOL=none"
_SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "diff.autoRefreshIndex=false",
    "diff.submodule=short",
    "gpg.program=false",
    "gpg.ssh.program=false",
    "gpg.x509.program=false",
    "log.showSignature=false",
    "safe.bareRepository=explicit",
    "status.submoduleSummary=false",
    "submodule.recurse=false",
)
_FORCED: dict[str, tuple[str, ...]] = {
    "blame": ("--no-textconv",),
    "diff": ("--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty"),
    "grep": ("--no-textconv",),
    "log": ("--no-ext-diff", "--no-textconv"),
    "show": ("--no-ext-diff", "--no-textconv"),
    "status": ("--ignore-submodules=dirty",),
}
_SHOWS_CONTENTS = frozenset(("blame", "cat-file", "diff", "grep", "log", "show"))
_FIRST_PATH = {"diff": 0, "grep": 1}
LOOKS_AT_FILES = frozenset(("blame", "diff", "grep", "ls-files", "status"))
"""The forms that compare files with the index, for which git runs the configured content filters."""

WITHOUT_FILTERS = (
    "while IFS= read -r -d '' txcrush_key; do "
    'export "GIT_CONFIG_KEY_${GIT_CONFIG_COUNT:=0}=$txcrush_key" "GIT_CONFIG_VALUE_$GIT_CONFIG_COUNT="; '
    "export GIT_CONFIG_COUNT=$((GIT_CONFIG_COUNT + 1)); "
    "done < <(git config --null --name-only --get-regexp '^filter\\.' 2>/dev/null); "
)
"""Empties every content filter that the configuration defines, for the commands behind it. Their names are the
repository's choice, so that no fixed setting reaches them, and a name with `=` cannot be given with `-c`."""


class GitForm(Struct, frozen=True):
    """A form that may run: its subcommand, the command with what is forced, and what it may read outside git's own
    objects: outside a repository `diff` and `grep` take their operands for files. `shows` are the paths whose contents
    it may show, now or as they once were, and `walks` is how it looks for others."""

    subcommand: str
    command: str
    reads: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    walks: tuple[Walk, ...] = ()


_REVISION = re.compile(r"[A-Za-z0-9_./@^~{}:+=,%*?!()\[\] -]+")
_KEY = re.compile(r"[A-Za-z0-9-]+\.[A-Za-z0-9_.-]+")
_REMOTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_PLACEHOLDER = re.compile(r"%[+\- ]?G|signature|%\(describe")
"""What makes a format run `gpg`, or git once more."""


def _stays(given: Given) -> bool:
    """Operands are revisions or paths; none climbs out, none formats signatures."""
    inside = all(stays_inside(word) for word in given.operands)
    return inside and not any(_PLACEHOLDER.search(value) for name, value in given.options if name in _FORMATS)


def _lists(given: Given) -> bool:
    """`branch` and `tag`: operands are patterns only where a list is asked for; without one they create."""
    return _stays(given) and (not given.operands or given.has(*_LIST))


def _gets(given: Given) -> bool:
    """`config`: one reading action, or nothing but a name, which prints its value."""
    actions = sum(given.has(name) for name in ("get", "get-all", "get-regexp", "list", "l"))
    if given.has("list", "l"):
        return actions == 1 and not given.operands
    return actions <= 1 and len(given.operands) == 1


def _shows_address(given: Given) -> bool:
    return not given.operands or (len(given.operands) == 2 and given.operands[0] == "get-url")


def _is_one_of(*forms: tuple[str, ...]) -> Allowance:
    return Allowance(operands=MANY, in_order=True, condition=lambda given: given.operands in forms)


_LIST = ("l", "list", "contains", "no-contains", "merged", "no-merged", "points-at")
_FORMATS = frozenset(("format", "pretty"))
_SHAPE = (
    "stat numstat shortstat summary name-only name-status patch no-patch raw minimal patience histogram full-index"
    " ignore-space-change ignore-all-space ignore-blank-lines ignore-cr-at-eol no-color no-renames no-prefix check"
    " exit-code quiet function-context pickaxe-regex pickaxe-all dirstat compact-summary"
)
_SHAPE_VALUE = "unified diff-filter inter-hunk-context diff-algorithm"
_SHAPE_MAYBE = "stat color word-diff color-words find-renames find-copies abbrev dirstat color-moved"
_WALK = (
    "oneline graph all branches tags remotes merges no-merges first-parent reverse follow no-decorate abbrev-commit"
    " no-abbrev-commit date-order topo-order author-date-order left-right cherry-pick cherry-mark full-history"
    " walk-reflogs parents children boundary no-notes regexp-ignore-case invert-grep all-match fixed-strings"
    " extended-regexp simplify-by-decoration source relative-date show-pulls"
)
_WALK_VALUE = "max-count skip since after until before author committer grep date format max-parents min-parents"
_WALK_MAYBE = "decorate pretty branches tags remotes"
_LOG = Allowance(
    letters="pgicmqsuwbzE",
    valued="nSGUL",
    attached="MC",
    numeric=True,
    flags=named(f"{_SHAPE} {_WALK}"),
    with_value=named(f"{_SHAPE_VALUE} {_WALK_VALUE}"),
    maybe_value=named(f"{_SHAPE_MAYBE} {_WALK_MAYBE}"),
    operands=MANY,
    operand=_REVISION,
    condition=_stays,
)
_LISTING = "sort contains no-contains points-at format"

_FORMS: dict[str, Allowance] = {
    "blame": Allowance(
        letters="wslefnct",
        valued="L",
        attached="MC",
        flags=named("show-email show-name show-number porcelain line-porcelain root"),
        with_value=named("date since"),
        maybe_value=named("abbrev"),
        operands=3,
        operand=_REVISION,
        condition=_stays,
    ),
    "branch": Allowance(
        letters="arv",
        flags=named("all remotes list verbose show-current no-color ignore-case"),
        with_value=named(_LISTING),
        maybe_value=named("color merged no-merged abbrev"),
        operands=MANY,
        operand=_REVISION,
        condition=_lists,
    ),
    "cat-file": Allowance(letters="ptes", operands=2, operand=_REVISION, condition=_stays),
    "config": Allowance(
        letters="lz",
        flags=named("get get-all get-regexp list local global system show-origin show-scope name-only null includes"),
        with_value=named("type"),
        operands=1,
        operand=_KEY,
        condition=_gets,
        in_order=True,
    ),
    "describe": Allowance(
        flags=named("tags always all long first-parent exact-match contains"),
        with_value=named("match exclude candidates"),
        maybe_value=named("abbrev"),
        operands=MANY,
        operand=_REVISION,
        condition=_stays,
    ),
    "diff": Allowance(
        letters="pqsuwbzR",
        valued="SGU",
        attached="MC",
        flags=named(f"{_SHAPE} cached staged merge-base"),
        with_value=named(_SHAPE_VALUE),
        maybe_value=named(_SHAPE_MAYBE),
        operands=MANY,
        operand=_REVISION,
        condition=_stays,
    ),
    "grep": Allowance(
        letters="inlcvwEFGPhHIqLop",
        valued="mABC",
        flags=named(
            "ignore-case line-number files-with-matches name-only files-without-match count invert-match word-regexp"
            " extended-regexp fixed-strings basic-regexp perl-regexp cached untracked heading break show-function"
            " function-context only-matching"
        ),
        with_value=named("max-depth max-count"),
        maybe_value=named("color"),
        operands=MANY,
        condition=lambda given: len(given.operands) >= 1 and all(stays_inside(one) for one in given.operands[1:]),
    ),
    "log": _LOG,
    "ls-files": Allowance(
        letters="cdmosutz",
        valued="x",
        flags=named(
            "cached deleted modified others stage unmerged exclude-standard full-name error-unmatch directory eol"
        ),
        with_value=named("exclude"),
        operands=MANY,
        operand=_REVISION,
        condition=_stays,
    ),
    "ls-tree": Allowance(
        letters="rdtlz",
        flags=named("name-only name-status long full-name full-tree"),
        maybe_value=named("abbrev"),
        operands=MANY,
        operand=_REVISION,
        condition=_stays,
    ),
    "merge-base": Allowance(
        letters="a", flags=named("all octopus is-ancestor"), operands=MANY, operand=_REVISION, condition=_stays
    ),
    "reflog": Allowance(
        numeric=True, operands=1, in_order=True, condition=lambda given: given.operands in ((), ("show",))
    ),
    "remote": Allowance(
        letters="v", flags=named("verbose"), operands=2, operand=_REMOTE, condition=_shows_address, in_order=True
    ),
    "rev-list": Allowance(
        valued="n",
        numeric=True,
        flags=named("count all branches tags remotes merges no-merges first-parent reverse left-right oneline"),
        with_value=named("max-count since until after before author"),
        operands=MANY,
        operand=_REVISION,
        condition=_stays,
    ),
    "rev-parse": Allowance(
        letters="q",
        flags=named(
            "show-toplevel git-dir git-common-dir absolute-git-dir is-inside-work-tree is-inside-git-dir"
            " is-bare-repository show-prefix show-cdup verify quiet symbolic symbolic-full-name all branches tags"
            " remotes"
        ),
        maybe_value=named("abbrev-ref short"),
        operands=MANY,
        operand=_REVISION,
        condition=_stays,
    ),
    "shortlog": Allowance(
        letters="sne",
        flags=named("summary numbered email no-merges merges all"),
        with_value=named("since until after before author"),
        operands=MANY,
        operand=_REVISION,
        condition=_stays,
    ),
    "show": _LOG,
    "show-ref": Allowance(letters="d", flags=named("head heads tags dereference"), operands=0),
    "stash": _is_one_of(("list",)),
    "status": Allowance(
        letters="sbz",
        attached="u",
        flags=named("short branch show-stash long ahead-behind no-ahead-behind null no-renames"),
        maybe_value=named("porcelain untracked-files ignored column find-renames"),
        operands=MANY,
        operand=_REVISION,
        condition=_stays,
    ),
    "tag": Allowance(
        letters="l",
        attached="n",
        flags=named("list no-color ignore-case"),
        with_value=named(_LISTING),
        maybe_value=named("color merged no-merged"),
        operands=MANY,
        operand=_REVISION,
        condition=_lists,
    ),
    "version": Allowance(),
    "worktree": _is_one_of(("list",)),
}


def git_form(words: Sequence[str]) -> GitForm | None:
    """`git WORDS...` with what is forced on it, or None if it asks. Before the subcommand nothing may stand but
    `--no-pager`."""
    rest = list(words[1:] if words[:1] == ["--no-pager"] else words)
    if rest == ["--version"]:
        rest = ["version"]
    if not rest:
        return None
    subcommand, arguments = rest[0], rest[1:]
    allowance = _FORMS.get(subcommand)
    given = given_to(allowance, arguments) if allowance else None
    if given is None:
        return None
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    forced = ["git", "--no-pager", *settings, subcommand, *_FORCED.get(subcommand, ()), *arguments]
    reads = given.operands[_FIRST_PATH[subcommand] :] if subcommand in _FIRST_PATH else ()
    return GitForm(
        subcommand,
        f"{_ENVIRONMENT} {shlex.join(forced)}",
        reads,
        _shown(given) if subcommand in _SHOWS_CONTENTS else (),
        _walked(subcommand, given),
    )


def _shown(given: Given) -> tuple[str, ...]:
    """Operands as paths: `REVISION:PATH` names one behind the colon."""
    return tuple(part for word in given.operands for part in {word, word.partition(":")[2]} if part)


def _walked(subcommand: str, given: Given) -> tuple[Walk, ...]:
    if subcommand == "diff":
        return (Walk(".", among=Among.TRACKED),)
    if subcommand == "grep":
        return (Walk(".", among=Among.ALL if given.has("untracked") else Among.TRACKED_OR_ALL),)
    return ()
