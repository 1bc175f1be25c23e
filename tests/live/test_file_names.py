"""The names of a project's files, by a real ripgrep."""

import os
from pathlib import Path

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from txcrush.adapters.file_names import KEPT_S, FileNames
from txcrush.adapters.ripgrep import Ripgrep


@pytest_twisted.ensureDeferred
async def test_ignored_and_hidden_files_are_not_offered_and_a_list_is_kept_for_a_moment(tmp_path: Path) -> None:
    for name in ("app.py", "lib/apple.py", "node_modules/app.js", ".secret/app.env"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / ".gitignore").write_text("node_modules\n")
    clock = Clock()
    names = FileNames(Ripgrep(reactor, os.environ, deferToThread), clock, deferToThread)  # type: ignore[arg-type]
    assert list(await names(str(tmp_path), "app", 9)) == ["app.py", "lib/apple.py"]
    (tmp_path / "app2.py").write_text("x")
    assert list(await names(str(tmp_path), "app2", 9)) == []
    clock.advance(KEPT_S)
    assert list(await names(str(tmp_path), "app2", 9)) == ["app2.py"]
