"""Media that tools give back: bytes in base64, as the protocol carries them."""

import base64


def decoded(text: str) -> bytes | None:
    """The bytes that a base64 text stands for; None for a text that no encoder has written."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if base64.b64encode(data).decode() == text else None
