"""Downloading a URL to a file (`tools.md` 18.3)."""

import os
from functools import partial

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.places import Place, Places
from txcrush.adapters.tools.fetch import check_scheme, check_status, limited, timeout_param
from txcrush.adapters.tools.specs import arguments, described, integer, text
from txcrush.adapters.web import Answer, Body, WebClient, WebFailed, WebRequest
from txcrush.adapters.web.landing import Landing
from txcrush.model.errors import Refused
from txcrush.model.permissions import Ask
from txcrush.model.tools import ToolOutput, ToolUse, denied
from txcrush.ports import InThread, Permissions, Tool

LARGEST = 1024 * 1024 * 1024
"""Bytes of a file."""
SECONDS = 300
LONGEST_TIMEOUT_S = 600
WRITTEN = 1024 * 1024
"""Bytes that are written at a time."""


class DownloadArguments(Struct, frozen=True):
    """`timeout` is seconds, 0 for none of its own."""

    url: str = ""
    file_path: str = ""
    timeout: float = 0


class Download:
    """The `download` tool of the workspace whose `places` they are. `largest` is the most bytes of a file."""

    spec = described(
        "download",
        {
            "url": text("The URL, beginning with http:// or https://"),
            "file_path": text("Where to put the file: absolute, or relative to the working directory"),
            "timeout": integer("Give up after so many seconds (at most 300)"),
        },
        "url",
        "file_path",
        parallel=True,
    )

    def __init__(
        self, web: WebClient, permissions: Permissions, places: Places, in_thread: InThread, *, largest: int = LARGEST
    ) -> None:
        self._web = web
        self._permissions = permissions
        self._places = places
        self._in_thread = in_thread
        self._largest = largest

    def run(self, use: ToolUse) -> Deferred[ToolOutput]:
        """See `ports.Tool`. Cancelling closes the connection and leaves no file."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        wanted = arguments(use, DownloadArguments)
        if not wanted.url:
            raise Refused("URL parameter is required")
        if not wanted.file_path:
            raise Refused("file_path parameter is required")
        check_scheme(wanted.url)
        place = await self._place(wanted.file_path)
        if not await self._permissions.ask(_asked(use, wanted, place)):
            return denied()
        await self._check_unmoved(wanted.file_path, place)
        seconds = limited(wanted.timeout, SECONDS, LONGEST_TIMEOUT_S)
        request = WebRequest(url=wanted.url, limit=self._largest, seconds=seconds)
        try:
            return await self._web.run(request, partial(self._take, place))
        except WebFailed as error:
            raise Refused(f"failed to download from URL: {error}") from error

    async def _take(self, place: Place, answer: Answer, body: Body) -> ToolOutput:
        check_status(answer)
        if answer.length is not None and answer.length > self._largest:
            raise WebFailed(self._too_large())
        landing = Landing(place.real)
        try:
            await self._pour(body, landing)
            await self._in_thread(landing.commit)
        except OSError as error:
            await self._in_thread(landing.discard)
            raise Refused(f"failed to write {place.absolute}: {error.strerror or error}") from error
        except BaseException:
            await self._in_thread(landing.discard)
            raise
        return ToolOutput(content=self._report(place, answer, landing.size))

    def _report(self, place: Place, answer: Answer, size: int) -> str:
        kind = f" (Content-Type: {answer.content_type})" if answer.content_type else ""
        return f"Successfully downloaded {size} bytes to {os.path.relpath(place.absolute, self._places.root)}{kind}"

    async def _pour(self, body: Body, landing: Landing) -> None:
        pieces, size = [], 0
        while piece := await body.read():
            pieces.append(piece)
            size += len(piece)
            if size >= WRITTEN:
                await self._in_thread(landing.write, b"".join(pieces))
                pieces, size = [], 0
        if body.is_cut:
            raise WebFailed(self._too_large())
        await self._in_thread(landing.write, b"".join(pieces))

    async def _place(self, path: str) -> Place:
        try:
            place: Place = await self._in_thread(self._places.resolved, path)
        except (ValueError, OSError) as error:
            raise Refused(f"file_path is not a path: {error}") from error
        if not await self._in_thread(_may_be_a_file, place.real):
            raise Refused(f"file_path is not a path of a file: {place.absolute}")
        return place

    async def _check_unmoved(self, path: str, place: Place) -> None:
        """What was asked about is what is written: a link that changed since leads elsewhere. What changes later fails
        in the `Landing`, which follows none."""
        if await self._place(path) != place:
            raise Refused(f"{place.absolute} leads elsewhere than when it was asked about")

    def _too_large(self) -> str:
        return f"the file is larger than {self._largest} bytes"


def _may_be_a_file(path: str) -> bool:
    return os.path.isfile(path) or not os.path.exists(path)


def _asked(use: ToolUse, wanted: DownloadArguments, place: Place) -> Ask:
    return Ask(
        session_id=use.session_id,
        tool_call_id=use.call.id,
        tool_name="download",
        action="download",
        description=f"Download file from URL: {wanted.url} to {place.absolute}",
        path=place.absolute,
        params={"url": wanted.url, "file_path": wanted.file_path, **timeout_param(wanted.timeout)},
        guarded=place.is_guarded,
    )


def _conforms(tool: Download) -> Tool:
    return tool
