"""A workspace's set-up as text in sections, for a model (`tools.md` 28.1).

Everything is sorted by name, so that the same set-up gives the same text. Where a section is about something that this
version does not run yet (language servers, MCP servers), it tells what is configured.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from txcrush.model.config import Config
from txcrush.model.config_sources import ConfigReport
from txcrush.model.skills import FoundSkill, Skill, SkillSource

MAX_LINES, MAX_LINE = 500, 500
"""Lines of a section, characters of a line: a configuration may hold anything."""

_HOOK_TIMEOUT_S = 30
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
_USER_INFO = re.compile(r"(?<=://)[^/?#@\s]*@")

Lines = Iterable[str]


class SetUp(Struct, frozen=True, kw_only=True):
    """What there is to tell. `skills` are all that were found, `loaded` the names of those that the session has read;
    `yolo`: its requests are not asked about."""

    config: Config
    report: ConfigReport
    skills: Sequence[FoundSkill] = ()
    loaded: Collection[str] = ()
    yolo: bool = False


def text_of(set_up: SetUp, redact: Callable[[str], str]) -> str:
    """The sections, each ended by a blank line. `redact` takes known secrets out of what users have written freely."""
    config = set_up.config
    sections = {
        "model": _models(config),
        "providers": _providers(config),
        "lsp_configured": _servers(config.lsp),
        "mcp_configured": _servers(config.mcp),
        "skills": _skills(set_up),
        "hooks": _hooks(config.hooks, redact),
        "permissions": _permissions(set_up),
        "tools": _listed("disabled", config.options.disabled_tools),
        "options": _options(config),
        "attribution": _attribution(config),
    }
    always = {"config_files": set_up.report.files, "config": _state(set_up.report)}
    shown = [_section(name, lines) for name, lines in always.items()]
    return "".join((*shown, *(_section(name, lines) for name, each in sections.items() if (lines := list(each)))))


def _section(name: str, lines: Lines) -> str:
    every = [_on_one_line(line) for line in lines]
    if len(every) > MAX_LINES:
        every = [*every[:MAX_LINES], f"({len(every) - MAX_LINES} more)"]
    return "\n".join((f"[{name}]", *every, "", ""))


def _on_one_line(text: str) -> str:
    line = _BREAKS.sub(" ", text)
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…"


def _listed(name: str, values: Iterable[str]) -> Iterator[str]:
    if every := sorted(set(values)):
        yield f"{name} = {', '.join(every)}"


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _state(report: ConfigReport) -> Iterator[str]:
    yield f"dirty = {_truth(report.dirty)}"
    yield from _listed("changed_paths", report.changed)
    yield from _listed("missing_paths", report.missing)
    yield from _listed("errors", report.errors)


def _models(config: Config) -> Iterator[str]:
    for slot in ("large", "small"):
        if choice := config.models.get(slot):
            yield f"{slot} = {choice.model} ({choice.provider})"


def _providers(config: Config) -> Iterator[str]:
    for provider_id, provider in sorted(config.providers.items()):
        if not provider.disable:
            yield f"{provider_id} = enabled ({len(provider.models)} models)"


def _servers(configured: Mapping[str, object]) -> Iterator[str]:
    for name, entry in sorted(configured.items()):
        is_disabled = isinstance(entry, dict) and entry.get("disabled") is True
        yield f"{name} = {'disabled' if is_disabled else 'not_started'}"


def _skills(set_up: SetUp) -> Iterator[str]:
    disabled = set_up.config.options.disabled_skills
    known = {skill.name: skill for skill in set_up.skills if isinstance(skill, Skill)}
    active = known.keys() - set(disabled)
    loaded = active & set(set_up.loaded)
    if known:
        yield f"loaded_this_session = {len(loaded)}/{len(active)}"
    for name, skill in sorted(known.items()):
        origin = "builtin" if skill.source is SkillSource.SYSTEM else "user"
        state = "loaded" if name in loaded else "unloaded" if name in active else "disabled"
        yield f"{name} = {origin}, {state}"


def _hooks(configured: Mapping[str, object], redact: Callable[[str], str]) -> Iterator[str]:
    for event, hooks in sorted(configured.items()):
        for hook in hooks if isinstance(hooks, list) else ():
            if isinstance(hook, dict) and isinstance(hook.get("command"), str):
                yield redact(_USER_INFO.sub("[redacted]@", _hook(event, hook)))


def _hook(event: str, hook: Mapping[str, object]) -> str:
    matcher, timeout = hook.get("matcher"), hook.get("timeout")
    named = f"{event} (matcher: {matcher})" if isinstance(matcher, str) and matcher else event
    is_own = isinstance(timeout, int) and timeout > 0 and timeout != _HOOK_TIMEOUT_S
    return f"{named} = {hook['command']}" + (f" (timeout: {timeout}s)" if is_own else "")


def _permissions(set_up: SetUp) -> Iterator[str]:
    if set_up.yolo:
        yield "mode = yolo"
    permissions = set_up.config.permissions
    yield from _listed("allowed_tools", permissions.allowed_tools if permissions else ())


def _options(config: Config) -> Iterator[str]:
    options = config.options
    if options.auto_lsp is not None:
        yield f"auto_lsp = {_truth(options.auto_lsp)}"
    if options.disable_auto_summarize:
        yield "auto_summarize = false"
    if options.data_directory:
        yield f"data_directory = {options.data_directory}"
    if options.debug:
        yield "debug = true"


def _attribution(config: Config) -> Iterator[str]:
    attribution = config.options.attribution
    if attribution is None:
        return
    if attribution.trailer_style:
        yield f"trailer_style = {attribution.trailer_style}"
    yield f"generated_with = {_truth(attribution.generated_with)}"
