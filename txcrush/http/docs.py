"""Routes of the description of this interface, and the page that shows it.

The document is the same for everybody and for as long as the server runs: it is made when it is first asked for, in a
thread. It is asked for with a token like everything else; the page's files are not, like those of `/ui/`.
"""

from txcrush import __version__
from txcrush.http.describing import operations_of, tags_of
from txcrush.http.page import HEADERS, PageFile, StaticFiles, file_reply, page_file
from txcrush.http.routing import JSON, Call, Reply, route
from txcrush.wire.openapi import document

DOCS = "/v1/docs"


class DocsRoutes:
    """Describes the `families`, to which it may be added itself. `files` holds the page's in its folder `docs`."""

    def __init__(self, families: list[object], files: StaticFiles) -> None:
        self._families = families
        self._files = files
        self._document: PageFile | None = None

    @route("GET", "/v1/openapi.json", answers=dict[str, object])
    async def openapi(self, call: Call) -> Reply:
        """This description of the interface, as OpenAPI 3.1. `/v1/docs/` shows it to people."""
        if self._document is None:
            made: PageFile = await self._files.in_thread(self._described)
            self._document = made
        return file_reply(call, self._document)

    @route("GET", DOCS, hidden=True)
    def bare(self, _call: Call) -> Reply:
        """Relative, so that it holds behind a proxy below a path."""
        return Reply(302, b"", {**HEADERS, "Location": "docs/"}, b"text/plain; charset=utf-8")

    @route("GET", f"{DOCS}/", hidden=True)
    async def index(self, call: Call) -> Reply:
        return await self._files.answer(call, "docs/index.html")

    @route("GET", f"{DOCS}/<path:name>", hidden=True)
    async def file(self, call: Call) -> Reply:
        return await self._files.answer(call, f"docs/{call.path['name']}")

    def _described(self) -> PageFile:
        described = document(operations_of(self._families), tags_of(self._families), __version__)
        return page_file(described, JSON)
