"""What holds keys is not read unasked: by `view`, by `grep`, by lines of bash, whatever name it goes by."""

import os
import subprocess
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from txcrush.adapters.bash_lines import Reach, judge, leads_out
from txcrush.adapters.guarded_places import OwnPlaces, started_paths
from txcrush.adapters.private_places import PrivatePlaces
from txcrush.adapters.ripgrep import found_program
from txcrush.adapters.tools.bash import BashTool
from txcrush.core.jobs import Jobs
from txcrush.testing.harness import program_of
from txcrush.testing.live_scene import Scene
from txcrush.testing.scripted_desk import ScriptedDesk
from txcrush.testing.scripted_processes import ScriptedProcesses
from txcrush.testing.searched_project import SearchedProject
from txcrush.testing.tool_calls import use_of

from .file_world import FileWorld

KEY = "sk-key-that-nobody-may-see"
CONFIG = f'{{"providers": {{"p": {{"api_key": "{KEY}"}}}}}}\n'


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return Path(os.path.realpath(tmp_path))


class Lines:
    """A workspace and the lines that would be run in it; `KEY` stands in whatever `hide` writes."""

    def __init__(self, top: Path, *, root: Path | None = None, data_dir: Path | None = None) -> None:
        self.home = top / "home"
        self.root = root or top / "work"
        self.data_dir = data_dir or self.root / ".crush"
        for directory in (self.home, self.root, self.data_dir):
            directory.mkdir(exist_ok=True, parents=True)
        (self.root / "README.md").write_text("one\ntwo\n")
        self.hide(self.data_dir / "crush.json")
        self.own = OwnPlaces(state_dir=str(self.home / "state"), token_file="", env={"HOME": str(self.home)})
        self.private = PrivatePlaces(str(self.root), str(self.data_dir), self.own)
        self.reach = Reach(self.private, lambda: started_paths(str(self.root), self.own.env), str(self.home))

    def hide(self, path: Path) -> Path:
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(CONFIG)
        return path

    def repository(self) -> None:
        self.sh("git init -q . && git config user.name a && git config user.email a@b.example && git add README.md")

    def unasked(self, line: str, cwd: str = "") -> str | None:
        """The command that is run unasked, or None."""
        judged = judge(line)
        where = os.path.join(self.root, cwd)
        if not judged.runs_unasked or self.reach.shows_private(judged, where):
            return None
        return None if leads_out(judged.reads, where, str(self.root)) else judged.command

    def sh(self, line: str, cwd: str = "") -> str:
        path = f"{os.environ['PATH']}:{os.path.dirname(found_program(os.environ['PATH']))}"
        env = {"PATH": path, "HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.root / cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return (done.stdout + done.stderr).decode()

    def tells(self, line: str, cwd: str = "") -> bool:
        """Whether the line, as it runs unasked, shows the key. Left alone, it must."""
        assert KEY in self.sh(line, cwd), f"{line} shows no key on this machine: it proves nothing"
        command = self.unasked(line, cwd)
        return command is not None and KEY in self.sh(command, cwd)


SHOWING = [
    "cat .crush/crush.json",
    "cat ./.crush//crush.json",
    "cat src/link",
    "cat src/way/crush.json",
    "cat src/hard",
    "head -n 1 .crush/crush.json",
    "tail -3 .crush/crush.json",
    "sed -n 1,9p .crush/crush.json",
    "sort .crush/crush.json",
    "nl .crush/crush.json",
    "tac .crush/crush.json",
    "uniq .crush/crush.json",
    "cut -c 1-200 .crush/crush.json",
    "grep key .crush/crush.json",
    "grep key src/link",
    "grep -r key .crush",
    "grep -r key .",
    "grep -rn key",
    "grep -rn key ./",
    "grep key -r .",
    "grep -r -- key .",
    "grep -rh --include='*.json' key .",
    "egrep -r key .",
    "fgrep -r key .",
    "grep --recursive key .",
    "grep -rhe key .",
    "rg --hidden key",
    "rg --hidden key .",
    "rg key .crush",
    "rg key .crush/crush.json",
    "rg --no-ignore --hidden key",
    "rg -uu key",
    "rg -g '*.json' --hidden key",
    "rg --hidden -g '.crush/**' key",
    "rg --hidden --glob '**/crush.json' -- key .",
    "cat README.md .crush/crush.json",
    "cat .crush/crush.json | head -5",
    "grep -rn key . | sort",
    "grep -r key nested",
    "cat nested/.crush/crush.json",
    "rg --hidden key nested",
]


@pytest.fixture
def lines(top: Path) -> Lines:
    lines = Lines(top)
    (lines.root / "src").mkdir()
    (lines.root / "src" / "link").symlink_to("../.crush/crush.json")
    (lines.root / "src" / "way").symlink_to("../.crush")
    lines.hide(lines.root / "nested" / ".crush" / "crush.json")
    return lines


@pytest.mark.parametrize("line", [line for line in SHOWING if line != "cat src/hard"])
def test_promise_45_no_line_shows_a_key_of_the_data_directory_unasked(lines: Lines, line: str) -> None:
    if line == "grep -rhe key .":
        assert lines.unasked(line) is None
        return
    assert not lines.tells(line)


def test_a_file_with_several_names_is_known_by_each(lines: Lines) -> None:
    os.link(lines.root / ".crush" / "crush.json", lines.root / "src" / "hard")
    for line in ("cat src/hard", "grep -rn key src", "rg key", "rg key src", "grep key src/hard"):
        assert not lines.tells(line), line


def test_the_working_directory_may_be_the_private_one(lines: Lines) -> None:
    for line in (
        "cat crush.json",
        "grep -rn key",
        "grep -rn key .",
        "rg key",
        "head crush.json",
        "grep key crush.json",
    ):
        assert not lines.tells(line, ".crush"), line


def test_ordinary_lines_run_unasked_beside_a_data_directory(lines: Lines) -> None:
    lines.repository()
    for line in (
        "cat README.md",
        "grep -rn two .",
        "grep -rn two src nested",
        "rg two",
        "rg -n two src",
        "rg --hidden two",
        "ls -la .crush",
        "ls -R .",
        "find . -type f",
        "find .crush -name '*.json'",
        "stat .crush/crush.json",
        "du -sh .crush",
        "tree -a",
        "git status",
        "git diff",
        "git diff HEAD",
        "git grep two",
        "git log -p",
        "git show HEAD:README.md",
        "wc -l README.md",
    ):
        assert lines.unasked(line) is not None, line
    assert "README.md:2:two" in lines.sh(lines.unasked("grep -rn two .") or "")
    assert "README.md:2:two" in lines.sh(lines.unasked("rg -n two .") or "")


def test_what_people_put_into_a_data_directory_is_read_by_anybody(lines: Lines) -> None:
    skill = lines.root / ".crush" / "skills" / "cook" / "SKILL.md"
    skill.parent.mkdir(parents=True)
    skill.write_text("stir two times\n")
    for line in ("cat .crush/skills/cook/SKILL.md", "grep -rn two .crush/skills", "rg two .crush/skills"):
        assert "stir two" in lines.sh(lines.unasked(line) or ""), line
    skill.unlink()
    skill.symlink_to("../../crush.json")
    assert not lines.tells("cat .crush/skills/cook/SKILL.md")


def test_git_shows_no_private_file_that_it_keeps_track_of(lines: Lines) -> None:
    lines.repository()
    (lines.root / ".crush" / "crush.json").write_text("{}\n")
    lines.sh("git add -f .crush/crush.json && git commit -q -m first")
    lines.hide(lines.root / ".crush" / "crush.json")
    for line in (
        "git diff",
        "git diff HEAD",
        "git diff -- .crush",
        "git diff .crush/crush.json",
        "git grep key",
        "git grep --untracked key",
        "git blame .crush/crush.json",
    ):
        assert not lines.tells(line), line
    lines.sh("git commit -q -a -m second")
    for line in (
        "git show HEAD:.crush/crush.json",
        "git log -p -- .crush/crush.json",
        "git cat-file -p HEAD:.crush/crush.json",
    ):
        assert not lines.tells(line), line
    assert lines.unasked("git status") is not None


def test_git_searches_no_private_file_outside_of_a_repository(lines: Lines) -> None:
    for line in ("git grep --untracked key", "git grep key"):
        assert lines.unasked(line) is None, line
    assert not lines.tells("git diff README.md .crush/crush.json")


def test_an_index_that_is_not_plain_hides_nothing(lines: Lines) -> None:
    lines.repository()
    lines.sh("git add -f .crush && git commit -q -m x && git update-index --index-version 4")
    assert lines.unasked("git diff") is None
    lines.sh("git rm -rq --cached .crush && git update-index --index-version 2")
    assert lines.unasked("git diff") is not None
    lines.sh("git update-index --split-index")
    assert lines.unasked("git diff") is None


def test_a_data_directory_of_another_name_is_known(top: Path) -> None:
    lines = Lines(top, data_dir=top / "work" / "store")
    for line in ("cat store/crush.json", "grep -rn key .", "rg key", "rg key store", "cat ./store/crush.json"):
        assert not lines.tells(line), line
    assert lines.unasked("rg two README.md") is not None
    assert lines.unasked("cat README.md") is not None


def test_a_workspace_that_is_the_home_directory_shows_nothing_of_its_keys(top: Path) -> None:
    lines = Lines(top, root=top / "home")
    secret = (
        *(".config/crush/crush.json", ".local/share/crush/crush.json", "state/token", "state/server.db", ".ssh/id_rsa"),
        *(".aws/credentials", ".netrc", ".bashrc", ".zshenv", ".bash_history", ".git-credentials", ".npmrc"),
        *(".local/share/txcrush/token", ".docker/config.json", ".kube/config", ".config/gh/hosts.yml", ".pypirc"),
    )
    own = OwnPlaces(state_dir="", token_file=str(lines.home / "elsewhere"), env=lines.own.env)
    reach = Reach(PrivatePlaces(str(lines.root), str(lines.data_dir), own), lambda: (), str(lines.home))
    for name in secret:
        lines.hide(lines.root / name)
        assert not lines.tells(f"cat {name}"), name
    (lines.root / ".ignore").write_text("!.ssh\n!.crush\n")
    for line in ("grep -rn key .", "grep -rn key .ssh", "rg --hidden key", "grep -rn key .config", "rg key"):
        assert not lines.tells(line), line
    lines.hide(lines.home / "elsewhere")
    assert reach.shows_private(judge("cat elsewhere"), str(lines.root))
    assert reach.shows_private(judge("cat .local/share/txcrush/token"), str(lines.root))
    assert lines.unasked("cat .config/crush/CRUSH.md") is not None


def test_a_workspace_that_is_the_root_shows_no_environment(top: Path) -> None:
    lines = Lines(top)
    private = PrivatePlaces("/", str(lines.data_dir), lines.own)
    reach = Reach(private, lambda: (), str(lines.home))
    for line in (f"cat proc/{os.getpid()}/environ", "cat proc/self/environ", "cat proc/thread-self/environ"):
        assert reach.shows_private(judge(line), "/"), line
    for line in (f"cat /proc/{os.getpid()}/environ", "cat /proc/$PPID/environ", "cat ~/.ssh/id_rsa", "cat ~/.netrc"):
        assert not judge(line).runs_unasked, line


def test_a_link_that_is_the_data_directory_hides_where_it_leads(top: Path) -> None:
    work = top / "work"
    (work / "conf").mkdir(parents=True)
    (work / ".crush").symlink_to("conf")
    lines = Lines(top)
    for line in ("cat conf/crush.json", "grep -rn key .", "rg key", "cat .crush/crush.json"):
        assert not lines.tells(line), line


@pytest_twisted.ensureDeferred
async def test_promise_45_what_is_allowed_for_the_session_is_that_line_alone(lines: Lines) -> None:
    desk = ScriptedDesk()
    jobs = Jobs(ScriptedProcesses(), program_of, reactor, "scope")  # type: ignore[arg-type]
    tool = BashTool(str(lines.root), desk, jobs, reactor, deferToThread, lines.reach)  # type: ignore[arg-type]
    for line in ("cat .crush/crush.json", "cat ~/.ssh/id_rsa", "cat /proc/1/environ", "cat src/link"):
        desk.grant = False
        assert (await tool.run(use_of("bash", description="d", command=line))).stop_turn
        assert desk.asks[-1].keys == (line,), line


STARTED = [
    "echo x >> ~/.bashrc",
    "echo x > $HOME/.profile",
    "cp a ${HOME}/.zshrc",
    "echo x | tee .githooks/pre-commit",
    "cp a .husky/pre-commit",
    "cp a tools/git-hooks/pre-commit",
    "echo x > ./tools/git-hooks/pre-push",
    "cp a ~/.ssh/authorized_keys",
    "cd ~ && echo x >> .bash_profile",
    "cp a ~/.config/fish/config.fish",
]


@pytest.mark.parametrize("line", STARTED)
def test_promise_48_lines_that_name_what_is_run_by_itself_are_guarded(lines: Lines, line: str) -> None:
    lines.repository()
    lines.sh("git config core.hooksPath tools/git-hooks")
    root = str(lines.root)
    assert judge(line).guarded or lines.reach.names_started(line, root, root)


def test_other_lines_are_not(lines: Lines) -> None:
    lines.repository()
    lines.sh("git config core.hooksPath tools/git-hooks")
    root = str(lines.root)
    for line in ("make test > out.log", "cp a tools/other", "rm -r build", "npm run build && ls", "cp a profile"):
        assert not lines.reach.names_started(line, root, root), line
        assert not judge(line).guarded, line


# view and grep


@pytest.mark.parametrize(
    "name", [".crush/crush.json", ".crush/../.crush/crush.json", "link", "hard", ".CRUSH/crush.json", "deep/x"]
)
def test_view_asks_for_a_file_that_may_hold_keys(top: Path, name: str) -> None:
    world = FileWorld(top)
    secret = world.put(".crush/crush.json", CONFIG, read=False)
    (world.root / "link").symlink_to(".crush/crush.json")
    (world.root / "deep").symlink_to(".crush")
    os.link(secret, world.root / "hard")
    if name == ".CRUSH/crush.json":
        world.put(name, CONFIG, read=False)
    if name == "deep/x":
        world.put(".crush/x", CONFIG, read=False)
    world.desk.grant = False
    done = world.run("view", file_path=name)
    assert (done.stop_turn, KEY in done.content + done.metadata) == (True, False)
    (ask,) = world.desk.asks
    assert (ask.action, ask.guarded, "may hold keys" in ask.description) == ("read", False, True)
    world.desk.grant = True
    assert KEY in world.run("view", file_path=name).content


def test_view_reads_the_rest_unasked(top: Path) -> None:
    world = FileWorld(top)
    for name in ("crush.json", ".crush/skills/cook/SKILL.md", ".crushignore", "a/crush.json", ".env.example"):
        world.put(name, "x\n", read=False)
        assert not world.run("view", file_path=name).is_error
    assert world.desk.asks == []


@pytest_twisted.ensureDeferred
async def test_grep_leaves_out_what_may_hold_keys_unless_it_is_asked_for(top: Path) -> None:
    project = SearchedProject(top, reactor, data_dir=top / "project" / "store")
    project.write("store/crush.json", CONFIG)
    project.write(".crush/crush.json", CONFIG)
    project.write("a.json", "a key\n")
    os.link(project.path / "store" / "crush.json", project.path / "hard.json")
    for more in ({}, {"include": "*.json"}, {"include": ".crush/*.json"}, {"include": "**/crush.json"}, {"path": "."}):
        assert KEY not in (await project.call("grep", pattern="key", **more)).text
    assert "a.json" in (await project.call("grep", pattern="key")).text
    assert project.desk.asks == []
    for path in ("store", "store/crush.json", ".crush", ".crush/crush.json", "hard.json"):
        project.desk.grant = False
        assert (await project.call("grep", pattern="key", path=path)).stop_turn, path
        project.desk.grant = True
        assert KEY in (await project.call("grep", pattern="key", path=path)).text, path
    asked = len(project.desk.asks)
    await project.call("ls", path=".crush")
    await project.call("glob", pattern="*.json", path="store")
    assert len(project.desk.asks) == asked


def test_an_ignore_file_of_a_strangers_shows_nothing(lines: Lines) -> None:
    (lines.root / ".ignore").write_text("!.crush\n!.crush/**\n")
    (lines.root / ".crush" / ".gitignore").unlink(missing_ok=True)
    assert not lines.tells("rg key")
    assert not lines.tells("rg key .")


@pytest_twisted.ensureDeferred
async def test_promise_45_a_model_gets_no_key_unasked(top: Path) -> None:
    scene = await Scene.open(reactor, top)
    try:
        await _goes_after_keys(scene)
    finally:
        await scene.close()


async def _goes_after_keys(scene: Scene) -> None:
    provider = {"type": "openai-compat", "disable": True, "api_key": KEY}
    await scene.post("config/set", {"scope": 1, "key": "providers.off", "value": provider})
    stored = Path(scene.project) / ".crush" / "crush.json"
    assert KEY in stored.read_text()
    (scene.project / "README.md").write_text("a key\n")
    scene.prompt()
    harmless = ("grep -rn key .", "rg -n --hidden key", "cat README.md", "ls -la .crush", "find . -type f")
    calls = [(f"c{n}", "bash", {"description": "d", "command": line}) for n, line in enumerate(harmless)]
    await scene.calls(*calls, ("g", "grep", {"pattern": "key"}), ("i", "crush_info", {}), ("l", "crush_logs", {}))
    await scene.calls(("v", "view", {"file_path": ".crush/crush.json"}))
    await scene.grant(1, "deny")
    await scene.when_ended()
    told = [part["content"] for part in await scene.parts("tool_result")]
    assert "a key" in "".join(told)
    assert KEY not in str(await scene.get(f"sessions/{scene.session}/messages"))
    held = scene.prompt("again")
    await scene.calls(("b", "bash", {"description": "d", "command": "cat .crush/crush.json"}))
    await scene.grant(2, "deny")
    assert (await held).status == 200
