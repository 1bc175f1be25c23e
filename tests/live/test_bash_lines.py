"""Lines that run unasked, run for real: nothing changes, however hostile the repository's configuration is."""

import hashlib
import os
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
for name in README.md Makefile package.json pyproject.toml src/app.py src/main.c docs/guide.md tests/test_app.py notes.txt
do printf 'one\\ntwo note\\nthree\\n' > $name; done
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


# Each attack: shell commands that make the repository hostile. `$EVIL` is a program that makes the
# marker and hands its input on, `$QUIT` one that makes the marker and fails.
ATTACKS = {
    "fsmonitor": 'git config core.fsmonitor "$EVIL"',
    "pager": 'git config core.pager "$EVIL"; git config pager.log "$EVIL"; git config pager.status "$EVIL"'
    '; git config pager.diff "$EVIL"; git config pager.branch "$EVIL"',
    "external diff": 'git config diff.external "$EVIL"',
    "diff driver": 'git config diff.evil.command "$EVIL"; echo "* diff=evil" > .gitattributes',
    "textconv": 'git config diff.evil.textconv "$EVIL"; echo "* diff=evil" > .git/info/attributes',
    "clean filter": 'git config filter.evil.clean "$EVIL"; git config filter.evil.required true'
    '; echo "* filter=evil" > .git/info/attributes; touch README.md src/app.py',
    "filter process": 'git config filter.evil.process "$EVIL"; echo "* filter=evil" > .gitattributes; touch README.md',
    "filter with an equals sign": 'git config "filter.e=vil.clean" "$EVIL"; echo "* filter=e=vil" > .git/info/attributes'
    "; touch README.md",
    "filter by include": 'printf "[filter \\"evil\\"]\\n\\tclean = %s\\n" "$EVIL" > .git/more; git config include.path more'
    '; echo "* filter=evil" > .git/info/attributes; touch README.md',
    "index hook": 'mkdir -p .git/hooks; cp "$EVIL" .git/hooks/post-index-change; touch README.md',
    "hooks path": 'mkdir .git/h; cp "$EVIL" .git/h/post-index-change; git config core.hooksPath .git/h; touch README.md',
    "aliases": 'for name in status log diff show branch; do git config alias.$name "!$EVIL"; done',
    "signature": 'git config log.showSignature true; git config gpg.program "$EVIL"; git config gpg.openpgp.program "$EVIL"'
    '; $SIGNED; git config format.pretty "%H %G? %GS"',
    "ssh signature": 'git config log.showSignature true; git config gpg.ssh.program "$EVIL"'
    '; git config gpg.ssh.allowedSignersFile README.md; $SIGNED_BY_SSH; git config format.pretty "%G?"',
    "lazy fetch by a local path": "git config extensions.partialClone origin; git config core.repositoryFormatVersion 1"
    '; git config remote.origin.promisor true; git config remote.origin.url "$PWD"'
    '; git config remote.origin.uploadpack "$QUIT"; $LOSE',
    "lazy fetch by ext": "git config extensions.partialClone origin; git config core.repositoryFormatVersion 1"
    '; git config remote.origin.promisor true; git config remote.origin.url "ext::$QUIT"'
    "; git config protocol.ext.allow always; $LOSE",
    "lazy fetch by ssh": "git config extensions.partialClone origin; git config core.repositoryFormatVersion 1"
    '; git config remote.origin.promisor true; git config remote.origin.url "ssh://nowhere.invalid/x"'
    '; git config core.sshCommand "$QUIT"; $LOSE',
    "submodule": "$SUBMODULE",
    "submodule summary": "$SUBMODULE; git config status.submoduleSummary true; git config diff.submodule diff"
    "; git config submodule.recurse true; git config submodule.sub.ignore none",
    "embedded bare repository": "$BARE",
    "untracked cache": "git config core.untrackedCache true; git config core.splitIndex true; touch README.md",
    "editor and others": 'git config core.editor "$EVIL"; git config sequence.editor "$EVIL"; git config core.askPass "$EVIL"'
    '; git config credential.helper "$EVIL"; git config core.alternateRefsCommand "$EVIL"'
    '; git config column.ui always; git config core.gitProxy "$EVIL"; git config help.autocorrect immediate'
    '; git config interactive.diffFilter "$EVIL"; git config man.evil.cmd "$EVIL"',
}

PARTS = """
SIGNED='commit_signed gpgsig'
SIGNED_BY_SSH='commit_signed_by_ssh'
commit_with() { git commit-tree HEAD^{tree} -p HEAD -m signed > .git/c && git cat-file commit "$(cat .git/c)" > .git/raw
  awk -v kind="$1" 'NR == FNR { sig = sig (NR > 1 ? "\\n " : "") $0; next }
    /^$/ && !done { print "gpgsig " sig; done = 1 } { print }' .git/sig .git/raw > .git/signed
  git update-ref HEAD "$(git hash-object -t commit -w .git/signed)"; rm .git/c .git/sig .git/raw .git/signed; }
commit_signed() { printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nabcd\\n-----END PGP SIGNATURE-----\\n' > .git/sig; commit_with; }
commit_signed_by_ssh() { printf -- '-----BEGIN SSH SIGNATURE-----\\nabcd\\n-----END SSH SIGNATURE-----\\n' > .git/sig
  commit_with; }
lose() { old=$(git rev-parse HEAD~1:README.md); rm -f ".git/objects/${old:0:2}/${old:2}"; }
LOSE=lose
submodule() { git init -q sub; git -C sub -c user.name=A -c user.email=a@b commit -q --allow-empty -m x
  echo a > sub/a; git -C sub add a; git -C sub -c user.name=A -c user.email=a@b commit -q -m y
  git -c protocol.file.allow=always submodule -q add ./sub sub 2>/dev/null || git add sub
  git -c user.name=A -c user.email=a@b commit -q -m sub
  git -C sub config core.fsmonitor "$EVIL"; git -C sub config filter.evil.clean "$EVIL"
  git -C sub config diff.external "$EVIL"; echo '* filter=evil' > sub/.git/info/attributes; echo b >> sub/a
  git -C sub -c core.fsmonitor=false -c filter.evil.clean= -c user.name=A -c user.email=a@b commit -q -m z --allow-empty; }
SUBMODULE=submodule
bare() { mkdir inner; git clone -q --bare . inner/repo; mv inner/repo/* inner/; rmdir inner/repo
  git -C inner config core.fsmonitor "$EVIL"; git -C inner config core.bare false
  git -C inner config core.worktree ..; }
BARE=bare
"""

GIT_LINES = [
    *(line for line in ORDINARY if line.startswith("git ") and judge(line).runs_unasked),
    "git log -p -3",
    "git log --stat -5",
    "git show HEAD~1:README.md",
    "git show -p HEAD",
    "git diff HEAD~1",
    "git diff HEAD~1 HEAD",
    "git diff --cached",
    "git blame README.md",
    "git grep note",
    "git ls-files -m",
    "git ls-files -o",
    "git describe --always",
    "git stash list",
    "git reflog -3",
    "git branch -vv",
    "git shortlog -sn HEAD",
    "git rev-list --count HEAD",
    "git cat-file -p HEAD~1:README.md",
]


@pytest.fixture
def hostile(repository: Path, home: Path, tmp_path: Path) -> tuple[Path, Path, str]:
    """A repository, the marker that must never appear, and the shell text that defines the attacks' words."""
    marker = tmp_path / "marker"
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(marker))}\ncat\n")
    quits = tmp_path / "quits"
    quits.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(marker))}\nexit 1\n")
    for program in (evil, quits):
        program.chmod(0o755)
    return repository, marker, f"EVIL={shlex.quote(str(evil))}\nQUIT={shlex.quote(str(quits))}\n{PARTS}\n"


@pytest.mark.parametrize("attack", ATTACKS)
def test_promise_45_a_hostile_repository_runs_nothing(attack: str, hostile: tuple[Path, Path, str], home: Path) -> None:
    repository, marker, words = hostile
    run(words + ATTACKS[attack], repository, home)
    marker.unlink(missing_ok=True)
    where = repository / "inner" if (repository / "inner").exists() else repository
    before = snapshot(repository)
    fired = []
    for line in dict.fromkeys(GIT_LINES):
        judged = judge(line)
        assert judged.runs_unasked, line
        run(judged.command, where, home)
        if marker.exists():
            fired.append(line)
            marker.unlink()
    assert fired == []
    assert snapshot(repository) == before


BITES = {
    "fsmonitor": "git status",
    "external diff": "git diff",
    "diff driver": "git diff",
    "textconv": "git blame README.md",
    "clean filter": "git status",
    "filter process": "git status",
    "filter with an equals sign": "git status",
    "filter by include": "git status",
    "index hook": "git status",
    "hooks path": "git status",
    "signature": "git log",
    "ssh signature": "git log",
    "lazy fetch by a local path": "git log -p",
    "lazy fetch by ext": "git log -p",
    "lazy fetch by ssh": "git log -p",
    "submodule": "git status",
    "submodule summary": "git diff",
    "embedded bare repository": "git status",
}


@pytest.mark.parametrize("attack", BITES)
def test_the_attacks_do_work_on_a_git_that_nothing_is_forced_on(
    attack: str, hostile: tuple[Path, Path, str], home: Path
) -> None:
    repository, marker, words = hostile
    run(words + ATTACKS[attack], repository, home)
    marker.unlink(missing_ok=True)
    where = repository / "inner" if (repository / "inner").exists() else repository
    run(BITES[attack], where, home)
    assert marker.exists()


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
