"""Hosts are read as the system reads them, and bodies come out as they went in, however they are cut."""

import gzip
import socket
import zlib

from hypothesis import given
from hypothesis import strategies as st

from txcrush.adapters.web.addresses import literal, why_refused
from txcrush.adapters.web.bodies import BLOCK, decoder_of
from txcrush.adapters.web.targets import parse

numbers = st.one_of(
    st.integers(0, 2**33).map(str),
    st.integers(0, 2**33).map(hex),
    st.integers(0, 2**33).map(lambda number: f"0{number:o}"),
    st.text("0123456789abcdefxX", max_size=6),
)
hosts = st.lists(numbers, min_size=1, max_size=5).map(".".join)


@given(hosts)
def test_promise_68_a_number_is_read_as_the_system_reads_it(host: str) -> None:
    try:
        system = socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return
    assert literal(host) == system


@given(st.integers(0, 2**32 - 1))
def test_promise_68_an_address_in_ipv6_is_refused_as_in_ipv4(number: int) -> None:
    v4 = socket.inet_ntoa(number.to_bytes(4, "big"))
    for prefix in ("::ffff:", "64:ff9b::"):
        assert why_refused(prefix + v4) == why_refused(v4)
    assert why_refused(f"::{v4}") != ""


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_a_url_holds_it_is_read_or_refused(host: str, rest: str) -> None:
    try:
        target = parse(f"http://{host}/{rest}")
    except ValueError:
        return
    assert target.url.isascii()
    assert parse(target.url) == parse(parse(target.url).url)
    assert parse(target.url).host == target.host


@given(st.binary(max_size=5000), st.integers(1, 50), st.sampled_from(["", "gzip", "deflate"]), st.integers(1, 40))
def test_a_body_comes_out_as_it_went_in(seed: bytes, size: int, coding: str, times: int) -> None:
    text = seed * times
    packed = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}[coding](text)
    decoder = decoder_of(coding)
    blocks = [block for at in range(0, len(packed), size) for block in decoder.blocks(packed[at : at + size])]
    decoder.finish()
    assert b"".join(blocks) == text
    assert all(len(block) <= BLOCK for block in blocks)
