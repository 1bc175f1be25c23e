"""Reading a page, for the fetch sub-agent (`tools.md` 18.4)."""

import os
import tempfile

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.tools.specs import arguments, described, text
from txcrush.adapters.web import WebFailed
from txcrush.adapters.web.pages import Pages
from txcrush.model.errors import Refused
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import InThread, Tool

LARGEST_SHOWN = 50000
"""Bytes of content that a result may hold; more goes to a file."""


class WebFetchArguments(Struct, frozen=True):
    url: str = ""


class WebFetch:
    """The `web_fetch` tool. Large pages are saved in `directory`, which its maker removes."""

    spec = described("web_fetch", {"url": text("The URL, beginning with http:// or https://")}, "url", parallel=True)

    def __init__(self, pages: Pages, directory: str, in_thread: InThread) -> None:
        self._pages = pages
        self._directory = directory
        self._in_thread = in_thread

    def run(self, use: ToolUse) -> Deferred[ToolOutput]:
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        url = arguments(use, WebFetchArguments).url
        if not url:
            raise Refused("url is required")
        try:
            content = await self._pages.fetched_page(url)
            if len(content.encode("utf-8", "replace")) <= LARGEST_SHOWN:
                return ToolOutput(content=f"Fetched content from {url}:\n\n{content}")
            path = await self._in_thread(saved_page, self._directory, content)
        except (WebFailed, OSError) as error:
            raise Refused(f"Failed to fetch URL: {error}") from error
        return ToolOutput(
            content=f"Fetched content from {url} (large page)\n\nContent saved to: {path}\n\n"
            "Search this file with grep and read the parts you need with view."
        )


def saved_page(directory: str, content: str) -> str:
    """The path of a new file `page-*.md` with the content. For a thread. Raises OSError."""
    handle, path = tempfile.mkstemp(prefix="page-", suffix=".md", dir=directory)
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.write(content)
    return path


def _conforms(tool: WebFetch) -> Tool:
    return tool
