"""`txcrush runs`: what runs, waits and has run in a project."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import click

from txcrush.cli._options import project_options, server_options

if TYPE_CHECKING:
    from txcrush.cli._membership import Membership

STATES = ("accepted", "queued", "active", "cancelling", "folded", "ended")
LIMIT = 50
WAIT_S = 25
"""Shorter than the client waits for an answer; one that waits longer asks again."""


@click.command()
@click.argument("run_id", required=False)
@server_options
@project_options
@click.option("--session", "-s", default="", help="Of this session only.")
@click.option("--state", type=click.Choice(STATES), help="In this state only.")
@click.option("--limit", "-n", default=LIMIT, type=click.IntRange(1, 1000), show_default=True, help="At most so many.")
@click.option("--wait", "-w", is_flag=True, help="Wait until the run has ended.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def command(
    run_id: str | None,
    host: str,
    token_file: str,
    directory: str,
    data_dir: str,
    session: str,
    state: str | None,
    limit: int,
    wait: bool,
    as_json: bool,
) -> None:
    """List the runs of a project, the newest first, or show one.

    Exit status: 0 they were shown, 1 the server refused (an unknown run), 3 no server that can be used.
    """
    from txcrush.cli._asking import answer_of
    from txcrush.cli._screen import harmless
    from txcrush.wire.json import encode_text

    if wait and not run_id:
        raise click.UsageError("--wait wants the id of a run")

    async def ask(member: "Membership") -> Any:
        if run_id:
            return await _one(member, run_id, waits=wait)
        wanted = {"session_id": session, "state": state or "", "limit": limit}
        return await member.client.get(f"{member.url}/runs?{urlencode(wanted)}")

    found, status = answer_of((host, token_file), (directory, data_dir), ask)
    if found is not None:
        told = details(found) if run_id else lines(found)
        click.echo(encode_text(found) if as_json else harmless("\n".join(told)))
    sys.exit(status)


async def _one(member: "Membership", run_id: str, *, waits: bool) -> Any:
    url = f"{member.url}/runs/{quote(run_id, safe='')}"
    while True:
        shown = await member.client.get(f"{url}?wait={WAIT_S}" if waits else url)
        if not waits or shown["state"] == "ended":
            return shown


def lines(found: list[dict[str, Any]]) -> list[str]:
    """A line each: how it stands, id, when it was accepted, the prompt's beginning."""
    if not found:
        return ["no runs here"]
    return [
        f"{_standing(one):10} {one['run_id']}  {_time(one['accepted_at'])}  {' '.join(one['prompt'].split())[:60]}"
        for one in found
    ]


def details(run: dict[str, Any]) -> list[str]:
    """What is known of one run, a line each, and its answer."""
    named = {
        "run": run["run_id"],
        "session": run["session_id"],
        "state": _standing(run),
        "prompt": " ".join(run["prompt"].split()),
        "accepted": _time(run["accepted_at"]),
        "began": _time(run.get("began_at", 0)),
        "ended": _time(run.get("ended_at", 0)),
        "reason": run.get("error") or run.get("reason", ""),
        "used": _usage(run.get("usage", {})),
    }
    told = [f"{name:9} {value}" for name, value in named.items() if value]
    return [*told, "", run["text"]] if run.get("text") else told


def _standing(run: dict[str, Any]) -> str:
    """The outcome of a run that has ended, the state of any other."""
    return str(run.get("outcome") or run["state"])


def _usage(used: dict[str, Any]) -> str:
    """What a run has used, where it has used anything."""
    if not used:
        return ""
    return f"${used.get('cost', 0):.4f}, {used.get('tokens', 0)} tokens, {used.get('steps', 0)} requests"


def _time(at: int) -> str:
    return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S}" if at else ""
