"""What "allow for session" remembers of a line: one key for each simple command, or the whole text.

A key stands for every other line with the same keys. So it names a program only where the program does its own work:
whatever runs, or can be told to run, something of the caller's choice is remembered by its whole text.
"""

from collections.abc import Sequence

from txcrush.adapters.bash_lines.scanning import PlainLine
from txcrush.adapters.bash_lines.wordlists import named

WITH_SUBCOMMANDS = named(
    "git gh npm pnpm yarn bun pip pip3 pipx uv poetry cargo rustup go docker podman kubectl helm terraform brew gem"
    " bundle composer dotnet gradle mvn nx turbo systemctl hg svn jj conda mamba"
)
"""Programs whose first word says what they do; the key has both."""

RUNNERS = named(  # what runs its arguments
    "env nohup nice ionice timeout time xargs parallel sudo doas su setsid stdbuf strace ltrace script watch flock"
    " chroot unshare nsenter chrt taskset runuser setpriv busybox toybox entr npx bunx pnpx uvx ssh mosh tmux screen"
    " at batch start-stop-daemon systemd-run dbus-run-session xvfb-run sg newgrp expect socat nc ncat gdb lldb direnv"
    " mise asdf caffeinate unbuffer faketime proot fakeroot firejail bwrap valgrind perf hyperfine"
    # what runs a program text
    " sh bash dash zsh ksh ash fish csh tcsh pwsh python python2 python3 pypy pypy3 perl ruby node nodejs deno php lua"
    " luajit awk gawk mawk nawk sed ed ex vi vim nvim emacs m4 bc dc sqlite3 psql mysql tclsh Rscript julia ghci irb"
    " groovy scala osascript jshell gnuplot tsx ts-node"
    # what changes the shell that the rest of the line runs in
    " eval . source exec command builtin export declare typeset local readonly set unset shopt hash enable alias"
    " unalias trap bind complete compgen let read mapfile readarray getopts printf test [ [[ function coproc exit"
    " return umask ulimit fc history"
)
"""Programs, and words of the shell, that a key would make too much of."""

_GIT_RUNNERS = named(
    "config bisect submodule difftool mergetool filter-branch rebase hook help daemon instaweb send-email"
    " for-each-repo maintenance remote-ext credential web--browse gui citool p4 svn archive var"
)
_RUNNING_SUBCOMMANDS: dict[str, frozenset[str]] = {
    "git": _GIT_RUNNERS,
    "npm": named("exec x explore config set"),
    "pnpm": named("exec dlx config"),
    "yarn": named("exec dlx node config"),
    "bun": named("x exec run"),
    "pip": frozenset(("config",)),
    "pip3": frozenset(("config",)),
    "pipx": frozenset(("run",)),
    "uv": named("run tool x"),
    "poetry": named("run config"),
    "bundle": named("exec config"),
    "go": named("run env generate tool"),
    "docker": named("run exec compose"),
    "podman": named("run exec"),
    "kubectl": named("exec run debug"),
    "conda": named("run config"),
    "mamba": named("run config"),
    "gh": named("alias extension config api"),
    "composer": named("exec config"),
}
_RUNNING_OPTIONS = (
    "--exec",
    "--exec-path",
    "--upload-pack",
    "--receive-pack",
    "--open-files-in-pager",
    "--extcmd",
    "--ext-diff",
    "--config",
    "--config-env",
    "--template",
    "--rsh",
    "--rsync-path",
    "--to-command",
    "--use-compress-program",
    "--checkpoint-action",
    "--compress-program",
    "--info-script",
    "--new-volume-script",
    "--rmt-command",
    "--rsh-command",
    "--eval",
    "--toolexec",
    "--vettool",
    "--overlay",
    "--pre",
    "--hostname-bin",
    "--script-shell",
    "--node-options",
    "--init-script",
    "--build-option",
)
_RUNNING_SHORT = named("-exec -execdir -ok -okdir -delete -fprint -fprintf -fls -toolexec -vettool -overlay")
_RUNNING_LETTERS: dict[str, str] = {"git": "cOxu", "tar": "IF", "rsync": "e", "make": "EfCI", "rg": "", "zip": "T"}
_RUNNING_PREFIXES = frozenset(option[:end] for option in _RUNNING_OPTIONS for end in range(4, len(option) + 1))
"""Long options may be abbreviated: two letters are enough to ask."""

_BY_WHOLE_COMMAND = named("cd pushd popd")


def keys_of(line: str, plain: PlainLine | None) -> tuple[str, ...]:
    """The keys of a line: its whole text where it is not plain or one of its commands runs something else.

    Not a character is taken off the text: `git push` with a no-break space behind it must not become `git push`.
    """
    whole = (line,)
    if plain is None:
        return whole
    keys: list[str] = []
    for command in plain.commands:
        key = _key([word.text for word in command])
        if not key:
            return whole
        keys.append(key)
    return tuple(dict.fromkeys(keys))


def _key(words: Sequence[str]) -> str:
    program, arguments = words[0], words[1:]
    name = program.rpartition("/")[2]
    if _is_runner(name) or any(_runs_something(name, word) for word in arguments):
        return ""
    if program in _BY_WHOLE_COMMAND:
        return " ".join(words) if all(word.isprintable() and " " not in word for word in words) else ""
    if name not in WITH_SUBCOMMANDS or not arguments:
        return program
    subcommand = arguments[0]
    if program != name or subcommand.startswith("-") or not _is_subcommand(subcommand):
        return ""
    return "" if subcommand in _RUNNING_SUBCOMMANDS.get(name, ()) else f"{program} {subcommand}"


def _is_runner(name: str) -> bool:
    """A runner, also with a version behind its name (`python3.12`), or `find`'s and `make`'s like by options."""
    return name in RUNNERS or name.rstrip("0123456789.-") in RUNNERS


def _is_subcommand(word: str) -> bool:
    return word != "" and all(letter.isalnum() or letter in "-_:." for letter in word)


def _runs_something(name: str, word: str) -> bool:
    """Whether an argument makes a program run something: such options may be abbreviated."""
    if name == "make" and not word.startswith("-"):
        return "=" in word
    if not word.startswith("-"):
        return False
    option = word.partition("=")[0]
    if option in _RUNNING_SHORT:
        return True
    if option.startswith("--"):
        return option in _RUNNING_PREFIXES
    return not set(_RUNNING_LETTERS.get(name, "")).isdisjoint(option[1:])
