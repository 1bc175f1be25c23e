"""The command `txcrush`.

Each module of `txcrush.cli` whose name does not begin with an underscore is a command of that name (`_` becomes `-`):
it holds a click command called `command`. A module is imported when its command is used or help is asked for.
"""

import gc
import pkgutil
from importlib import import_module
from typing import cast

import click

from txcrush import __version__, cli
from txcrush.cli._early_end import end_early


class Commands(click.Group):
    """A group that finds its commands in `txcrush.cli`, beside those added to it here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_modules()])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _modules().get(cmd_name)
        if module is None:
            return super().get_command(ctx, cmd_name)
        return cast(click.Command, import_module(f"txcrush.cli.{module}").command)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-v", "--version", prog_name="txcrush", message="%(prog)s %(version)s")
def main() -> None:
    """A server for AI coding agents whose runs belong to the server."""


@main.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    """Run the server, with the options of `twist crush`."""
    end_early()
    gc.disable()  # as `Process.hurry`, before the first large import
    from twisted.python.usage import UsageError

    from txcrush import tap

    try:
        tap.serve(arguments)
    except UsageError as error:
        raise click.UsageError(f"{error}\nTry 'txcrush serve --help' for help.") from error


def _modules() -> dict[str, str]:
    """Command name to module name."""
    names = (module.name for module in pkgutil.iter_modules(cli.__path__))
    return {name.replace("_", "-"): name for name in names if not name.startswith("_")}


if __name__ == "__main__":
    main()
