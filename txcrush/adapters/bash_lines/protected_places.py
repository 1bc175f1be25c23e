"""Places that are never written without a prompt, even where prompts are skipped: what git runs by itself, and what
the agent's and the server's configuration says.

Whether a line writes them is not decided here: naming one is enough to ask. A tripwire, not a wall: a name that is put
together at run time is not seen.
"""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from txcrush.adapters.bash_lines.git_forms import git_form
from txcrush.adapters.bash_lines.wordlists import named

_PLACE = re.compile(
    r"(?<![\w.-])\.(?:git|crush)(?![\w.-])"
    r"|(?<![\w-])\.?crush\.json|(?<![\w-])\.?crushrc(?!\w)"
    r"|(?<!\w)\.gitconfig(?!\w)|config/git(?![\w-])"
    r"|(?:share|state|config|cache|_home\}?)/(?:tx)?crush(?![\w-])"
    r"|txcrush\.(?:db|lock)|core\.hookspath"
)
_STARTED = (
    *("profile", "bashrc", "bash_profile", "bash_login", "bash_logout", "bash_aliases", "zshrc", "zshenv", "zprofile"),
    *("zlogin", "zlogout", "kshrc", "cshrc", "tcshrc", "pam_environment", "xprofile", "xsessionrc", "xinitrc", "ssh"),
    *("githooks", "husky"),
)
"""Dotted names that shells, logins and, by a widespread custom, git's hooks go by."""
_STARTED_PLACE = re.compile(
    rf"(?<![\w.-])\.(?:{'|'.join(_STARTED)})(?![\w.-])|config/(?:fish|environment\.d|autostart|systemd)(?![\w-])"
)
_PRIVATE_PLACE = re.compile(
    r"(?<![\w.-])[._](?:aws|azure|docker|gnupg|kube|netrc|npmrc|pgpass|pypirc|git-credentials|password-store)(?![\w-])"
    r"|\.claude\.json|\.codex|_history(?!\w)|(?<![\w.])/proc(?!\w)|/environ(?!\w)"
)
_DOTTED = (".git", ".gitconfig", ".crush", ".crush.json", ".crushrc", *(f".{name}" for name in _STARTED))
_DOT_GLOB = re.compile(r"(?<![\w.\])}*?-])\.[\w.*?\[\]!^-]*[*?\[][\w.*?\[\]!^-]*")
_DOT_BRACES = re.compile(r"\.\{[^}]*\}|\.\w*\{[^}]*\}")
_MARKS = re.compile(r"\\\n|[\\'\"]")
_LEFT_OUT = re.compile(r"--(?:exclude|exclude-dir|ignore|ignore-dir)[= ][\w.*/@-]+|(?:-g|--glob)[= ]?![\w.*/@-]+")
_LOOKED_FOR = re.compile(r"-i?(?:name|path|wholename) +[\w.*/@-]+")
_ACTS = re.compile(r"-(?:exec|ok|delete|fprint|fls)|xargs|parallel|\$\(|`|<\(|while ")
_REMOTE_CHANGES = named("add rename remove rm set-head set-branches set-url")
_TAKES_NEXT = frozenset(("-c", "-C", "--git-dir", "--work-tree", "--namespace", "--exec-path", "--config-env"))


def names_protected_place(line: str) -> bool:
    """Whether a protected place is named anywhere in the text, whatever quotes and backslashes stand in between."""
    text = _LEFT_OUT.sub(" ", _MARKS.sub("", line)).casefold()
    if not _ACTS.search(text):
        text = _LOOKED_FOR.sub(" ", text)
    if _PLACE.search(text) or _STARTED_PLACE.search(text) or _DOT_BRACES.search(text):
        return True
    globs = (match.group().split("/")[0] for match in _DOT_GLOB.finditer(text))
    return any(fnmatchcase(place, glob.replace("[^", "[!")) for glob in globs for place in _DOTTED)


def names_private_place(line: str) -> bool:
    """Whether a place where keys are kept is named in the text: what is allowed then is that line and no other."""
    text = _MARKS.sub("", line).casefold()
    return (
        _PLACE.search(text) is not None or _STARTED_PLACE.search(text) is not None or bool(_PRIVATE_PLACE.search(text))
    )


def changes_git_config(commands: Iterable[Sequence[str]]) -> bool:
    """Whether one of the commands, given by its literal words, changes a repository's configuration by git's own
    means."""
    return any(_changes(words[place + 1 :]) for words in commands for place in _places_of_git(words))


def _places_of_git(words: Sequence[str]) -> Iterable[int]:
    return (place for place, word in enumerate(words) if word.rpartition("/")[2] == "git")


def _changes(arguments: Sequence[str]) -> bool:
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        if rest.pop(0) in _TAKES_NEXT and rest:
            rest.pop(0)
    if rest[:1] == ["config"]:
        return git_form(rest) is None
    return rest[:1] == ["remote"] and not _REMOTE_CHANGES.isdisjoint(rest[1:3])
