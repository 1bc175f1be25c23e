"""Client ids as the reference accepts them: any spelling of a UUID, compared as it was written (`protocol.md` 4.6)."""

import re

from txcrush.http.routing import Call
from txcrush.model.errors import BadRequest
from txcrush.model.ids import ClientId

_HYPHENATED = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_UUID = re.compile(rf"(?:urn:uuid:)?{_HYPHENATED}|\{{{_HYPHENATED}\}}|[0-9a-fA-F]{{32}}", re.IGNORECASE)
_LENGTHS = frozenset({32, 36, 38, 45})


def body_client_id(text: str) -> ClientId:
    """A client id of a body or a path. Raises `BadRequest` in the words that these use."""
    if not text:
        raise BadRequest("invalid client_id")
    if _UUID.fullmatch(text) is None:
        odd = f"invalid UUID length: {len(text.encode())}"
        raise BadRequest("invalid client_id: " + ("invalid UUID format" if len(text) in _LENGTHS else odd))
    return ClientId(text)


def query_client_id(call: Call) -> ClientId:
    """The query's `client_id`. Raises `BadRequest` in the words that queries use."""
    text = call.query("client_id")
    if not text:
        raise BadRequest("client_id is required")
    if _UUID.fullmatch(text) is None:
        raise BadRequest("client_id is not a valid UUID")
    return ClientId(text)
