"""Directories for tests that write and sync much: in memory, where the system has a place for that."""

import os
import tempfile
from pathlib import Path

MEMORY = "/dev/shm"


def directory() -> Path:
    """A new one; its name is short enough for a Unix socket. Whoever asks removes it. What is there survives the death
    of every process, and that is all that such tests need."""
    in_memory = os.path.isdir(MEMORY) and os.access(MEMORY, os.W_OK)
    return Path(tempfile.mkdtemp(prefix="tx", dir=MEMORY if in_memory else "/tmp"))
