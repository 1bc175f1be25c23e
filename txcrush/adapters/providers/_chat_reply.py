"""The answer of a Chat Completions server, put together from its chunks and passed to a sink as it comes."""

from txcrush.adapters.providers._posting import Extent, Reply, call_id
from txcrush.model.providers import ModelReply, Usage
from txcrush.ports import NewId, StreamSink
from txcrush.wire.chat_completions import DONE, CallPiece, Chunk, Delta, decode_chunk, finish_reason
from txcrush.wire.provider_errors import cut_off, invalid_answer, stream_error


class _Call:
    """A tool call while it is written."""

    def __init__(self, index: int | None, call_id: str) -> None:
        self.index = index
        self.wire_id = call_id
        self.id = call_id
        self.name = ""
        self.arguments: list[str] = []
        self.started = False


class ChatReply:
    """Implements `Reply`. At most one call is open at a time: when the next begins, the one before is complete."""

    def __init__(self, sink: StreamSink, new_id: NewId, extent: Extent | None = None) -> None:
        self._sink = sink
        self._new_id = new_id
        self._extent = extent or Extent()
        self._thinking = False
        self._calls: list[_Call] = []
        self._call_ids: list[str] = []
        self._open: _Call | None = None
        self._finish = ""
        self._usage = Usage()
        self._done = False

    @property
    def finished(self) -> bool:
        return bool(self._finish)

    @property
    def complete(self) -> bool:
        return self._done

    def event(self, data: bytes) -> bool:
        if data.strip() == DONE:
            self._settle()
            self._done = True
            return True
        chunk = decode_chunk(data)
        self._raise_error(chunk)
        return self._chunk(chunk)

    def document(self, body: bytes) -> None:
        """A server that answered in one piece."""
        chunk = decode_chunk(body)
        self._raise_error(chunk)
        if not chunk.choices:
            raise invalid_answer("the provider's answer holds no choices: check the provider's base_url")
        self._chunk(chunk)
        self._finish = self._finish or "stop"
        self._settle()

    def reply(self) -> ModelReply:
        if not (self._finish or self._done):
            raise cut_off()
        return ModelReply(finish=finish_reason(self._finish, bool(self._calls)), usage=self._usage)

    def _raise_error(self, chunk: Chunk) -> None:
        if chunk.error:
            raise stream_error(chunk.error)

    def _chunk(self, chunk: Chunk) -> bool:
        progress = False
        if chunk.usage is not None:
            self._usage = chunk.usage.usage()
        for choice in (chunk.choices or ())[:1]:
            delta = choice.delta or choice.message
            if delta is not None:
                progress = self._delta(delta)
            if choice.finish_reason:
                self._finish = choice.finish_reason
                self._settle()
                progress = True
        return progress

    def _delta(self, delta: Delta) -> bool:
        reasoning = delta.reasoning_content or delta.reasoning
        self._extent.grow(reasoning, delta.content, delta.refusal)
        if reasoning:
            self._thinking = True
            self._sink.reasoning(reasoning)
        text = delta.content or delta.refusal
        if text:
            self._end_reasoning()
            self._sink.text(text)
        if delta.tool_calls:
            self._end_reasoning()
            for piece in delta.tool_calls:
                self._piece(piece)
        return bool(reasoning or text or delta.tool_calls)

    def _end_reasoning(self) -> None:
        if self._thinking:
            self._thinking = False
            self._sink.reasoning_ended()

    def _piece(self, piece: CallPiece) -> None:
        call = self._call_of(piece)
        function = piece.function
        if function is None:
            return
        text = function.text
        if call is not self._open and text:
            raise invalid_answer("the provider went on with a tool call after it had begun the next one")
        call.name = call.name or function.name or ""
        if call.name and not call.started:
            call.started = True
            self._sink.tool_started(call.id, call.name)
        if text:
            self._extent.grow(text)
            call.arguments.append(text)

    def _call_of(self, piece: CallPiece) -> _Call:
        """The call that a piece belongs to, or a new one.

        Servers differ: an index on every piece (the standard), the id on every piece, neither behind the first piece,
        or whole calls that all have index 0 and ids of their own.
        """
        named = bool(piece.function and piece.function.name)
        for call in reversed(self._calls):
            if piece.index is not None:
                same = call.index == piece.index and not (named and piece.id and piece.id != call.wire_id)
            elif piece.id:
                same = call.wire_id == piece.id
            else:
                same = not (named and call.name)
            if same:
                return call
            if piece.index is None and not piece.id:
                break
        return self._begin(piece)

    def _begin(self, piece: CallPiece) -> _Call:
        self._complete_open()
        self._extent.call()
        call = _Call(piece.index, piece.id or "")
        call.id = call_id(call.wire_id, self._call_ids, self._new_id)
        self._calls.append(call)
        self._open = call
        return call

    def _complete_open(self) -> None:
        call, self._open = self._open, None
        if call is None:
            return
        if not call.started:
            self._sink.tool_started(call.id, call.name)
        arguments = "".join(call.arguments)
        self._sink.tool_call(call.id, call.name, arguments if arguments.strip() else "{}")

    def _settle(self) -> None:
        """Close what is still open: nothing more is written."""
        self._end_reasoning()
        self._complete_open()


def _conforms(reply: ChatReply) -> Reply:
    return reply
