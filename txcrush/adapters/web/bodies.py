"""Bodies of answers, read piece by piece and never beyond a limit, whatever they are compressed with."""

import zlib
from collections.abc import Iterator
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from txcrush.adapters.web.failures import WebFailed

HELD = 256 * 1024
"""Bytes that wait to be read before the connection is paused."""
BLOCK = 64 * 1024
"""Bytes that are inflated at a time."""
UNSUSPICIOUS = 64 * 1024
"""Inflated bytes up to which nothing is called a bomb."""
RATIO = 100
"""Times its size to which an answer may grow; ordinary pages grow to 5 to 20 times theirs."""
SLACK = 64 * 1024
"""Compressed bytes over the limit of the inflated ones: a stream may also consist of nothing."""


class Intake(TwistedProtocol):
    """Takes a body in; `read` gives it out. Paused while enough waits."""

    transport: Any

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._paused = False
        self._end: Failure | None = None
        self._reader: Deferred[None] | None = None

    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)
        self._waiting += len(data)
        if self._waiting >= HELD and not self._paused:
            self._paused = True
            self.transport.pauseProducing()
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end = reason
        self._wake()

    async def read(self) -> bytes:
        """What has come since; empty at the end. Raises what broke the connection."""
        while not self._pieces and self._end is None:
            self._reader = Deferred()
            await self._reader
        if self._pieces:
            return self._taken()
        assert self._end is not None
        if not self._end.check(ResponseDone, PotentialDataLoss):
            self._end.raiseException()
        return b""

    def _taken(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self._waiting = 0
        if self._paused:
            self._paused = False
            if self._end is None:
                self.transport.resumeProducing()
        return taken

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.called:
            reader.callback(None)


class Decoder(Protocol):
    """Undoes a content coding."""

    def blocks(self, piece: bytes) -> Iterator[bytes]:
        """What the piece holds, at most `BLOCK` bytes at a time. Raises `WebFailed`."""

    def finish(self) -> None:
        """The body is at its end. Raises `WebFailed` where it should not be."""


class Plain:
    """No coding."""

    def blocks(self, piece: bytes) -> Iterator[bytes]:
        yield piece

    def finish(self) -> None:
        """Any end is right."""


class Inflater:
    """gzip (also of several members) and deflate (with or without a header)."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream: Any = None
        self._taken = 0
        self._given = 0

    def blocks(self, piece: bytes) -> Iterator[bytes]:
        """See `Decoder`."""
        while piece:
            stream = self._stream = self._stream or self._begun(piece)
            if stream is _TRAILING:
                return
            try:
                block = stream.decompress(piece, BLOCK)
            except zlib.error as error:
                raise WebFailed(f"the answer's {self._coding} coding is broken: {error}") from error
            rest = stream.unused_data if stream.eof else stream.unconsumed_tail
            self._count(len(piece) - len(rest), len(block))
            if block:
                yield block
            if stream.eof:
                self._stream = None if self._coding == "gzip" else _TRAILING
            elif not rest and len(block) == BLOCK:
                yield from self._held(stream)
            piece = rest

    def finish(self) -> None:
        """See `Decoder`."""
        if self._stream not in (None, _TRAILING) and not self._stream.eof:
            raise WebFailed(f"the answer's {self._coding} coding ends too early")

    def _held(self, stream: Any) -> Iterator[bytes]:
        """What zlib still holds of input that it has taken in whole."""
        while block := stream.decompress(b"", BLOCK):
            self._count(0, len(block))
            yield block

    def _begun(self, piece: bytes) -> Any:
        """What undoes the next member; what follows the last one is ignored, as gzip itself does."""
        if self._coding == "gzip":
            return zlib.decompressobj(31) if not self._taken or piece[:1] == b"\x1f" else _TRAILING
        has_header = piece[0] & 0x0F == 8
        return zlib.decompressobj(15 if has_header else -15)

    def _count(self, taken: int, given: int) -> None:
        self._taken += taken
        self._given += given
        if self._given > UNSUSPICIOUS and self._given > RATIO * self._taken:
            raise WebFailed(f"the answer is compressed more than {RATIO} to 1, as a decompression bomb is")


_TRAILING = object()
"""Stands for the stream of what nobody wants."""


def decoder_of(coding: str) -> Decoder:
    """Undoes the coding that an answer names. Raises `WebFailed` for one that was not asked for."""
    name = coding.strip().lower().removeprefix("x-")
    if name in ("", "identity"):
        return Plain()
    if name in ("gzip", "deflate"):
        return Inflater(name)
    raise WebFailed(f"the answer has the content encoding {coding[:80]!r}, which was not asked for")


class Body:
    """The decoded body of an answer, at most `limit` bytes of it; `is_cut` says that there was more."""

    def __init__(self, intake: Intake, decoder: Decoder, limit: int) -> None:
        self._intake = intake
        self._decoder = decoder
        self._limit = limit
        self._blocks: Iterator[bytes] = iter(())
        self._raw = 0
        self._given = 0
        self._ended = False
        self.is_cut = False

    async def read(self) -> bytes:
        """The next bytes; empty at the end. Raises `WebFailed`, or what broke the connection."""
        while not self._ended:
            block = next(self._blocks, b"")
            if block:
                return self._within(block)
            await self._more()
        return b""

    async def whole(self) -> bytes:
        """All of it, up to the limit."""
        pieces = []
        while piece := await self.read():
            pieces.append(piece)
        return b"".join(pieces)

    async def _more(self) -> None:
        if self._raw > self._limit + SLACK:
            raise WebFailed("the answer is compressed and holds next to nothing")
        piece = await self._intake.read()
        self._raw += len(piece)
        if not piece:
            self._decoder.finish()
            self._ended = True
        self._blocks = self._decoder.blocks(piece)

    def _within(self, block: bytes) -> bytes:
        room = self._limit - self._given
        if len(block) > room:
            self.is_cut = self._ended = True
            block = block[:room]
        self._given += len(block)
        return block
