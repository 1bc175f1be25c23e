"""What every test may rely on. Imports neither Klein nor a reactor: pytest-twisted installs the reactor first."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("txcrush", deadline=None)
settings.load_profile("txcrush")


@pytest.fixture(scope="session", autouse=True)
def _no_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes what belongs to the user who runs it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("CRUSH", "TXCRUSH", "XDG_"))]:
            patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_RUNTIME_DIR", str(home))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_ignored_signals() -> Iterator[None]:
    """A job in the background of a script, or under nohup, is started with these ignored, and so would be every server
    that a test starts: it would keep them ignored, as it should."""
    ignored = [number for number in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose name is short enough for a Unix socket's path."""
    path = Path(tempfile.mkdtemp(prefix="tx", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
