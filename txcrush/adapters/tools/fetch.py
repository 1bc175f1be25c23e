"""Fetching a URL's content (`tools.md` 18.1)."""

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.tools.specs import arguments, described, integer, text
from txcrush.adapters.web import Answer, WebClient, WebFailed, WebRequest
from txcrush.adapters.web.pages import decoded, is_html
from txcrush.model.errors import Refused
from txcrush.model.permissions import Ask
from txcrush.model.tools import ToolOutput, ToolUse, denied
from txcrush.ports import InThread, Permissions, Tool

LARGEST = 102400
"""Bytes that are read, and that a result may have."""
SECONDS = 30
LONGEST_TIMEOUT_S = 120

FORMATS = ("text", "markdown", "html")


class FetchArguments(Struct, frozen=True):
    """`timeout` is seconds, 0 for none of its own."""

    url: str = ""
    format: str = ""
    timeout: float = 0


class Fetch:
    """The `fetch` tool. `workspace` is the directory that clients are shown."""

    spec = described(
        "fetch",
        {
            "url": text("The URL, beginning with http:// or https://"),
            "format": text("How to return the content: text, markdown or html"),
            "timeout": integer("Give up after so many seconds (at most 30)"),
        },
        "url",
        "format",
        parallel=True,
    )

    def __init__(self, web: WebClient, permissions: Permissions, workspace: str, in_thread: InThread) -> None:
        self._web = web
        self._permissions = permissions
        self._workspace = workspace
        self._in_thread = in_thread

    def run(self, use: ToolUse) -> Deferred[ToolOutput]:
        """See `ports.Tool`. Cancelling closes the connection."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        wanted = arguments(use, FetchArguments)
        shape = wanted.format.lower()
        if not wanted.url:
            raise Refused("URL parameter is required")
        if shape not in FORMATS:
            raise Refused("Format must be one of: text, markdown, html")
        check_scheme(wanted.url)
        if not await self._permissions.ask(self._asked(use, wanted)):
            return denied()
        try:
            return ToolOutput(content=await self._content(wanted, shape))
        except WebFailed as error:
            raise Refused(f"failed to fetch URL: {error}") from error

    def _asked(self, use: ToolUse, wanted: FetchArguments) -> Ask:
        return Ask(
            session_id=use.session_id,
            tool_call_id=use.call.id,
            tool_name="fetch",
            action="fetch",
            description=f"Fetch content from URL: {wanted.url}",
            path=self._workspace,
            params={"url": wanted.url, "format": wanted.format, **timeout_param(wanted.timeout)},
        )

    async def _content(self, wanted: FetchArguments, shape: str) -> str:
        seconds = limited(wanted.timeout, SECONDS, LONGEST_TIMEOUT_S)
        answer, body = await self._web.get(WebRequest(url=wanted.url, limit=LARGEST, seconds=seconds))
        check_status(answer)
        content: str = await self._in_thread(converted, answer, body, shape)
        return content


def converted(answer: Answer, body: bytes, shape: str) -> str:
    """What the model gets of a body, as text, markdown or html. For a thread. Raises `Refused`."""
    page = decoded(answer, body)
    if page is None:
        raise Refused("Response content is not valid UTF-8")
    if is_html(answer):
        page = _document(page, shape)
    if shape == "markdown":
        page = f"```\n{page}\n```"
    encoded = page.encode("utf-8", "replace")
    if len(encoded) < LARGEST:
        return page
    return encoded[:LARGEST].decode("utf-8", "ignore") + f"\n\n[Content truncated to {LARGEST} bytes]"


def _document(page: str, shape: str) -> str:
    from txcrush.adapters.web.documents import body_of, markdown_of, text_of  # its libraries are large

    if shape == "text":
        return text_of(page)
    if shape == "markdown":
        return markdown_of(page)
    body = body_of(page)
    if not body:
        raise Refused("No body content found in HTML")
    return f"<html>\n<body>\n{body}\n</body>\n</html>"


def check_scheme(url: str) -> None:
    """Raises `Refused` for what is no address of the web."""
    if not url.startswith(("http://", "https://")):
        raise Refused("URL must start with http:// or https://")


def check_status(answer: Answer) -> None:
    """Raises `Refused` for an answer that is none."""
    if answer.status != 200:
        raise Refused(f"Request failed with status code: {answer.status}")


def limited(timeout: float, seconds: float, longest: float) -> float:
    """The time limit in seconds: a timeout can only shorten it."""
    return min(seconds, longest, timeout) if timeout > 0 else seconds


def timeout_param(timeout: float) -> dict[str, object]:
    """As it is shown to clients: left out where it is nothing."""
    return {"timeout": int(timeout)} if int(timeout) else {}


def _conforms(tool: Fetch) -> Tool:
    return tool
