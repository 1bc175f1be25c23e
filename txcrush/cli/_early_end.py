"""What a signal does before the server has taken over its signals: there is nothing to stop yet."""

import os
import signal
from types import FrameType

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def end_early() -> None:
    """From now on, until others are installed, the stop signals end the process with status 0, as they do later. Those
    that our parent had us ignore stay ignored."""
    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)
