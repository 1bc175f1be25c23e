"""Lines that run unasked, run for real: nothing changes, however hostile the repository's configuration is."""

import hashlib
import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from txcrush.adapters.bash_lines import judge, leads_out

CORPORA = Path(__file__).parents[1] / "corpora"
ORDINARY = (CORPORA / "ordinary.txt").read_text().splitlines()
TIMEOUT_S = 60


def environment(home: Path) -> dict[str, str]:
    """What a tool's shell would have, with a home of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "TERM": "dumb"}


def run(line: str, where: Path, home: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", line],
        cwd=where,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def snapshot(top: Path) -> dict[str, str]:
    """Every path below `top` with its kind, mode, size, time and content."""
    seen = {}
    for path in sorted(top.rglob("*")):
        told = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(told.st_mode) else ""
        seen[str(path.relative_to(top))] = f"{told.st_mode} {told.st_size} {told.st_mtime_ns} {content}"
    return seen


SETUP = """
set -e
git init -q -b main .
git config user.name A
git config user.email a@b.example
mkdir -p src docs tests build
for name in README.md Makefile package.json pyproject.toml src/app.py src/main.c docs/guide.md tests/test_app.py \\
  notes.txt
do
  printf 'one\\ntwo\\nthree\\n' > $name
done
git add .
git commit -q -m first
git tag v1
git branch feature
echo more >> README.md
git commit -q -a -m second
git remote add origin ./elsewhere
echo changed >> src/app.py
echo new > fresh.txt
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def repository(tmp_path: Path, home: Path) -> Path:
    top = tmp_path / "repository"
    top.mkdir()
    made = run(SETUP, top, home)
    assert made.returncode == 0, made.stderr
    return top


def test_promise_46_ordinary_lines_change_no_file(repository: Path, home: Path) -> None:
    before = snapshot(repository), snapshot(home)
    changed = []
    for line in ORDINARY:
        judged = judge(line)
        if not judged.runs_unasked:
            continue
        run(judged.command, repository, home)
        after = snapshot(repository), snapshot(home)
        if after != before:
            changed.append(line)
            before = after
    assert changed == []


def test_lines_with_what_is_forced_on_them_say_what_they_would_have_said(repository: Path, home: Path) -> None:
    for line in (
        "git status",
        "git diff",
        "git log --oneline",
        "git show HEAD",
        "git blame README.md",
        "git ls-files -m",
    ):
        plain, forced = run(line, repository, home), run(judge(line).command, repository, home)
        assert (forced.returncode, forced.stdout, forced.stderr) == (0, plain.stdout, b""), line


ATTACKS_TEXT = (CORPORA / "hostile_git.sh").read_text()
ATTACKS = {attack: falls for falls, attack in re.findall(r"^# falls: ?(.*)\n(\w+)\(\)", ATTACKS_TEXT, re.MULTILINE)}

GIT_LINES = sorted(
    {
        *{line.split()[1]: line for line in ORDINARY if line.startswith("git ") and judge(line).runs_unasked}.values(),
        "git status",
        "git diff",
        "git log",
        "git show",
        "git branch",
        "git tag",
        "git log -p -3",
        "git log --stat -5",
        "git show HEAD~1:README.md",
        "git show -p HEAD",
        "git diff HEAD~1",
        "git diff HEAD~1 HEAD",
        "git diff --cached",
        "git blame README.md",
        "git grep two",
        "git ls-files -m",
        "git ls-files -o",
        "git describe --always",
        "git stash list",
        "git reflog -3",
        "git branch -vv",
        "git shortlog -sn HEAD",
        "git rev-list --count HEAD",
        "git cat-file -p HEAD~1:README.md",
    }
)


class Hostile:
    """A repository that was made hostile, and the marker that must not appear."""

    def __init__(self, repository: Path, home: Path, programs: Path) -> None:
        self.repository, self.home, self.marker = repository, home, programs / "marker"
        self._programs = {
            "EVIL": self._program(programs / "evil", "cat"),
            "QUIT": self._program(programs / "quit", "exit 1"),
        }

    def _program(self, path: Path, ending: str) -> str:
        path.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(self.marker))}\n{ending}\n")
        path.chmod(0o755)
        return shlex.quote(str(path))

    def attack(self, name: str) -> None:
        programs = "\n".join(f"{variable}={path}" for variable, path in self._programs.items())
        run(f"{programs}\n{ATTACKS_TEXT}\n{name}", self.repository, self.home)
        self.marker.unlink(missing_ok=True)

    def falls_for(self, line: str) -> bool:
        inner = self.repository / "inner"
        run(line, inner if inner.exists() else self.repository, self.home)
        fell = self.marker.exists()
        self.marker.unlink(missing_ok=True)
        return fell


@pytest.fixture
def hostile(repository: Path, home: Path, tmp_path: Path) -> Hostile:
    return Hostile(repository, home, tmp_path)


@pytest.mark.parametrize("attack", ATTACKS)
def test_promise_45_a_hostile_repository_runs_nothing(attack: str, hostile: Hostile) -> None:
    hostile.attack(attack)
    before = snapshot(hostile.repository)
    assert [line for line in GIT_LINES if hostile.falls_for(judge(line).command)] == []
    assert snapshot(hostile.repository) == before


def test_every_line_that_is_tried_on_hostile_repositories_runs_unasked() -> None:
    assert [line for line in GIT_LINES if not judge(line).runs_unasked] == []


@pytest.mark.parametrize("attack", [attack for attack, falls in ATTACKS.items() if falls])
def test_the_attacks_do_work_on_a_git_that_nothing_is_forced_on(attack: str, hostile: Hostile) -> None:
    hostile.attack(attack)
    assert hostile.falls_for(ATTACKS[attack])


PROCESS_LISTS = (
    *(line for line in ORDINARY if line.startswith("ps")),
    *(f"ps -{a}{b}" for a in "AadefFljwH" for b in ("", *"AadefFljwH")),
    *(f"ps {a}{b}" for a in "auxfwljrh" for b in ("", *"auxfwljrh")),
    *(f"ps -{a}{b} -o {column}" for a in "edf" for b in ("", "f", "w") for column in ("pid", "args", "pid,cmd")),
    *(
        f"ps -{a} {rest}"
        for a in ("e", "ef", "A")
        for rest in ("aux", "-u root", "-u e", "-p 1", "--sort=pid", "--forest")
    ),
    *(
        f"ps -{rest}"
        for rest in ("aux", "auxw", "auxe", "ue", "aue", "pe", "oe", "axo pid", "axu", "ewo pid", "eLo pid")
    ),
)


def test_no_list_of_processes_shows_an_environment(home: Path) -> None:
    secret = "a-value-of-nobodys-business"

    def shows(line: str) -> bool:
        piped = ["bash", "-c", f"{line} | cat"]
        told = subprocess.run(
            piped, env=environment(home) | {"A_SECRET": secret}, capture_output=True, timeout=TIMEOUT_S, check=False
        )
        return secret.encode() in told.stdout

    assert shows("ps auxeww")
    judged = [judge(line) for line in dict.fromkeys(PROCESS_LISTS)]
    unasked = [one.command for one in judged if one.runs_unasked]
    assert len(unasked) > len(judged) / 3
    assert [line for line in unasked if shows(f"{line} ww") or shows(line)] == []


def test_a_link_that_leads_out_is_seen(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (repository / "link").symlink_to(tmp_path / "secret")
    (repository / "up").symlink_to("..")
    (repository / "dangling").symlink_to("/nowhere/at/all")
    root = str(repository)
    for name in ("link", "up", "up/secret", "src/../up", "dangling"):
        assert leads_out(judge(f"cat {name}").reads or (name,), root, root), name
    assert not leads_out(("src/app.py", "not-there", "."), root, root)
    assert leads_out((), str(tmp_path), root)
    assert not leads_out((), str(repository / "src"), root)
