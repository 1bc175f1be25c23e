"""Lines typed at the terminal, while a reactor runs."""

import os
import signal
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

READ_BYTES = 4096


@implementer(IReadDescriptor)
class Keyboard:
    """Lines from a file descriptor that can be waited for: a terminal or a pipe.

    A line goes to whoever has asked for one, in order; one that nobody has asked for goes to `listener`, or waits while
    there is none.
    """

    def __init__(self, reactor: Any, fd: int) -> None:
        self._reactor = reactor
        self._fd = fd
        self._typed = b""
        self._lines: deque[str] = deque()
        self._askers: deque[Deferred[str | None]] = deque()
        self._ended = False
        self.listener: Callable[[str | None], None] | None = None
        reactor.addReader(self)

    def line(self) -> "Deferred[str | None]":
        """The next line, without its end; None once there are no more. Cancelling leaves the line to the next."""
        asker: Deferred[str | None] = Deferred(self._askers.remove)
        self._askers.append(asker)
        self._tell()
        return asker

    def forget(self) -> None:
        """Drop what was typed before anybody asked for it."""
        self._lines.clear()

    def close(self) -> None:
        """Listen no more; the descriptor stays open, it is the terminal's."""
        self._reactor.removeReader(self)

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "keyboard"

    def doRead(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        *lines, self._typed = (self._typed + data).split(b"\n")
        self._lines.extend(line.decode("utf-8", "replace").rstrip("\r") for line in lines)
        self._tell()

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002  # however it ended
        self._end()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self.close()
        self._tell()
        if self.listener is not None:
            self.listener(None)

    def _tell(self) -> None:
        while self._lines and (self._askers or self.listener is not None):
            line = self._lines.popleft()
            if self._askers:
                self._askers.popleft().callback(line)
            elif self.listener is not None:
                self.listener(line)
        while self._ended and self._askers:
            self._askers.popleft().callback(None)


def terminal_of_user() -> int | None:
    """A descriptor of the terminal that the process was started at, also where standard input is a pipe; None where
    there is none, or where the process runs in its background: who reads there is stopped."""
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    if os.tcgetpgrp(fd) != os.getpgrp():
        os.close(fd)
        return None
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # sent to the background later, reading fails instead of stopping us
    return fd


def keyboard_of(reactor: Any) -> Keyboard | None:
    """The user's keyboard; None where nobody sits at one."""
    fd = terminal_of_user()
    return Keyboard(reactor, fd) if fd is not None else None
