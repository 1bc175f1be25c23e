"""Reading a file that a stranger may have put there: a regular file only, and only so much of it."""

import errno
import os
import stat


def read_regular(path: str, limit: int) -> bytes:
    """At most `limit` bytes of the file. Raises OSError, also for what is no regular file (a pipe would block)."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return file.read(limit)
