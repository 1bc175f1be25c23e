"""Options and endings that the client commands share."""

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def server_options(command: F) -> F:
    """`--host` and `--token-file`: where the server is, and how a TCP client is known to it."""
    token = click.option("--token-file", default="", help="File with the token for TCP [or $TXCRUSH_TOKEN_FILE].")
    host = click.option("--host", "-H", default="", help="unix:///PATH or tcp://HOST:PORT [or $TXCRUSH_HOST].")
    return host(token(command))


def project_options(command: F) -> F:
    """`--cwd` and `--data-dir`: which project."""
    kept = click.option(
        "--data-dir", "-D", "data_dir", default="", help="Where the project's sessions are kept [default: .crush]."
    )
    place = click.option(
        "--cwd", "-c", "directory", default=".", type=click.Path(exists=True, file_okay=False), help="The project."
    )
    return place(kept(command))


def rule_of(*, yes: bool, deny: bool) -> Any:
    """What `--yes` and `--deny` say of the requests of tools. Both at once are a usage error."""
    from txcrush.cli._answers import Rule

    if yes and deny:
        raise click.UsageError("--yes and --deny exclude each other")
    return Rule.ALLOW if yes else Rule.DENY if deny else Rule.ASK


def place_of(host: str, token_file: str) -> Any:
    """The server's place. A host that cannot be read is a usage error."""
    from txcrush.cli._finding import Place

    try:
        return Place(os.environ, host, token_file)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--host") from error


def fail(text: object, status: int) -> NoReturn:
    """One line on standard error, and the end."""
    click.echo(f"txcrush: {text}", err=True)
    sys.exit(status)
