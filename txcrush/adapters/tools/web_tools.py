"""The tools that reach the web, made from what the whole server shares."""

from collections.abc import Callable

from twisted.internet.defer import Deferred

from txcrush.adapters.places import Places
from txcrush.adapters.tools.download import Download
from txcrush.adapters.tools.fetch import Fetch
from txcrush.adapters.tools.sourcegraph import Sourcegraph
from txcrush.adapters.tools.web_fetch import WebFetch
from txcrush.adapters.tools.web_search import Spacing, WebSearch
from txcrush.adapters.web import WebClient
from txcrush.adapters.web.pages import Pages
from txcrush.core.workbench import Workbench
from txcrush.ports import Clock, InThread, Tool


class WebTools:
    """Makes them for a workspace's agent and for the fetch sub-agent. `random` gives numbers from 0 up to 1."""

    def __init__(self, web: WebClient, clock: Clock, random: Callable[[], float], in_thread: InThread) -> None:
        self._web = web
        self._spacing = Spacing(clock, random)
        self._in_thread = in_thread
        self._pages = Pages(web, in_thread)

    def for_workspace(self, bench: Workbench, places: Places) -> tuple[Tool, ...]:
        """`fetch`, `download`, `sourcegraph`; `places` are the workspace's."""
        return (
            Fetch(self._web, bench.permissions, bench.path, self._in_thread),
            Download(self._web, bench.permissions, places, self._in_thread),
            Sourcegraph(self._web, self._in_thread),
        )

    def for_fetcher(self, directory: str) -> tuple[Tool, ...]:
        """`web_fetch`, `web_search`, `sourcegraph` for a sub-agent that works in this directory."""
        return (
            WebFetch(self._pages, directory, self._in_thread),
            WebSearch(self._web, self._spacing, self._in_thread),
            Sourcegraph(self._web, self._in_thread),
        )

    def fetched_page(self, url: str) -> Deferred[str]:
        """A page as `web_fetch` reads it, of any size. Fails with `WebFailed`."""
        return self._pages.fetched_page(url)
