"""`txcrush pair`: the address that opens the page, also as a QR code for a phone."""

import sys
from typing import Any
from urllib.parse import urlsplit

import click

from txcrush.cli._options import fail, place_of, server_options

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command()
@server_options
@click.option("--url", "base", default="", help="The address by which the other device reaches the server.")
@click.option("--no-qr", is_flag=True, help="Print the address only.")
def command(host: str, token_file: str, base: str, no_qr: bool) -> None:
    """Print the address of the page, with the token that lets a browser in.

    Whoever has this address can do what you can. Exit status: 0 printed, 1 the server serves no page, 3 no server
    answers.
    """
    from txcrush.cli._client import Refused, Unreachable
    from txcrush.cli._finding import NoServer
    from txcrush.cli._reactor import drive

    place = place_of(host, token_file)
    found: list[str] = []

    async def main(reactor: Any) -> int:
        found.append((await place.client(reactor).get("/v1/auth/page"))["url"])
        return 0

    try:
        drive(main)
    except NoServer as error:
        fail(error, 3)
    except Unreachable as error:
        fail(f"no server answers at {place.host}: {error}", 3)
    except Refused as error:
        fail(error, 1)
    url = moved(found[0], base) if base else found[0]
    click.echo(url)
    if not no_qr:
        click.echo(qr_code(url))
    if urlsplit(url).hostname in LOOPBACK:
        click.echo(
            "This address is of this machine only. For another device name the one by which it reaches the server,"
            " through a tunnel or a proxy: txcrush pair --url https://agents.example.org",
            err=True,
        )
    sys.exit(0)


def moved(url: str, base: str) -> str:
    """The page's address below another base: `https://host/path` instead of scheme, host and port.

    Raises `click.BadParameter` for a base that is no address.
    """
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise click.BadParameter(f"wants an address such as https://agents.example.org, not {base!r}")
    fragment = urlsplit(url).fragment
    return f"{base.rstrip('/')}/ui/{'#' if fragment else ''}{fragment}"


def qr_code(text: str) -> str:
    """The text as a QR code of characters, two modules in each."""
    import io

    import segno

    drawn = io.StringIO()
    segno.make(text, micro=False).terminal(out=drawn, compact=True)
    return drawn.getvalue()
