"""The `crush_info` tool: how the workspace is set up (`tools.md` 28.1)."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from twisted.internet.defer import Deferred

from txcrush.adapters.logs import Redactor
from txcrush.adapters.tools import specs
from txcrush.adapters.tools.info_sections import SetUp, text_of
from txcrush.core.workbench import Workbench
from txcrush.model.config import Config
from txcrush.model.messages import Message, ToolResult
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import InThread, Tool
from txcrush.wire.json import parse_object

_SKILL_READ = '"resource_type":"skill"'
_PRIVATE = frozenset(("env", "headers", "oauth_client_secret", "oauth_token", "client_secret"))
_SHORTEST = 8
"""Characters below which the value of a variable or header is an ordinary word."""


class CrushInfo:
    """The tool. `redact` takes the secrets of the whole server out of a text."""

    spec = specs.described("crush_info", {})

    def __init__(self, bench: Workbench, in_thread: InThread, redact: Callable[[str], str]) -> None:
        self._bench = bench
        self._in_thread = in_thread
        self._redact = redact

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        bench = self._bench
        report = await bench.config_report()
        loaded = await self._in_thread(skills_read, await bench.store.messages(use.session_id))
        config = bench.config()
        set_up = SetUp(
            config=config,
            report=report,
            skills=bench.skills.states,
            loaded=loaded,
            yolo=bench.permissions.policies.skips(use.session_id),
        )
        own = Redactor()
        for secret in secrets_of(config):
            own.add(secret)
        return ToolOutput(content=text_of(set_up, lambda text: self._redact(own.redact(text))))


def skills_read(messages: Sequence[Message]) -> frozenset[str]:
    """The names of the skills that the model has read with `view` in a session of these messages."""
    results = (part for message in messages for part in message.parts if isinstance(part, ToolResult))
    read = (result.metadata for result in results if result.name == "view" and not result.is_error)
    return frozenset(filter(None, (_skill_in(metadata) for metadata in read if _SKILL_READ in metadata)))


def _skill_in(metadata: str) -> str:
    try:
        told = parse_object(metadata)
    except ValueError:
        return ""
    name = told.get("resource_name")
    return name if told.get("resource_type") == "skill" and isinstance(name, str) else ""


def secrets_of(config: Config) -> Iterator[str]:
    """What a configuration holds of keys, tokens, header values and variables; a mere `$NAME` is none."""
    for provider in config.providers.values():
        token = provider.oauth
        yield from _literal((provider.api_key, *((token.access_token, token.refresh_token) if token else ())), 1)
        yield from _literal(provider.extra_headers.values(), _SHORTEST)
    yield from _literal(config.env.values(), _SHORTEST)
    for servers in (config.mcp, config.lsp):
        for entry in servers.values():
            private = [entry[key] for key in _PRIVATE & entry.keys()] if isinstance(entry, dict) else []
            yield from _literal(_texts(private), _SHORTEST)


def _literal(values: Iterable[str], shortest: int) -> Iterator[str]:
    return (value for value in values if len(value) >= shortest and not value.startswith("$"))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _texts(each)


def _conforms(tool: CrushInfo) -> Tool:
    return tool
