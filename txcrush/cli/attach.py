"""`txcrush attach`: watch a session and take part in it."""

import os
import sys
from typing import Any

import click

from txcrush.cli._options import fail, place_of, project_options, rule_of, server_options


@click.command()
@click.argument("session", required=False, default="")
@server_options
@project_options
@click.option("--yes", "-y", "yes", is_flag=True, help="Allow what the session's tools ask for while you are attached.")
@click.option("--deny", is_flag=True, help="Deny what they ask for. [default: ask at the terminal]")
@click.option("--until-idle", is_flag=True, help="Leave once nothing runs; the status tells how it ended.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as txcrush run --json.")
def command(
    session: str,
    host: str,
    token_file: str,
    directory: str,
    data_dir: str,
    yes: bool,
    deny: bool,
    until_idle: bool,
    as_json: bool,
) -> None:
    """Show what happens in SESSION (an id, the beginning of one, or nothing for the latest) as it happens.

    At a terminal, what you type is sent as a prompt, and what tools ask is put to you. /cancel, /queue, /clear and
    /leave do what they say. The first Ctrl-C cancels what runs, the second leaves. Whatever runs outlives you.

    Exit status: 0 left, or the last run completed; 1 it failed; 3 no server that can be used; 130 it was cancelled.
    """
    from txcrush.cli._attaching import View
    from txcrush.cli._client import Refused, Unreachable
    from txcrush.cli._finding import NoServer
    from txcrush.cli.run import screen_for

    view = View(
        directory=os.path.realpath(directory),
        data_dir=data_dir and os.path.abspath(data_dir),
        session=session,
        until_idle=until_idle,
        rule=rule_of(yes=yes, deny=deny),
    )
    try:
        status = _attached(place_of(host, token_file), view, screen_for(quiet=False, as_json=as_json), asks=not as_json)
    except (NoServer, Unreachable) as error:
        fail(error, 3)
    except Refused as error:
        fail(error, 1)
    sys.exit(status)


def _attached(place: Any, view: Any, screen: Any, *, asks: bool) -> int:
    from txcrush.cli._attaching import Attaching
    from txcrush.cli._finding import Starter
    from txcrush.cli._keyboard import keyboard_of
    from txcrush.cli._reactor import drive

    attached: list[Attaching] = []

    async def main(reactor: Any) -> int:
        client = await Starter(reactor, place, os.environ, screen.note).find()
        attached.append(Attaching(reactor, client, view, screen, keyboard_of(reactor) if asks else None))
        return await attached[0].start()

    def interrupted() -> bool:
        for one in attached:
            one.interrupt()
        return bool(attached)

    def left() -> bool:
        for one in attached:
            one.leave()
        return bool(attached)

    return drive(main, interrupted, left)
