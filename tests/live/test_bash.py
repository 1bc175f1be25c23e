"""The shell tools on a real bash: what it runs, what it refuses, what it leaves."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.threads import deferToThread

from txcrush.adapters.bash import Bash
from txcrush.adapters.bash_lines import BANNED_NAMES, BANNED_SHAPES
from txcrush.adapters.processes import ChildProcesses
from txcrush.adapters.tools.bash import BashTool
from txcrush.adapters.tools.job_output import JobOutput
from txcrush.adapters.wall_clock import WallClock
from txcrush.core.jobs import Job, JobEnd, Jobs
from txcrush.testing.scripted_desk import ScriptedDesk
from txcrush.testing.tool_calls import use_of
from txcrush.wire.json import parse_object

ENVIRON = {**os.environ, "EDITOR": "nvim", "OPENAI_API_KEY": "sk-canary", "TXCRUSH_TOKEN": "canary", "HERDR_ENV": "1"}
BLOCKED = 'command is not allowed for security reasons: "{}"'


class Shell:
    """The tools of a workspace that is an empty directory."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "w"
        self.path.mkdir()
        self.clock: Any = WallClock(reactor)  # type: ignore[arg-type]
        self.processes = ChildProcesses(asyncio.get_running_loop, deferToThread, self.clock)
        self.jobs = self.new_jobs(folder, "scope-1", ENVIRON)
        self.desk = ScriptedDesk()
        self.bash = BashTool(str(self.path), self.desk, self.jobs, self.clock, deferToThread)
        self.output = JobOutput(self.jobs, deferToThread)

    def new_jobs(self, folder: Path, scope: str, environ: dict[str, str]) -> Jobs:
        bash = Bash(environ, str(folder / "shell"), BANNED_NAMES, BANNED_SHAPES)
        return Jobs(self.processes, bash, self.clock, scope, lambda: frozenset({"OPENAI_API_KEY"}))

    async def run(self, command: str, **more: Any) -> tuple[int, str, str]:
        """Status, standard output and standard error of a line."""
        job = self.jobs.start(command, str(more.pop("cwd", self.path)))
        end = await job.when_done().addTimeout(20, reactor)
        out, err = job.out.parts[0], job.err.parts[0]
        self.jobs.forget(job)
        return end.status, out, err or end.failure

    async def call(self, command: str, **more: Any) -> dict[str, Any]:
        """What the tool answers, its metadata beside its text."""
        output = await self.bash.run(use_of("bash", description="d", command=command, **more))
        return {"content": output.content, "is_error": output.is_error, **parse_object(output.metadata)}

    async def close(self) -> None:
        await self.jobs.close()
        if self.processes._sweep is not None:
            self.processes._sweep.cancel()


@pytest_twisted.async_yield_fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    made = Shell(tmp_path)
    yield made
    await made.close()


# The tool


@pytest_twisted.ensureDeferred
async def test_t_bash_04_the_tools_answers_on_a_real_bash(shell: Shell) -> None:
    cwd = f"\n\n<cwd>{shell.path}</cwd>"
    for command, body in (
        ("echo hello", "hello\n"),
        ("echo out; echo err >&2; exit 3", "out\n\n\nerr\n\nExit code 3"),
        ("false", "\nexit status 1\nExit code 1"),
        ("echo err >&2", "\nerr\n"),
        ("nopenope", '\n"nopenope": executable file not found in $PATH\n\nExit code 127'),
        ("curl http://127.0.0.1:9/", f"\n{BLOCKED.format('curl')}\nExit code 1"),
        ("cd /; pwd", "/\n"),
        ("if", "\ncould not parse command: line 2: syntax error: unexpected end of file\nExit code 1"),
        ("kill -9 $$", "\nexit status 137\nExit code 137"),
    ):
        answer = await shell.call(command)
        assert (answer["content"], answer["output"], answer["is_error"]) == (body + cwd, body, False), command
        assert 0 <= answer["end_time"] - answer["start_time"] < 10_000
    assert (await shell.call("true"))["content"] == "no output"


@pytest_twisted.ensureDeferred
async def test_t_bash_05_a_command_that_takes_longer_goes_on_behind_and_can_be_read(shell: Shell) -> None:
    answer = await shell.call("read -t 1.5 < <(exec sleep 60); echo late", auto_background_after=1)
    assert answer["background"] and "moved to background" in answer["content"]
    read = await shell.output.run(use_of("job_output", shell_id=answer["shell_id"], wait=True))
    assert read.content == "Status: completed\n\nlate\n"


@pytest_twisted.ensureDeferred
async def test_background_jobs_of_the_line_do_not_delay_its_answer_and_die_with_the_workspace(shell: Shell) -> None:
    began = reactor.seconds()
    answer = await shell.call("sleep 300 & echo started $!")
    assert reactor.seconds() - began < 5
    word, pid = answer["output"].split()
    assert word == "started"
    os.kill(int(pid), 0)
    await shell.jobs.close()
    with pytest.raises(ProcessLookupError):
        _probe(int(pid))


def _probe(pid: int) -> None:
    """Raises where there is no such process, or only what is left of it."""
    os.kill(pid, 0)
    if (
        Path(f"/proc/{pid}/stat").exists()
        and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    ):
        raise ProcessLookupError


@pytest_twisted.ensureDeferred
async def test_a_cancelled_call_leaves_nothing_running(shell: Shell) -> None:
    running = shell.bash.run(
        use_of("bash", description="d", command="echo $$ > pid; trap '' INT; sleep 300; sleep 300")
    )
    while not (shell.path / "pid").exists() or not (shell.path / "pid").read_text():
        await deferToThread(os.sched_yield)
    pid = int((shell.path / "pid").read_text())
    running.cancel()
    with pytest.raises(CancelledError):
        await running
    with pytest.raises(ProcessLookupError):
        _probe(pid)
    assert shell.jobs.all() == []


@pytest_twisted.ensureDeferred
async def test_a_directory_that_is_not_there(shell: Shell) -> None:
    answer = await shell.call("pwd", working_dir="gone")
    assert f"could not run command: could not stat: {shell.path}/gone" in answer["output"]
    assert answer["output"].endswith("\nExit code 1")


@pytest_twisted.ensureDeferred
async def test_t_job_07_closing_with_a_short_deadline_comes_back_whatever_ignores_signals(shell: Shell) -> None:
    for _ in range(3):
        shell.jobs.start("trap '' INT TERM HUP; while :; do :; done", str(shell.path))
    await gatherResults([job.started.when() for job in shell.jobs.all()])
    began = reactor.seconds()
    await shell.jobs.close(0.1)
    assert reactor.seconds() - began < 2
    assert shell.jobs.all() == []
    await shell.processes.end("scope-1", 0.0)


# The engine


@pytest_twisted.ensureDeferred
async def test_t_sh_01_the_environment_of_a_line(shell: Shell) -> None:
    _, out, _ = await shell.run('env; echo "[$BASH_ENV]"')
    env = dict(line.partition("=")[::2] for line in out.splitlines())
    assert (env["EDITOR"], env["PAGER"], env["TERM"], env["CRUSH"]) == ("false", "cat", "xterm-256color", "1")
    assert out.endswith("[]\n")
    assert "canary" not in out
    assert "HERDR_ENV" not in env


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
@pytest_twisted.ensureDeferred
async def test_t_sh_05_an_interactive_zsh_ends(shell: Shell) -> None:
    assert (await shell.run("zsh -i -c 'echo ok'"))[1] == "ok\n"


@pytest_twisted.ensureDeferred
async def test_t_sh_07_killed_at_once_it_is_aborted_and_a_missing_command_is_not(shell: Shell) -> None:
    job = shell.jobs.start("sleep 60", str(shell.path))
    await shell.jobs.kill(job)
    end: JobEnd = await job.when_done()
    assert end.status != 0 and end.killed
    missing: Job = shell.jobs.start("nopenope", str(shell.path))
    end = await missing.when_done()
    assert end.status == 127 and not end.killed


@pytest_twisted.ensureDeferred
async def test_t_sh_08_exit_codes_pass_and_a_line_that_cannot_be_parsed_runs_nothing(shell: Shell) -> None:
    assert (await shell.run("exit 7"))[0] == 7
    job = shell.jobs.start("echo ran; if", str(shell.path), only_parse=True)
    end = await job.when_done()
    assert (end.status, job.out.parts[0]) == (2, "")
    assert "syntax error" in job.err.parts[0]
    fine = shell.jobs.start("echo ran; for ((i=0;i<3;i++)); do echo $i; done", str(shell.path), only_parse=True)
    assert (await fine.when_done()).status == 0 and fine.out.parts[0] == ""


@pytest_twisted.ensureDeferred
async def test_t_sh_09_lines_side_by_side_do_not_see_each_other(shell: Shell) -> None:
    folders = [shell.path / str(number) for number in range(10)]
    for folder in folders:
        folder.mkdir()
    lines = [shell.run(f"export MINE={n}; cd {n}; touch x; sleep 0.1; echo $MINE $(basename $PWD)") for n in range(10)]
    answers = await gatherResults([Deferred.fromCoroutine(line) for line in lines])
    assert [out for _, out, _ in answers] == [f"{n} {n}\n" for n in range(10)]
    assert await shell.run("echo [$MINE]; pwd") == (0, f"[]\n{shell.path}\n", "")


@pytest_twisted.ensureDeferred
async def test_bash_is_bash(shell: Shell) -> None:
    line = "shopt -s globstar; a=(x y); declare -A m=([k]=v); [[ ab == a* ]] && echo ${a[1]}${m[k]} {1..3} <(:) | wc -w"
    assert (await shell.run(line))[1].strip() == "5"
    assert (await shell.run("set -o pipefail; false | true"))[0] == 1
    assert (await shell.run("cat <<E\nhere\nE"))[1] == "here\n"
    assert (await shell.run("-x"))[0] == 127


@pytest.mark.parametrize(
    "line",
    [
        "curl x",
        "c'u'rl x",
        "FOO=1 curl x",
        "c=curl; $c x",
        "f() { curl x; }; f",
        "eval curl x",
        "curl x || echo rescued",
        "set -e; curl x; echo on",
        "if curl x; then echo on; else echo on; fi",
        "source <(echo curl x)",
        "set -- a b; IFS=u; curl x",
        "set -u; curl",
        "trap 'curl x' EXIT",
    ],
)
@pytest_twisted.ensureDeferred
async def test_t_job_05_a_banned_program_ends_the_line(shell: Shell, line: str) -> None:
    status, out, err = await shell.run(line)
    assert (status, out, err) == (1, "", BLOCKED.format("curl"))


@pytest_twisted.ensureDeferred
async def test_in_a_subshell_only_that_part_is_lost(shell: Shell) -> None:
    assert (await shell.run('(curl x; echo no); x=$(curl y; echo no); echo "on [$x]"'))[1] == "on []\n"


@pytest_twisted.ensureDeferred
async def test_every_banned_name_is_blocked(shell: Shell) -> None:
    lines = "; ".join(f"({name} x)" for name in sorted(BANNED_NAMES))
    _, out, err = await shell.run(lines)
    assert out == ""
    assert err == "".join(BLOCKED.format(name) for name in sorted(BANNED_NAMES))


@pytest_twisted.ensureDeferred
async def test_path_names_and_what_other_programs_start_are_not_looked_at(shell: Shell) -> None:
    fake = shell.path / "curl"
    fake.write_text("#!/bin/sh\necho ran\n")
    fake.chmod(0o755)
    assert (await shell.run(f"./curl; {fake}; PATH={shell.path}:$PATH env curl; PATH={shell.path}:$PATH bash -c curl"))[
        1
    ] == "ran\n" * 4
    assert (await shell.run("CURL x"))[0] == 127


FAKES = ("npm", "pip", "pip3", "yarn", "go", "brew", "pnpm", "cargo", "gem")


def faked(shell: Shell, line: str) -> str:
    """The line with programs that only say that they ran."""
    for name in FAKES:
        file = shell.path / name
        file.write_text(f"#!/bin/sh\necho {name} ran $#\nexit 5\n")
        file.chmod(0o755)
    return f"PATH={shell.path}:$PATH; {line}"


@pytest.mark.parametrize(
    "line",
    [
        "npm install -g x",
        "npm install x -g",
        "npm install --global x",
        "npm -g install x",
        "pip install --user --upgrade x",
        "pip3 install x --user",
        "yarn global add x",
        "pacman -S x",
        "go test -exec 'bash -c id'",
        'go test -exec="bash -c id" ./...',
        "go install x@latest",
        "brew install x",
        "pnpm add -g x",
        "cargo install x",
        "gem install x",
        "apt-get install x",
    ],
)
@pytest_twisted.ensureDeferred
async def test_t_blk_01_shapes_that_are_not_allowed(shell: Shell, line: str) -> None:
    status, out, err = await shell.run(faked(shell, line))
    assert (status, out, err) == (1, "", BLOCKED.format(line.split()[0]))


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("npm install x", 2),
        ("npm list", 1),
        ("npm", 0),
        ("npm run 'install -g'", 2),
        ("yarn global list", 2),
        ("brew list", 1),
        ("pip install --config=--user x", 3),
        ("go test -execute x ''", 4),
        ("go test ./...", 2),
    ],
)
@pytest_twisted.ensureDeferred
async def test_t_blk_02_other_shapes_run_with_all_their_arguments(shell: Shell, line: str, arguments: int) -> None:
    name = line.split()[0]
    assert await shell.run(faked(shell, line)) == (5, f"{name} ran {arguments}\n", "")


@pytest_twisted.ensureDeferred
async def test_t_blk_03_a_flag_is_cut_at_its_equals_sign(shell: Shell) -> None:
    assert (await shell.run(faked(shell, "go test -exec=bash x")))[2] == BLOCKED.format("go")
    assert (await shell.run(faked(shell, "npm install --global=true x")))[2] == BLOCKED.format("npm")


# Files that are run by their path: real bash and the system's own rules stand for the reference's


@pytest_twisted.ensureDeferred
async def test_t_dsp_01_only_paths_are_run_as_files(shell: Shell) -> None:
    (shell.path / "foo").write_text("#!/bin/sh\necho foo\n")
    (shell.path / "foo").chmod(0o755)
    (shell.path / "sub").mkdir()
    assert (await shell.run(f"./foo; cd sub; ../foo; {shell.path}/foo"))[1] == "foo\n" * 3
    assert (await shell.run("foo"))[0] == 127


@pytest_twisted.ensureDeferred
async def test_t_dsp_02_the_interpreter_of_a_file_and_its_one_argument(shell: Shell) -> None:
    for name, first, said in (
        ("a", "#!/bin/bash -eu", "eu"),
        ("b", "#! /usr/bin/env bash", ""),
        ("c", "#!/usr/bin/env -S bash --noprofile -x", "x"),
    ):
        (shell.path / name).write_text(f'{first}\necho "$-"\n')
        (shell.path / name).chmod(0o755)
        status, out, _ = await shell.run(f"./{name}")
        assert status == 0 and set(said) <= set(out), name
    (shell.path / "bad").write_text("#!/no/such/interpreter\n")
    (shell.path / "bad").chmod(0o755)
    status, _, err = await shell.run("./bad")
    assert status in (126, 127) and "./bad" in err


@pytest_twisted.ensureDeferred
async def test_t_dsp_03_a_script_without_an_interpreter_is_shell_source(shell: Shell) -> None:
    (shell.path / "source").write_text('echo "$1-$2"; exit 4\n')
    (shell.path / "empty").write_text("")
    (shell.path / "loop").symlink_to("loop")
    for name in ("source", "empty"):
        (shell.path / name).chmod(0o755)
    assert await shell.run("./source a b") == (4, "a-b\n", "")
    assert await shell.run("./empty") == (0, "", "")
    assert (await shell.run("./source a b | tr a x"))[:2] == (0, "x-b\n")
    for path in ("./missing", "./loop", "."):
        assert (await shell.run(f"{path}/"))[0] != 0
    assert (await shell.run("./missing"))[0] == 127


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is the system's, where it has one")
@pytest_twisted.ensureDeferred
async def test_t_jq_01_jq_of_the_system_is_found(shell: Shell) -> None:
    assert await shell.run("echo '{\"a\":1}' | jq -c .a") == (0, "1\n", "")
    assert (await shell.run("echo '{' | jq ."))[0] != 0
    assert (await shell.run("echo null | jq -e ."))[0] == 1


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is the system's, where it has one")
@pytest_twisted.ensureDeferred
async def test_t_jq_02_a_long_evaluation_is_ended_by_a_kill(shell: Shell) -> None:
    job = shell.jobs.start("echo on; jq -n '[range(1e8)] | length'", str(shell.path))
    await job.started.when()
    began = reactor.seconds()
    await shell.jobs.kill(job)
    assert reactor.seconds() - began < 3
    assert (await job.when_done()).killed


@pytest_twisted.ensureDeferred
async def test_t_jq_03_names_that_nobody_knows_fall_through_to_the_path(shell: Shell) -> None:
    (shell.path / "tool").write_text("#!/bin/sh\nprintf '%s,' \"$@\"\n")
    (shell.path / "tool").chmod(0o755)
    assert (await shell.run(f"PATH={shell.path}:$PATH; tool a 'b c' -- -d"))[1] == "a,b c,--,-d,"


@pytest_twisted.ensureDeferred
async def test_d_24_two_workspaces_do_not_share_jobs(shell: Shell, tmp_path: Path) -> None:
    other = shell.new_jobs(tmp_path, "scope-2", ENVIRON)
    mine = shell.jobs.start("sleep 60", str(shell.path))
    theirs = other.start("sleep 60", str(shell.path))
    await gatherResults([mine.started.when(), theirs.started.when()])
    assert mine.id == theirs.id == "001"
    await other.close()
    assert theirs.end is not None and mine.end is None


@pytest_twisted.ensureDeferred
async def test_a_command_in_another_language_gets_its_words(shell: Shell) -> None:
    word = "grüße 中 🙂"
    assert (await shell.run(f"echo '{word}'"))[1] == f"{word}\n"
    assert (await shell.run(f"{sys.executable} -c 'print(1)'"))[1] == "1\n"


@pytest_twisted.ensureDeferred
async def test_t_sh_10_a_line_keeps_its_variables_and_directory_and_hands_nothing_on(shell: Shell) -> None:
    """The reference has a long-lived shell that its tool does not use; here there is none. What would be kept between
    its commands is kept within one line, and every line begins anew."""
    line = "export KEPT=yes; mkdir -p below; cd below; own() { echo mine; }"
    status, out, _ = await shell.run(f"{line}\nbash -c 'echo \"$KEPT\"'; pwd; own")
    assert (status, out) == (0, f"yes\n{shell.path}/below\nmine\n")
    status, out, _ = await shell.run('echo "<$KEPT>"; pwd; type own 2>/dev/null || echo gone')
    assert (status, out) == (0, f"<>\n{shell.path}\ngone\n")
