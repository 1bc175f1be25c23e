"""One question to the workspace of a directory, for commands that ask and leave."""

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from txcrush.cli._options import fail, place_of

if TYPE_CHECKING:
    from txcrush.cli._membership import Membership


def answer_of(
    server: tuple[str, str], project: tuple[str, str], ask: "Callable[[Membership], Awaitable[Any]]"
) -> tuple[Any, int]:
    """What is answered, and the exit status; a failure ends the program. `server` is host and token file, `project` is
    directory and data directory."""
    from txcrush.cli._client import Refused, Unreachable
    from txcrush.cli._finding import NoServer, Starter
    from txcrush.cli._membership import Membership
    from txcrush.cli._reactor import drive

    place = place_of(*server)
    path, data_dir = os.path.realpath(project[0]), project[1] and os.path.abspath(project[1])
    answers: list[Any] = [None]

    async def main(reactor: Any) -> int:
        client = await Starter(reactor, place, os.environ, lambda text: click.echo(text, err=True)).find()
        member = Membership(client, path, data_dir)
        await member.join()
        try:
            answers[0] = await ask(member)
        finally:
            await member.leave()
        return 0

    try:
        status = drive(main)
    except (NoServer, Unreachable) as error:
        fail(error, 3)
    except Refused as error:
        fail(error, 1)
    return answers[0], status
