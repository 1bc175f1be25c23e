"""`txcrush status`: is there a server, and what does it do?"""

import sys
from typing import Any

import click

from txcrush.cli._options import fail, place_of, server_options


@click.command()
@server_options
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
def command(host: str, token_file: str, as_json: bool) -> None:
    """Show the server's workspaces and sessions, and which of them are busy.

    Exit status: 0 a server answers, 3 none does.
    """
    from txcrush.cli._client import Refused, Unreachable
    from txcrush.cli._finding import NoServer
    from txcrush.cli._reactor import drive
    from txcrush.cli._screen import harmless
    from txcrush.wire.json import encode_text

    place = place_of(host, token_file)
    found: list[dict[str, Any]] = []

    async def main(reactor: Any) -> int:
        peer = place.peer()
        pid = {"pid": peer.pid} if peer is not None else {}
        found.append({"host": place.host, **pid, **await look(place.client(reactor))})
        return 0

    try:
        status = drive(main)
    except NoServer as error:
        fail(error, 3)
    except Unreachable as error:
        fail(f"no server answers at {place.host}: {error}", 3)
    except Refused as error:
        fail(f"the server at {place.host} refuses us: {error}", 3)
    if found:
        click.echo(encode_text(found[0]) if as_json else harmless("\n".join(lines(found[0]))))
    sys.exit(status)


async def look(client: Any) -> dict[str, Any]:
    """What the server says of itself: its version, its health, its workspaces, their sessions."""
    version = await client.get("/v1/version")
    workspaces = []
    for workspace in await client.get("/v1/workspaces"):
        sessions = await client.get(f"/v1/workspaces/{workspace['id']}/sessions")
        kept = [{name: session[name] for name in ("id", "title", "is_busy")} for session in sessions]
        workspaces.append({"id": workspace["id"], "path": workspace["path"], "sessions": kept})
    return {"version": version["version"], "health": await _health(client), "workspaces": workspaces}


async def _health(client: Any) -> dict[str, Any]:
    """How it is; empty where it is a server that does not tell."""
    from txcrush.cli._client import Refused

    try:
        told: dict[str, Any] = await client.get("/v1/health/details")
    except Refused:
        return {}
    return told


def lines(found: dict[str, Any]) -> list[str]:
    """The same for people; only the latest sessions of each workspace."""
    pid = f" (pid {found['pid']})" if "pid" in found else ""
    shown = [f"txcrush {found['version']} at {found['host']}{pid}"]
    for problem in found["health"].get("problems", ()):
        shown.append(f"{problem['severity']}: {problem['message']}")
        shown.append(f"  -> {problem['action']}")
    if not found["workspaces"]:
        shown.append("no workspace is open")
    for workspace in found["workspaces"]:
        sessions = workspace["sessions"]
        busy = sum(session["is_busy"] for session in sessions)
        shown.append(f"{workspace['path']}: {len(sessions)} sessions, {busy} busy")
        for session in sessions[:10]:
            shown.append(
                f"  {'*' if session['is_busy'] else ' '} {session['id']}  {' '.join(session['title'].split())}"
            )
    return shown
