"""A whole task on a small real repository: find the failing test, see why, mend it, run it again.

The model is scripted and the rest is real: git, Python's own test runner, bash, the files. One client prompts, another
one answers what is asked.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from txcrush.testing.live_scene import Scene
from txcrush.testing.two_wires import WIRES

BOUND_S = 60.0
TEST = """import unittest
from prices import total

class Total(unittest.TestCase):
    def test_tax_is_added(self):
        self.assertEqual(total([100, 50], tax=0.2), 180)
"""
PRICES = """def total(prices, tax):
\treturn sum(prices) * (1 - tax)
"""
RUN = f"{sys.executable} -B -m unittest -v"
"""Without byte code: Python takes a file of the same size and second for the same."""


@pytest_twisted.async_yield_fixture
async def scene(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    for program in ("git", "bash"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} here")
    monkeypatch.setattr(os, "defpath", os.environ["PATH"])
    made = await Scene.open(reactor, short_path)
    (made.project / "prices.py").write_text(PRICES)
    (made.project / "test_prices.py").write_text(TEST)
    assert ran(made, "git init -q") == ran(made, "git add prices.py test_prices.py") == 0
    yield made
    await made.close()


def ran(scene: Scene, command: str) -> int:
    """The status of a command in the repository."""
    return subprocess.run(command.split(), cwd=scene.project, capture_output=True, check=False).returncode


async def last_result(scene: Scene) -> dict[str, Any]:
    """The newest result, as clients see it."""
    return (await scene.parts("tool_result"))[-1]


async def mend(scene: Scene) -> None:
    """What the model does, and what Bob says to it."""
    run = {"description": "Run the tests", "command": RUN}
    await scene.calls(("c1", "grep", {"pattern": "def total"}), ("c2", "view", {"file_path": "prices.py"}))
    await scene.calls(("c3", "bash", run))
    asked = await scene.grant(1)
    assert (asked["tool_name"], asked["params"]["command"]) == ("bash", RUN)
    await scene.shown_part("tool_result", tool_call_id="c3")
    assert "FAILED (failures=1)" in (await last_result(scene))["content"]
    mended = {"file_path": "prices.py", "old_string": "    return sum(prices) * (1 - tax)"}
    await scene.calls(("c4", "edit", {**mended, "new_string": "    return sum(prices) * (1 + tax)"}))
    asked = await scene.grant(2)
    assert asked["tool_name"] == "edit"
    assert "(1 - tax)" in asked["params"]["old_content"] and "(1 + tax)" in asked["params"]["new_content"]
    await scene.calls(("c5", "bash", run))
    await scene.grant(3, "allow_session")
    await scene.calls(("c6", "bash", run), ("c7", "bash", {"description": "See it", "command": "git diff --stat"}))
    await scene.says("The tax was subtracted; the test passes now.")


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_a_failing_test_is_found_mended_and_run_again(scene: Scene, wire: str) -> None:
    await scene.choose(wire)
    held = scene.prompt("The test fails. Mend it.")
    await Deferred.fromCoroutine(mend(scene)).addTimeout(BOUND_S, reactor)
    assert (await held).status == 200
    found, shown, first, edited, second, third, diff = await scene.parts("tool_result")
    assert "prices.py" in found["content"] and "sum(prices)" in shown["content"]
    assert not any(result.get("is_error") for result in (first, edited, second, third, diff))
    assert all("OK" in result["content"] and "FAILED" not in result["content"] for result in (second, third))
    assert "prices.py | 2 +-" in diff["content"]
    assert (scene.project / "prices.py").read_text() == PRICES.replace("1 - tax", "1 + tax")
    assert len(scene.bob.of("permission_request")) == 3
    assert ran(scene, RUN) == 0
    assert scene.ends(scene.alice) == ["done"]
