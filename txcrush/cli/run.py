"""`txcrush run`: a prompt, its answer, and a run that outlives both."""

import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import click

from txcrush.cli._options import fail, place_of, server_options

if TYPE_CHECKING:
    from txcrush.cli._prompting import Wish
    from txcrush.cli._screen import Screen


@click.command()
@click.argument("prompt", nargs=-1)
@server_options
@click.option(
    "--cwd", "-c", "directory", default=".", type=click.Path(exists=True, file_okay=False), help="The project."
)
@click.option("--data-dir", "-D", default="", help="Where the project's sessions are kept [default: .crush].")
@click.option("--session", "-s", default="", help="Continue this session.")
@click.option("--continue", "-C", "goes_on", is_flag=True, help="Continue the session that was changed last.")
@click.option("--yolo", "-y", is_flag=True, help="Open the workspace without permission prompts.")
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
    yolo: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Send PROMPT to the server and show the answer; without a server one is started.

    What is piped in goes before the prompt. The first Ctrl-C cancels the run, the second leaves it to the server.

    Exit status: 0 the run completed, 1 it failed, 2 wrong usage, 3 no server, 130 cancelled or left.
    """
    from txcrush.cli._prompting import Wish

    if session and goes_on:
        raise click.UsageError("--session and --continue exclude each other")
    wish = Wish(
        prompt=_whole_prompt(prompt),
        directory=os.path.realpath(directory),
        data_dir=data_dir,
        session=session,
        goes_on=goes_on,
        yolo=yolo,
    )
    sys.exit(_drive(place_of(host, token_file), wish, _screen(quiet=quiet, as_json=as_json)))


def _whole_prompt(words: tuple[str, ...]) -> str:
    """What is piped in, a blank line, and the words of the command line."""
    piped = sys.stdin.read().rstrip("\n") if _is_piped() else ""
    text = "\n\n".join(part for part in (piped, " ".join(words)) if part)
    if not text.strip():
        raise click.UsageError('no prompt: say what you want, as in: txcrush run "explain this project"')
    return text


def _is_piped() -> bool:
    """Whether standard input is a pipe or a file: nothing else is waited for."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _screen(*, quiet: bool, as_json: bool) -> "Screen":
    from txcrush.cli._screen import JsonLines, Terminal

    if as_json:
        return JsonLines(sys.stdout)
    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return Terminal(sys.stdout, sys.stderr, quiet=quiet, colours=colours)


def _drive(place: Any, wish: "Wish", screen: "Screen") -> int:
    from txcrush.cli._client import Refused, Unreachable
    from txcrush.cli._finding import NoServer, Starter
    from txcrush.cli._prompting import CANCELLED, FAILED, NO_SERVER, Prompting
    from txcrush.cli._reactor import drive

    going: list[Prompting] = []

    async def main(reactor: Any) -> int:
        client = await Starter(reactor, place, os.environ, screen.note).find()
        going.append(Prompting(reactor, client, wish, screen))
        return await going[0].start()

    def interrupted() -> None:
        if not going:
            fail("interrupted before the prompt was sent", 130)
        going[0].interrupt()

    try:
        return drive(main, interrupted)
    except BrokenPipeError:  # whoever read our output has gone; the run goes on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CANCELLED
    except NoServer as error:
        fail(error, NO_SERVER)
    except Unreachable as error:
        fail(f"the server at {place.host} cannot be reached: {error}", NO_SERVER)
    except Refused as error:
        fail(error, FAILED)
