"""Real bash as the shell engine, with a prelude for what it must not run (`tools.md` 10, 31.3).

The prelude defines a function for each program that is not allowed. Bash looks functions up after expansion, so quotes
and variables hide nothing; the function ends the script. What another program starts is not looked at. The prelude is a
file, because only `BASH_ENV` is read before a `-c` line without changing its line numbers, and it unsets that variable,
so that nested shells are what they always are.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from os import path as paths

from txcrush.adapters.bash_lines import Shape
from txcrush.adapters.shell_environment import environment
from txcrush.model.errors import Refused
from txcrush.model.processes import Program, ShellLine

LONGEST_BYTES = 120_000
"""Linux takes no argument of 128 KiB."""

NO_BASH = "there is no bash on this machine: install it, or put it on the PATH that the server is started with"
TOO_LONG = f"the command is too long: at most {LONGEST_BYTES} bytes. Write it to a file first, then run that"

_MISLEADING = ("BASH_ENV", "ENV", "POSIXLY_CORRECT", "SHELLOPTS", "BASHOPTS")
"""Variables that change what bash does before it comes to the line, or keep it from reading the prelude."""

_ALWAYS = r"""unset BASH_ENV
command_not_found_handle() { printf '"%s": executable file not found in $PATH\n' "$1" >&2; return 127; }
"""
_REFUSALS = r"""__txcrush_refuse() { printf 'command is not allowed for security reasons: "%s"' "$1" >&2; exit 1; }
__txcrush_split() {
  __txcrush_words=$'\x1f' __txcrush_flags=$'\x1f'
  while [ $# -gt 0 ]; do
    case $1 in
      -*) __txcrush_flags+=${1%%=*}$'\x1f' ;;
      *) __txcrush_words+=$1$'\x1f' ;;
    esac
    shift
  done
}
"""


class Bash:
    """Makes programs of lines; a `MakeProgram`. `folder` is where the preludes are written, 0600."""

    def __init__(
        self, environ: Mapping[str, str], folder: str, banned_names: Iterable[str], banned_shapes: Iterable[Shape]
    ) -> None:
        path = environ.get("PATH") or os.defpath
        self._environ = {name: value for name, value in environ.items() if name not in _MISLEADING} | {"PATH": path}
        self._bash = found_bash(path)
        self._folder = folder
        self._preludes = {False: prelude((), ()), True: prelude(banned_names, banned_shapes)}

    def __call__(self, line: ShellLine) -> Program:
        """See `ports.MakeProgram`."""
        if not self._bash:
            raise Refused(NO_BASH)
        if len(line.command.encode("utf-8", "surrogatepass")) > LONGEST_BYTES:
            raise Refused(TOO_LONG)
        options = ("-n", "-c") if line.only_parse else ("-c",)
        own = {name: value for name, value in line.env.items() if name not in _MISLEADING}
        return Program(
            argv=(self._bash, *options, "--", line.command, "bash"),
            cwd=line.cwd,
            env=environment({**self._environ, **own}, line.withheld) | {"BASH_ENV": self._prelude_file(line.blocks)},
            mark=line.mark,
        )

    def _prelude_file(self, blocks: bool) -> str:
        """The prelude's path; the file is written where it is not what it should be."""
        text = self._preludes[blocks].encode()
        file = paths.join(self._folder, "agent.bash" if blocks else "user.bash")
        try:
            if not _holds(file, text):
                os.makedirs(self._folder, mode=0o700, exist_ok=True)
                _write(file, text)
        except OSError as error:
            raise Refused(f"bash cannot be prepared: {file}: {error.strerror}") from error
        return file


def prelude(banned_names: Iterable[str], banned_shapes: Iterable[Shape]) -> str:
    """What bash reads before the line."""
    names = sorted(banned_names)
    shapes: dict[str, list[Shape]] = {}
    for shape in banned_shapes:
        shapes.setdefault(shape.program, []).append(shape)
    refused = "".join(f"{name}() {{ __txcrush_refuse {name}; }}\n" for name in names)
    shaped = "".join(_shaped(name, found) for name, found in sorted(shapes.items()) if name not in names)
    return _ALWAYS + (_REFUSALS + refused + shaped if refused or shaped else "")


def _shaped(name: str, shapes: Iterable[Shape]) -> str:
    """A function that runs the program unless its arguments have one of the shapes."""
    tests = "".join(
        f"case $__txcrush_words in {_pattern(shape.words)}*) {_with_flags(name, shape.flags)} ;; esac; "
        for shape in shapes
    )
    return f'{name}() {{ __txcrush_split "$@"; {tests}command {name} "$@"; }}\n'


def _with_flags(name: str, flags: Iterable[str]) -> str:
    refusal = f"__txcrush_refuse {name}"
    for flag in flags:
        refusal = f"case $__txcrush_flags in *{_pattern((flag,))}*) {refusal} ;; esac"
    return refusal


def _pattern(words: Iterable[str]) -> str:
    return "$'" + "".join(f"\\x1f{word}" for word in words) + "\\x1f'"


def found_bash(path: str) -> str:
    """The bash on this PATH, or at one of its usual places; empty where there is none."""
    return shutil.which("bash", path=path) or _usual_bash()


def _usual_bash() -> str:
    return next((place for place in ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash") if paths.exists(place)), "")


def _holds(file: str, text: bytes) -> bool:
    try:
        with open(file, "rb") as kept:
            return kept.read() == text
    except OSError:
        return False


def _write(file: str, text: bytes) -> None:
    """Write the file whole, for nobody else to read."""
    handle, temporary = tempfile.mkstemp(dir=paths.dirname(file))
    with os.fdopen(handle, "wb") as out:
        out.write(text)
    os.replace(temporary, file)
