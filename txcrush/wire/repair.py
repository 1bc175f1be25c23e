"""Mending the JSON that a model has written badly: a missing bracket, single quotes, a trailing comma."""

from txcrush.wire.json import encode_text, is_json, parse_object

MAX_CHARS = 64 * 1024
"""Longer texts are not mended: so many characters take 0.3 s, which is why this is called in a thread."""


def repaired_object(text: str) -> str | None:
    """A JSON object that says what the text meant to say, or None. A blank text means no arguments at all."""
    if not text.strip():
        return "{}"
    if len(text) > MAX_CHARS or "{" not in text or is_json(text):
        return None
    from json_repair import repair_json  # on first use: the server starts without it

    try:
        mended = repair_json(text, return_objects=True, skip_json_loads=True)
        return encode_text(parse_object(encode_text(mended)))
    except (ValueError, RecursionError):
        return None
