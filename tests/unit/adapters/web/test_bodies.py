"""Bodies, decoded within limits."""

import gzip
import zlib
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone

from txcrush.adapters.web.bodies import BLOCK, HELD, SLACK, Body, Intake, decoder_of
from txcrush.adapters.web.failures import WebFailed

TEXT = b"".join(b"line %d of a page\n" % number for number in range(5000))
END = Failure(ResponseDone())


class Tap:
    """The connection, as far as a body sees it."""

    def __init__(self) -> None:
        self.paused = 0

    def pauseProducing(self) -> None:
        self.paused += 1

    def resumeProducing(self) -> None:
        self.paused -= 1


def decoded(coding: str, pieces: list[bytes]) -> bytes:
    decoder = decoder_of(coding)
    text = b"".join(block for piece in pieces for block in decoder.blocks(piece))
    decoder.finish()
    return text


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


class Reading(SynchronousTestCase):
    """An intake, the body that reads it, and what was read."""

    def setUp(self) -> None:
        self.tap = Tap()
        self.intake = Intake()

    def body(self, coding: str = "", limit: int = 10**9) -> Body:
        self.intake.makeConnection(self.tap)  # type: ignore[arg-type]
        return Body(self.intake, decoder_of(coding), limit)

    def whole(self, body: Body) -> "Deferred[bytes]":
        return Deferred.fromCoroutine(body.whole())


class TestCodings(SynchronousTestCase):
    def test_every_coding_gives_the_text_however_it_is_cut(self) -> None:
        for coding, packed in (
            ("", TEXT),
            ("identity", TEXT),
            ("gzip", gzip.compress(TEXT)),
            ("X-GZIP", gzip.compress(TEXT)),
            ("deflate", zlib.compress(TEXT)),
            ("deflate", raw_deflate(TEXT)),
        ):
            for size in (1, 7, 4096, len(packed)):
                self.assertEqual(decoded(coding, in_pieces(packed, size)), TEXT)

    def test_gzip_of_several_members(self) -> None:
        packed = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")
        for size in (1, 5, len(packed)):
            self.assertEqual(decoded("gzip", in_pieces(packed, size)), b"one two")

    def test_what_follows_the_last_member_is_ignored(self) -> None:
        self.assertEqual(decoded("gzip", [gzip.compress(b"text") + b"\0\0\0"]), b"text")
        self.assertEqual(decoded("deflate", [zlib.compress(b"text") + b"junk"]), b"text")

    def test_a_block_is_never_longer_than_the_bound(self) -> None:
        packed = gzip.compress(TEXT * 20)
        self.assertLessEqual(max(len(block) for block in decoder_of("gzip").blocks(packed)), BLOCK)

    def test_a_broken_coding_is_an_error(self) -> None:
        for coding in ("gzip", "deflate"):
            with pytest.raises(WebFailed, match="broken"):
                decoded(coding, [b"\x78 this is no compressed text"])

    def test_a_coding_that_ends_too_early_is_an_error(self) -> None:
        with pytest.raises(WebFailed, match="too early"):
            decoded("gzip", [gzip.compress(TEXT)[:-9]])

    def test_a_coding_that_was_not_asked_for_is_refused(self) -> None:
        for coding in ("br", "zstd", "gzip, gzip", "compress"):
            with pytest.raises(WebFailed, match="not asked for"):
                decoder_of(coding)

    def test_promise_69_a_bomb_of_1_to_1000_is_refused_early(self) -> None:
        bomb = gzip.compress(bytes(10_000_000), 9)
        for coding, packed in (("gzip", bomb), ("deflate", zlib.compress(bytes(10_000_000), 9))):
            given = 0
            with pytest.raises(WebFailed, match="bomb"):
                for block in decoder_of(coding).blocks(packed):
                    given += len(block)
            self.assertLessEqual(given, 2 * BLOCK)


class TestBody(Reading):
    def test_it_is_read_as_it_comes(self) -> None:
        body = self.body()
        first = Deferred.fromCoroutine(body.read())
        self.assertNoResult(first)
        self.intake.dataReceived(b"one")
        self.assertEqual(self.successResultOf(first), b"one")
        rest = self.whole(body)
        self.intake.dataReceived(b"two")
        self.intake.connectionLost(END)
        self.assertEqual(self.successResultOf(rest), b"two")

    def test_the_limit_cuts_it(self) -> None:
        body = self.body(limit=4)
        self.intake.dataReceived(b"abcdef")
        self.assertEqual(self.successResultOf(self.whole(body)), b"abcd")
        self.assertTrue(body.is_cut)

    def test_a_body_of_just_the_limit_is_whole(self) -> None:
        body = self.body(limit=4)
        self.intake.dataReceived(b"abcd")
        self.intake.connectionLost(END)
        self.assertEqual(self.successResultOf(self.whole(body)), b"abcd")
        self.assertFalse(body.is_cut)

    def test_promise_69_the_limit_counts_what_was_inflated(self) -> None:
        body = self.body("gzip", limit=1000)
        self.intake.dataReceived(gzip.compress(TEXT))
        self.assertEqual(self.successResultOf(self.whole(body)), TEXT[:1000])
        self.assertTrue(body.is_cut)

    def test_promise_69_a_coding_that_holds_nothing_ends_too(self) -> None:
        body = self.body("gzip", limit=10)
        whole = self.whole(body)
        nothing = gzip.compress(b"") * 1000
        for _ in range((SLACK + 10) // len(nothing) + 2):
            self.intake.dataReceived(nothing)
        self.failureResultOf(whole, WebFailed)

    def test_promise_69_the_connection_waits_while_nobody_reads(self) -> None:
        body = self.body()
        for _ in range(5):
            self.intake.dataReceived(bytes(HELD // 4))
        self.assertEqual(self.tap.paused, 1)
        self.assertEqual(len(self.successResultOf(Deferred.fromCoroutine(body.read()))), HELD // 4 * 5)
        self.assertEqual(self.tap.paused, 0)

    def test_a_broken_connection_is_an_error(self) -> None:
        body = self.body()
        whole = self.whole(body)
        self.intake.dataReceived(b"half")
        self.intake.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(whole, ConnectionLost)

    def test_a_reader_that_gave_up_is_not_woken(self) -> None:
        body = self.body()
        reading: Any = Deferred.fromCoroutine(body.read())
        reading.cancel()
        self.failureResultOf(reading)
        self.intake.dataReceived(b"late")
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(body.read())), b"late")
