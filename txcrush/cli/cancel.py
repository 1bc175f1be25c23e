"""`txcrush cancel`: end one run."""

import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from txcrush.cli._options import project_options, server_options

if TYPE_CHECKING:
    from txcrush.cli._membership import Membership


@click.command()
@click.argument("run_id")
@server_options
@project_options
def command(run_id: str, host: str, token_file: str, directory: str, data_dir: str) -> None:
    """Cancel one run of a project, at work or in its queue; others go on. One that has ended stays as it is.

    Exit status: 0 it is cancelled or has ended, 1 the server refused (an unknown run), 3 no server that can be used.
    """
    from txcrush.cli._asking import answer_of
    from txcrush.cli._screen import harmless

    async def ask(member: "Membership") -> Any:
        return await member.client.post(f"{member.url}/runs/{quote(run_id, safe='')}/cancel")

    run, status = answer_of((host, token_file), (directory, data_dir), ask)
    if run is not None:
        click.echo(harmless(f"run {run_id}: {run.get('outcome') or run['state']}"), err=True)
    sys.exit(status)
