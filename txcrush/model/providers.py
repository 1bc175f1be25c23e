"""What is asked of a model provider, and what it answers."""

from msgspec import Struct

from txcrush.model.messages import FinishReason
from txcrush.model.tools import ToolSpec


class FilePart(Struct, frozen=True):
    """A file shown to the model, an image for instance."""

    filename: str
    mime_type: str
    data: bytes


class SystemTurn(Struct, frozen=True):
    text: str


class UserTurn(Struct, frozen=True):
    text: str
    files: tuple[FilePart, ...] = ()


class AssistantCall(Struct, frozen=True):
    """A tool call that the model made; `arguments` is a string that holds JSON."""

    id: str
    name: str
    arguments: str


class AssistantTurn(Struct, frozen=True):
    """What the model said before: text, reasoning (with the provider's signature) and tool calls, in that order."""

    text: str = ""
    reasoning: str = ""
    signature: str = ""
    calls: tuple[AssistantCall, ...] = ()


class CallResult(Struct, frozen=True):
    call_id: str
    name: str
    text: str
    is_error: bool = False
    media: FilePart | None = None


class ResultsTurn(Struct, frozen=True):
    """The results of tool calls."""

    results: tuple[CallResult, ...]


Turn = SystemTurn | UserTurn | AssistantTurn | ResultsTurn


class ModelRequest(Struct, frozen=True, kw_only=True):
    """One request to a model. `max_tokens` 0 and the None values are not sent.

    `reasoning_effort` is empty where none is in force. `options` are the merged provider options: keys of the request
    body. `affinity` identifies the session for the provider's caches (header `x-session-id`), never its plain id.
    `mark_cache` says that what is asked will be asked again, with more behind it: worth a place in those caches.
    """

    model: str
    turns: tuple[Turn, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int = 0
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    reasoning_effort: str = ""
    think: bool = False
    options: dict[str, object] = {}
    affinity: str = ""
    mark_cache: bool = False


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens of one model request. `input` does not contain the cached ones. `cost` is the provider's own, or None."""

    input: int = 0
    output: int = 0
    total: int = 0
    reasoning: int = 0
    cache_creation: int = 0
    cache_read: int = 0
    cost: float | None = None

    @property
    def is_zero(self) -> bool:
        return not any((self.input, self.output, self.total, self.reasoning, self.cache_creation, self.cache_read))


class ModelReply(Struct, frozen=True, kw_only=True):
    """How a model's answer ended; its content went to the sink before. `finish` is never CANCELED, ERROR or STOP."""

    finish: FinishReason
    usage: Usage
