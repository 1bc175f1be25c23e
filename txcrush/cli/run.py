"""`txcrush run`: a prompt, its answer, and a run that outlives both."""

import os
import stat
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click

from txcrush.cli._options import place_of, project_options, rule_of, server_options

TRIES = 3

if TYPE_CHECKING:
    from txcrush.cli._prompting import Wish
    from txcrush.cli._screen import Screen


@click.command()
@click.argument("prompt", nargs=-1)
@server_options
@project_options
@click.option("--session", "-s", default="", help="Continue this session.")
@click.option("--continue", "-C", "goes_on", is_flag=True, help="Continue the session that was changed last.")
@click.option("--yes", "--yolo", "-y", "yes", is_flag=True, help="Allow what the tools of this run ask for.")
@click.option("--deny", is_flag=True, help="Deny what they ask for. [default: ask at the terminal]")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), help="Cancel after these seconds.")
@click.option("--quiet", "-q", is_flag=True, help="Only the answer.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a line: session, text, reasoning, tool, note, end."
)
def command(
    prompt: tuple[str, ...],
    host: str,
    token_file: str,
    directory: str,
    data_dir: str,
    session: str,
    goes_on: bool,
    yes: bool,
    deny: bool,
    timeout_s: float | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Send PROMPT to the server and show the answer; without a server one is started.

    What is piped in goes before the prompt. The first Ctrl-C cancels the run, the second leaves it to the server.

    What a tool asks is put to you at the terminal, unless --yes or --deny answers it; any other client of the workspace
    may answer too. Without a terminal it waits for one.

    With --json the last line is always of type "end"; its outcome is completed, failed, cancelled or left.

    Exit status: 0 the run completed, 1 it failed or took longer than --timeout, 2 wrong usage, 3 no server that can be
    used, 130 cancelled or left.
    """
    from txcrush.cli._prompting import Wish

    if session and goes_on:
        raise click.UsageError("--session and --continue exclude each other")
    wish = Wish(
        prompt=_whole_prompt(prompt),
        directory=os.path.realpath(directory),
        data_dir=data_dir and os.path.abspath(data_dir),
        session=session,
        goes_on=goes_on,
        rule=rule_of(yes=yes, deny=deny),
        timeout_s=timeout_s,
    )
    sys.exit(_drive(place_of(host, token_file), wish, screen_for(quiet=quiet, as_json=as_json), asks=not as_json))


def _whole_prompt(words: tuple[str, ...]) -> str:
    """What is piped in, a blank line, and the words of the command line."""
    text = "\n\n".join(part for part in (_piped(), " ".join(words)) if part)
    if not text.strip():
        raise click.UsageError('no prompt: say what you want, as in: txcrush run "explain this project"')
    return text


def _piped() -> str:
    """What stands on standard input, where that is a pipe or a file: nothing else is waited for."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return ""
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        return ""
    return sys.stdin.buffer.read().decode("utf-8", "replace").rstrip("\n")


def screen_for(*, quiet: bool, as_json: bool) -> "Screen":
    """Where the user sees what happens."""
    from txcrush.cli._screen import JsonLines, Terminal

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may not know every character of an answer
    if as_json:
        return JsonLines(sys.stdout)
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    colours = sys.stderr.isatty() and not is_plain
    return Terminal(sys.stdout, sys.stderr, quiet=quiet, colours=colours)


def _drive(place: Any, wish: "Wish", screen: "Screen", *, asks: bool) -> int:
    from txcrush.cli._client import Refused, Unreachable
    from txcrush.cli._finding import NoServer
    from txcrush.cli._prompting import CANCELLED, FAILED, NO_SERVER

    try:
        return _prompted(place, wish, screen, asks=asks)
    except BrokenPipeError:  # whoever read our output has gone; the run goes on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CANCELLED
    except NoServer as error:
        text, status = str(error), NO_SERVER
    except Unreachable as error:
        text, status = f"the server at {place.host} cannot be reached: {error}", NO_SERVER
    except Refused as error:
        text, status = str(error), FAILED
    screen.end({"error": text})
    click.echo(f"txcrush: {text}", err=True)
    return status


def _prompted(place: Any, wish: "Wish", screen: "Screen", *, asks: bool) -> int:
    """Prompt the server, and another one where it is just shutting down."""
    from txcrush.cli._finding import Starter
    from txcrush.cli._keyboard import keyboard_of
    from txcrush.cli._membership import ServerLeaves
    from txcrush.cli._prompting import Prompting
    from txcrush.cli._reactor import drive

    going: list[Prompting] = []

    async def main(reactor: Any) -> int:
        starter = Starter(reactor, place, os.environ, screen.note)
        for _ in range(TRIES - 1):
            try:
                return await prompt(reactor, starter)
            except ServerLeaves:
                going.clear()
                await starter.wait_until_gone()
        return await prompt(reactor, starter)

    async def prompt(reactor: Any, starter: Starter) -> int:
        client, keyboard = await starter.find(), keyboard_of(reactor) if asks else None
        going.append(Prompting(reactor, client, wish, screen, keyboard))
        return await going[0].start()

    def interrupted() -> bool:
        for prompting in going:
            prompting.interrupt()
        return bool(going)

    def left() -> bool:
        for prompting in going:
            prompting.leave()
        return bool(going)

    return drive(main, interrupted, left)
