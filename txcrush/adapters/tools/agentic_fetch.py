"""The `agentic_fetch` tool: another agent reads the web and answers a question from it (`tools.md` 19.3)."""

import shutil
from collections.abc import Callable

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.fetch_directories import made
from txcrush.adapters.tools import specs
from txcrush.adapters.tools.web_fetch import LARGEST_SHOWN, saved_page
from txcrush.adapters.web import WebFailed
from txcrush.core.instructions import fetch_prompt, page_request, saved_page_request, search_request
from txcrush.core.observers import ended
from txcrush.core.subagents import Errand
from txcrush.core.workbench import Workbench
from txcrush.model.errors import Refused
from txcrush.model.permissions import Ask
from txcrush.model.tools import ToolOutput, ToolUse, denied
from txcrush.ports import InThread, Tool

TITLE = "Fetch Analysis"

MakeTools = Callable[[str], tuple[Tool, ...]]
"""The tools of an agent that works in a directory."""


class Arguments(Struct):
    prompt: str
    url: str = ""


class AgenticFetch:
    """The tool. `fetched_page` reads a page as text, `make_tools` gives the other agent what it works with.

    What comes from the web may try to talk the other agent into something, so nothing is granted to it beforehand: its
    tools read the web and its own directory, and ask for anything else.
    """

    spec = specs.described(
        "agentic_fetch",
        {
            "prompt": specs.text("What to find out, complete in itself"),
            "url": specs.text("The page to begin with; leave it out to search the web"),
        },
        "prompt",
        parallel=True,
    )

    def __init__(
        self,
        bench: Workbench,
        fetched_page: Callable[[str], Deferred[str]],
        make_tools: MakeTools,
        in_thread: InThread,
    ) -> None:
        self._bench = bench
        self._fetched_page = fetched_page
        self._make_tools = make_tools
        self._in_thread = in_thread

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`; cancelling ends the other agent and removes its directory."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        wanted = specs.arguments(use, Arguments)
        for present, problem in (
            (wanted.prompt, "prompt is required"),
            (use.session_id, "session id missing from context"),
            (use.message_id, "agent message id missing from context"),
        ):
            if not present:
                raise Refused(problem)
        if not await self._bench.permissions.ask(self._ask(use, wanted)):
            return denied()
        directories: list[str] = []
        try:
            await ended(self._in_thread(lambda: directories.append(made(self._bench.data_dir))))
            return await self._bench.subagents.run(use, await self._errand(wanted, directories[0]))
        finally:
            for directory in directories:
                self._in_thread(shutil.rmtree, directory, ignore_errors=True)

    def _ask(self, use: ToolUse, wanted: Arguments) -> Ask:
        url = {"url": wanted.url} if wanted.url else {}
        about = f"Fetch and analyze content from URL: {wanted.url}" if url else "Search the web and analyze results"
        return Ask(
            session_id=use.session_id,
            tool_call_id=use.call.id,
            tool_name=self.spec.name,
            action="fetch",
            description=about,
            path=self._bench.path,
            params={**url, "prompt": wanted.prompt},
        )

    async def _errand(self, wanted: Arguments, directory: str) -> Errand:
        return Errand(
            prompt=await self._request(wanted, directory),
            title=TITLE,
            instructions=fetch_prompt(self._bench.facts(directory)),
            tools=self._make_tools(directory),
            slot="small",
        )

    async def _request(self, wanted: Arguments, directory: str) -> str:
        """What the other agent is asked, with the page in it, where it is small, or saved beside it."""
        if not wanted.url:
            return search_request(wanted.prompt)
        try:
            page = await self._fetched_page(wanted.url)
            if len(page.encode("utf-8", "replace")) <= LARGEST_SHOWN:
                return page_request(wanted.prompt, wanted.url, page)
            saved = await ended(self._in_thread(saved_page, directory, page))
        except (WebFailed, OSError) as error:
            raise Refused(f"Failed to fetch URL: {error}") from error
        return saved_page_request(wanted.prompt, wanted.url, saved)
