"""`txcrush sessions`: the sessions of a project."""

import sys
from datetime import datetime
from typing import Any

import click

from txcrush.cli._options import project_options, server_options


@click.command()
@server_options
@project_options
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON array.")
def command(host: str, token_file: str, directory: str, data_dir: str, as_json: bool) -> None:
    """List the sessions of a project, last changed first; a star marks those in which something runs.

    Exit status: 0 they were listed, 1 the server refused, 3 no server that can be used.
    """
    from txcrush.cli._asking import answer_of
    from txcrush.cli._screen import harmless
    from txcrush.wire.json import encode_text

    answered, status = answer_of((host, token_file), (directory, data_dir), lambda member: member.sessions())
    found = answered or []
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
