"""What a configuration holds where its files say nothing."""

import os.path
from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from txcrush.model.config import Attribution, Completions, Config, ListLimits, Options, ToolLimits, TuiOptions

CONTEXT_PATHS = (
    ".github/copilot-instructions.md",
    ".cursorrules",
    ".cursor/rules/",
    "CLAUDE.md",
    "CLAUDE.local.md",
    "GEMINI.md",
    "gemini.md",
    "crush.md",
    "crush.local.md",
    "Crush.md",
    "Crush.local.md",
    "CRUSH.md",
    "CRUSH.local.md",
    "AGENTS.md",
    "agents.md",
    "Agents.md",
)
PROJECT_SKILLS = (".agents/skills", ".crush/skills", ".claude/skills", ".cursor/skills")
OUTSIDE_GIT_DEPTH, OUTSIDE_GIT_ITEMS = 2, 100

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))


class Surroundings(Struct, frozen=True, kw_only=True):
    """What the defaults of a workspace depend on. Directories are absolute.

    `path` is the workspace, `project_root` its git root (or itself), `config_dir` the program's own below
    `config_home`, `data_directory` the workspace's, as it was found. `small_listings` is set at the first load of a
    server that was started outside of any git work tree.
    """

    path: str
    project_root: str
    home: str
    config_home: str
    config_dir: str
    data_directory: str
    small_listings: bool
    env: Mapping[str, str]


def with_defaults(config: Config, around: Surroundings) -> Config:
    """The configuration with its defaults. Doing it twice changes nothing."""
    tools = config.tools or ToolLimits()
    if around.small_listings:
        limits = tools.ls or ListLimits()
        tools = replace(tools, ls=ListLimits(*_small(limits.max_depth, limits.max_items)))
    return replace(config, options=_options(config.options, around), tools=tools if tools != ToolLimits() else None)


def data_directory(path: str, *, asked: str, configured: str, found: str) -> str:
    """The absolute data directory of a workspace: what the client asked for, what is configured, what was `found`
    (absolute). A relative one is relative to the workspace, whatever file it comes from."""
    return os.path.normpath(os.path.join(path, asked or configured or found))


def _options(options: Options, around: Surroundings) -> Options:
    defaults = (
        os.path.join(around.config_dir, "CRUSH.md"),
        os.path.join(os.path.dirname(around.config_dir), "AGENTS.md"),
    )
    return replace(
        options,
        global_context_paths=_sorted(options.global_context_paths or defaults),
        data_directory=around.data_directory,
        context_paths=_sorted((*CONTEXT_PATHS, *options.context_paths)),
        skills_paths=tuple(dict.fromkeys((*options.skills_paths, *_skills_paths(around)))),
        disable_provider_auto_update=_switch(
            around.env, "CRUSH_DISABLE_PROVIDER_AUTO_UPDATE", options.disable_provider_auto_update
        ),
        disable_default_providers=_switch(
            around.env, "CRUSH_DISABLE_DEFAULT_PROVIDERS", options.disable_default_providers
        ),
        attribution=_attribution(options.attribution),
        initialize_as=options.initialize_as or "AGENTS.md",
        tui=_tui(options.tui, around),
    )


def _sorted(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(paths), key=lambda path: path.encode("utf-8", "surrogateescape")))


def _skills_paths(around: Surroundings) -> list[str]:
    own = around.env.get("CRUSH_SKILLS_DIR")
    if own:
        everywhere = [own]
    else:
        everywhere = [os.path.join(around.config_home, name, "skills") for name in ("crush", "agents")]
        everywhere += [os.path.join(around.home, name, "skills") for name in (".agents", ".claude")]
    roots = dict.fromkeys((around.path, around.project_root))
    return everywhere + [os.path.join(root, *name.split("/")) for root in roots for name in PROJECT_SKILLS]


def _switch(env: Mapping[str, str], name: str, configured: bool) -> bool:
    """A variable that is set replaces what the files say; what is no boolean means false."""
    return env[name] in _TRUE if name in env else configured


def _attribution(attribution: Attribution | None) -> Attribution:
    if attribution is None:
        return Attribution(trailer_style="assisted-by", generated_with=True)
    if attribution.trailer_style:
        return attribution
    styles = {None: "assisted-by", True: "co-authored-by", False: "none"}
    return replace(attribution, trailer_style=styles[attribution.co_authored_by])


def _tui(tui: TuiOptions, around: Surroundings) -> TuiOptions:
    if around.small_listings:
        limits = tui.completions or Completions()
        tui = replace(tui, completions=Completions(*_small(limits.max_depth, limits.max_items)))
    if tui.transparent is None and around.env.get("TERM_PROGRAM") == "Apple_Terminal":
        tui = replace(tui, transparent=True)
    return tui


def _small(max_depth: int | None, max_items: int | None) -> tuple[int, int]:
    depth = OUTSIDE_GIT_DEPTH if max_depth is None else max_depth
    return depth, OUTSIDE_GIT_ITEMS if max_items is None else max_items
