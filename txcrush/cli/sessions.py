"""`txcrush sessions`: the sessions of a project."""

import os
import sys
from datetime import datetime
from typing import Any

import click

from txcrush.cli._options import fail, place_of, project_options, server_options


@click.command()
@server_options
@project_options
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON array.")
def command(host: str, token_file: str, directory: str, data_dir: str, as_json: bool) -> None:
    """List the sessions of a project, last changed first; a star marks those in which something runs.

    Exit status: 0 they were listed, 1 the server refused, 3 no server that can be used.
    """
    from txcrush.cli._client import Refused, Unreachable
    from txcrush.cli._finding import NoServer, Starter
    from txcrush.cli._membership import Membership
    from txcrush.cli._reactor import drive
    from txcrush.cli._screen import harmless
    from txcrush.wire.json import encode_text

    place = place_of(host, token_file)
    path, data_dir = os.path.realpath(directory), data_dir and os.path.abspath(data_dir)
    found: list[dict[str, Any]] = []

    async def main(reactor: Any) -> int:
        client = await Starter(reactor, place, os.environ, lambda text: click.echo(text, err=True)).find()
        member = Membership(client, path, data_dir)
        await member.join()
        try:
            found.extend(await member.sessions())
        finally:
            await member.leave()
        return 0

    try:
        status = drive(main)
    except (NoServer, Unreachable) as error:
        fail(error, 3)
    except Refused as error:
        fail(error, 1)
    click.echo(encode_text(found) if as_json else harmless("\n".join(lines(found))))
    sys.exit(status)


def lines(found: list[dict[str, Any]]) -> list[str]:
    """A line each: state, id, when it changed, messages, cost in dollars, title."""
    if not found:
        return ["no sessions here yet"]
    return [
        f"{'*' if one['is_busy'] else ' '} {one['id']}  {datetime.fromtimestamp(one['updated_at']):%Y-%m-%d %H:%M}  "
        f"{one['message_count']:4d} messages  ${one['cost']:.4f}  {' '.join(one['title'].split())}"
        for one in found
    ]
