"""A server in a process of its own, for what has to be seen from outside: its memory, its log, its end."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

START_S = 60.0
END_S = 30.0


class ServerProcess:
    """A server whose files all lie in one directory. It answers once this has been made; `stop` ends it.

    `socket` is its Unix socket, `log` the file of its standard error, `output` that of its standard output.
    """

    def __init__(self, directory: Path, flags: Sequence[str] = (), **environ: str) -> None:
        self.socket = str(directory / "s")
        self.log = directory / "server.log"
        self.output = directory / "server.out"
        self.state = directory / "state"
        ours = {"HOME": str(directory), "XDG_RUNTIME_DIR": str(directory), "PATH": os.defpath, **environ}
        command = [sys.executable, "-m", "txcrush", "serve", "--host", f"unix://{self.socket}"]
        with self.log.open("wb") as errors, self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "--state-dir", str(self.state), *flags],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                cwd=directory,
                env=ours,
            )
        self._wait_until_ready()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def token(self) -> str:
        """What its TCP clients need."""
        return (self.state / "token").read_text().strip()

    @property
    def tcp_port(self) -> int:
        """The first TCP port that it told its log of."""
        line = next(line for line in self.log.read_text().splitlines() if "listening on http" in line)
        return int(line.partition("listening on http")[2].partition('"')[0].rpartition(":")[2])

    def memory_kib(self) -> int:
        """Its resident memory (Linux)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))

    def open_files(self) -> int:
        """How many files, sockets among them, it holds open (Linux)."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stop(self) -> int:
        """End it as an administrator would; its status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(END_S)
        finally:
            self.process.kill()

    def _wait_until_ready(self) -> None:
        """Read the log, which the server writes a line at a time, until it says so."""
        follow = ["timeout", str(START_S), "tail", f"--pid={self.pid}", "-n", "+1", "-F", str(self.log)]
        with subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tail:
            assert tail.stdout is not None
            for line in tail.stdout:
                if '"msg":"ready"' in line.replace(" ", ""):
                    tail.kill()
                    return
        self.process.kill()
        raise AssertionError(f"the server did not start: {self.log.read_text()}")
