"""Images for models that take them (`tools.md` 14.3)."""

import base64

from txcrush.adapters import anchored_files
from txcrush.adapters.places import Place
from txcrush.model.errors import Refused
from txcrush.model.tools import ToolOutput, ToolUse

IMAGE_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
"""What a name says of a file's type."""

MAX_IMAGE_BYTES = 200 * 1024


def picture(use: ToolUse, place: Place, named_type: str) -> ToolOutput:
    """The image as a result. Raises `Refused` for one that is too large, and for a model that takes none."""
    with anchored_files.opened(place) as (_, state):
        size = state.size
    if size > MAX_IMAGE_BYTES:
        raise Refused(f"Image file is too large ({size} bytes): {MAX_IMAGE_BYTES} bytes are shown at most")
    if not use.supports_images:
        raise Refused(f"{use.model_name} is a model that takes no images")
    content, _ = anchored_files.read_whole(place, MAX_IMAGE_BYTES)
    data = base64.b64encode(content).decode()
    return ToolOutput(content="", data=data, mime_type=sniffed(content) or named_type)


def sniffed(content: bytes) -> str:
    """The image type that the first bytes tell; empty for any other."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else ""
