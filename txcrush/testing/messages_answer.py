"""An answer in Anthropic Messages on the scripted model server, event by event."""

from txcrush.testing.model_server import Exchange
from txcrush.wire.json import encode


class MessagesAnswer:
    """What is written to one exchange. Blocks are numbered in the order in which they begin."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._index = -1

    def event(self, kind: str, **fields: object) -> None:
        """One event, named as this wire names them."""
        data = encode({"type": kind, **fields})
        self.exchange.chunk(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))

    def begin(self, **usage: object) -> None:
        """The head of the answer and the first event, with the tokens of the input."""
        self.exchange.head()
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
        self.event("message_start", message=message | {"usage": {"input_tokens": 10, "output_tokens": 1} | usage})

    def block(self, **fields: object) -> None:
        """A block begins."""
        self._index += 1
        self.event("content_block_start", index=self._index, content_block=fields)

    def delta(self, kind: str, **fields: object) -> None:
        """More of the block that began last."""
        self.event("content_block_delta", index=self._index, delta={"type": kind, **fields})

    def stop(self) -> None:
        """The block is complete."""
        self.event("content_block_stop", index=self._index)

    def text(self, *deltas: str) -> None:
        """A block of text, left open."""
        self.block(type="text", text="")
        for delta in deltas:
            self.delta("text_delta", text=delta)

    def thinking(self, *deltas: str, signature: str = "") -> None:
        """A whole block of thinking."""
        self.block(type="thinking", thinking="", signature="")
        for delta in deltas:
            self.delta("thinking_delta", thinking=delta)
        if signature:
            self.delta("signature_delta", signature=signature)
        self.stop()

    def call(self, call_id: str, name: str, *pieces: str) -> None:
        """A tool call, left open."""
        self.block(type="tool_use", id=call_id, name=name, input={})
        for piece in pieces:
            self.delta("input_json_delta", partial_json=piece)

    def finish(self, reason: str = "end_turn", **usage: object) -> None:
        """Why it stops, and the tokens of the output."""
        delta = {"stop_reason": reason, "stop_sequence": None}
        self.event("message_delta", delta=delta, usage={"output_tokens": 5} | usage)

    def done(self) -> None:
        """The last event and the end of the body; the connection stays."""
        self.event("message_stop")
        self.exchange.end()

    def reply(self, *texts: str) -> None:
        """A whole good answer in so many deltas."""
        self.begin()
        self.text(*texts)
        self.stop()
        self.finish()
        self.done()

    def error(self, kind: str, message: str) -> None:
        """An error inside the stream."""
        self.event("error", error={"type": kind, "message": message})


def refuse(exchange: Exchange, status: int, kind: str, message: str, **headers: str) -> None:
    """An error in Anthropic's shape instead of an answer."""
    error = {"type": kind, "message": message}
    exchange.answer(status, encode({"type": "error", "error": error, "request_id": "req_1"}), **headers)
