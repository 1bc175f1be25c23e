"""The answer of an Anthropic Messages server, put together from its events and passed to a sink as it comes."""

from txcrush.adapters.providers._posting import Extent, Reply, call_id
from txcrush.model.messages import FinishReason
from txcrush.model.providers import ModelReply
from txcrush.ports import NewId, StreamSink
from txcrush.wire.messages import (
    Block,
    Delta,
    Event,
    Message,
    Sealed,
    UsageRow,
    arguments_of,
    decode_event,
    decode_message,
    finish_reason,
    seal,
)
from txcrush.wire.provider_errors import cut_off, invalid_answer, stream_error

_THINKING = ("thinking", "redacted_thinking")


class MessagesReply:
    """Implements `Reply`. One block is open at a time: when the next begins, the one before is complete."""

    def __init__(self, sink: StreamSink, new_id: NewId, extent: Extent | None = None) -> None:
        self._sink = sink
        self._new_id = new_id
        self._extent = extent or Extent()
        self._open: Block | None = None
        self._call_id = ""
        self._arguments: list[str] = []
        self._thought = 0
        self._has_thought = False
        self._signature: list[str] = []
        self._sealed: list[Sealed] = []
        self._call_ids: list[str] = []
        self._finish = ""
        self._usage = UsageRow()
        self._done = False

    @property
    def finished(self) -> bool:
        return bool(self._finish)

    @property
    def complete(self) -> bool:
        return self._done

    def event(self, data: bytes) -> bool:
        event = decode_event(data)
        if event.error or event.type == "error":
            raise stream_error(event.error)
        match event.type:
            case "message_start" if event.message is not None:
                self._count(event.message.usage)
            case "content_block_start" if event.content_block is not None:
                return self._begin(event.content_block)
            case "content_block_delta" if event.delta is not None:
                return self._delta(event.delta)
            case "content_block_stop":
                self._end_block()
            case "message_delta":
                return self._message_delta(event)
            case "message_stop":
                self._end_block()
                self._done = True
                return True
        return False

    def document(self, body: bytes) -> None:
        """A server that answered in one piece."""
        message: Message = decode_message(body)
        if message.error:
            raise stream_error(message.error)
        if message.content is None:
            raise invalid_answer("the provider's answer holds no content: check the provider's base_url")
        for block in message.content:
            self._begin(block)
            self._end_block()
        self._count(message.usage)
        self._finish = message.stop_reason or "end_turn"

    def reply(self) -> ModelReply:
        if not (self._finish or self._done):
            raise cut_off()
        return ModelReply(finish=self._why(), usage=self._usage.usage())

    def _why(self) -> FinishReason:
        return finish_reason(self._finish, bool(self._call_ids))

    def _message_delta(self, event: Event) -> bool:
        self._count(event.usage)
        reason = event.delta.stop_reason if event.delta is not None else None
        if not reason:
            return False
        self._end_block()
        self._finish = reason
        return True

    def _count(self, usage: UsageRow | None) -> None:
        """What is told later is the sum so far, so it replaces what was told before."""
        if usage is not None:
            self._usage = self._usage.then(usage)

    # Blocks

    def _begin(self, block: Block) -> bool:
        self._end_block()
        self._open = block
        self._extent.grow(block.data)
        if block.type == "tool_use":
            self._extent.call()
            self._call_id = call_id(block.id or "", self._call_ids, self._new_id)
            self._sink.tool_started(self._call_id, block.name or "")
            return True
        return self._delta(Delta(text=block.text, thinking=block.thinking, signature=block.signature))

    def _delta(self, delta: Delta) -> bool:
        """Text and thinking say themselves what they are; some servers leave out the beginning of their block."""
        self._extent.grow(delta.thinking, delta.text, delta.partial_json, delta.signature)
        if delta.thinking:
            self._thought += len(delta.thinking)
            self._think(delta.thinking)
        if delta.signature:
            self._signature.append(delta.signature)
        if delta.text:
            self._end_thinking()
            self._sink.text(delta.text)
        if delta.partial_json:
            self._arguments.append(delta.partial_json)
        return bool(delta.thinking or delta.text or delta.partial_json)

    def _end_block(self) -> None:
        block, self._open = self._open, None
        if block is not None and block.type == "tool_use":
            self._end_call(block)
        elif block is None or block.type in _THINKING:
            self._end_thinking((block.data or "") if block is not None else "")

    def _end_call(self, block: Block) -> None:
        """The arguments come in pieces; a server that sends them whole sends no pieces."""
        arguments = "".join(self._arguments)
        self._arguments.clear()
        self._sink.tool_call(self._call_id, block.name or "", arguments if arguments.strip() else arguments_of(block))

    def _end_thinking(self, data: str = "") -> None:
        """Seal the block; a block without any text makes reasoning all the same, for its seal is wanted again."""
        one = Sealed(self._thought, "".join(self._signature), data)
        if one == Sealed():
            return
        self._thought = 0
        self._signature.clear()
        self._sealed.append(one)
        if not self._has_thought:
            self._think("")
        self._sink.reasoning_ended(seal(self._sealed))

    def _think(self, text: str) -> None:
        self._has_thought = True
        self._sink.reasoning(text)


def _conforms(reply: MessagesReply) -> Reply:
    return reply
