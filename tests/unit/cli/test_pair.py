"""The page's address and its QR code."""

import click
import pytest

from txcrush.cli.pair import moved, qr_code

URL = "http://127.0.0.1:8374/ui/#token=abc_DEF-123"


def test_the_address_can_be_that_of_a_tunnel() -> None:
    assert moved(URL, "https://agents.example.org") == "https://agents.example.org/ui/#token=abc_DEF-123"
    assert moved(URL, "https://example.org/x/y/") == "https://example.org/x/y/ui/#token=abc_DEF-123"
    assert moved("http://127.0.0.1:8374/ui/", "http://10.0.0.1:80") == "http://10.0.0.1:80/ui/"


@pytest.mark.parametrize("base", ["", "example.org", "ftp://example.org", "https://", "https://x/?a=1", "https://x/#y"])
def test_what_is_no_address_is_refused(base: str) -> None:
    with pytest.raises(click.BadParameter, match="wants an address"):
        moved(URL, base)


def test_the_code_is_square_and_of_the_text() -> None:
    lines = qr_code(URL).rstrip("\n").split("\n")
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) in (2 * len(lines), 2 * len(lines) - 1)  # two modules in each character
    assert qr_code(URL) != qr_code(URL + "x")
