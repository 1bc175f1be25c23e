"""What "allow for session" remembers of a line: one key for each simple command, or the whole text.

A key stands for every other line with the same keys. So it names a program only where the program does its own work:
whatever runs, or can be told to run, something of the caller's choice is remembered by its whole text.
"""

from collections.abc import Sequence

from txcrush.adapters.bash_lines.scanning import PlainLine

WITH_SUBCOMMANDS = frozenset(
    "git gh npm pnpm yarn bun pip pip3 pipx uv poetry cargo rustup go docker podman kubectl helm terraform brew gem"
    " bundle composer dotnet gradle mvn nx turbo systemctl hg svn jj conda mamba".split()
)
"""Programs whose first word says what they do; the key has both."""

RUNNERS = frozenset(
    # what runs its arguments
    "env nohup nice ionice timeout time xargs parallel sudo doas su setsid stdbuf strace ltrace script watch flock"
    " chroot unshare nsenter chrt taskset runuser setpriv busybox toybox entr npx bunx pnpx uvx ssh mosh tmux screen at"
    " batch start-stop-daemon systemd-run dbus-run-session xvfb-run sg newgrp expect socat nc ncat gdb lldb direnv mise"
    " asdf caffeinate unbuffer faketime proot fakeroot firejail bwrap valgrind perf hyperfine"
    # what runs a program text
    " sh bash dash zsh ksh ash fish csh tcsh pwsh python python2 python3 pypy pypy3 perl ruby node nodejs deno php lua"
    " luajit awk gawk mawk nawk sed ed ex vi vim nvim emacs m4 bc dc sqlite3 psql mysql tclsh Rscript julia ghci irb"
    " groovy scala osascript jshell gnuplot tsx ts-node"
    # what changes the shell that the rest of the line runs in
    " eval . source exec command builtin export declare typeset local readonly set unset shopt hash enable alias"
    " unalias trap bind complete compgen let read mapfile readarray getopts printf test [ [[ function coproc exit"
    " return umask ulimit fc history".split()
)
"""Programs, and words of the shell, that a key would make too much of."""

_GIT_RUNNERS = frozenset(
    "config bisect submodule difftool mergetool filter-branch rebase hook help daemon instaweb send-email for-each-repo"
    " maintenance remote-ext credential web--browse gui citool p4 svn archive var".split()
)
_RUNNING_SUBCOMMANDS: dict[str, frozenset[str]] = {
    "git": _GIT_RUNNERS,
    "npm": frozenset("exec x explore config set".split()),
    "pnpm": frozenset("exec dlx config".split()),
    "yarn": frozenset("exec dlx node config".split()),
    "bun": frozenset("x exec run".split()),
    "pip": frozenset(("config",)),
    "pip3": frozenset(("config",)),
    "pipx": frozenset(("run",)),
    "uv": frozenset("run tool x".split()),
    "poetry": frozenset("run config".split()),
    "bundle": frozenset("exec config".split()),
    "go": frozenset("run env generate tool".split()),
    "docker": frozenset("run exec compose".split()),
    "podman": frozenset("run exec".split()),
    "kubectl": frozenset("exec run debug".split()),
    "conda": frozenset("run config".split()),
    "mamba": frozenset("run config".split()),
    "gh": frozenset("alias extension config api".split()),
    "composer": frozenset("exec config".split()),
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
_RUNNING_SHORT = frozenset(
    "-exec -execdir -ok -okdir -delete -fprint -fprintf -fls -toolexec -vettool -overlay".split()
)
_RUNNING_LETTERS: dict[str, str] = {"git": "cOxu", "tar": "IF", "rsync": "e", "make": "EfCI", "rg": "", "zip": "T"}
_RUNNING_PREFIXES = frozenset(option[:end] for option in _RUNNING_OPTIONS for end in range(4, len(option) + 1))
"""Long options may be abbreviated: two letters are enough to ask."""

_BY_WHOLE_COMMAND = frozenset("cd pushd popd".split())


def keys_of(line: str, plain: PlainLine | None) -> tuple[str, ...]:
    """The keys of a line: its whole text where it is not plain or one of its commands runs something else."""
    whole = (line.strip(" \t\n"),)
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
