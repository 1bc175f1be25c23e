"""What the files of a project may say before somebody has trusted it.

A checked-out repository is a stranger: it may not add or redirect providers, start programs, widen permissions, set
variables, or point at files outside itself. The rest of its configuration applies at once.
"""

from collections.abc import Mapping

from txcrush.core.dotted_keys import path_of

NEEDS_TRUST = ("providers", "hooks", "mcp", "lsp", "permissions", "env")
_PATH_LISTS = ("context_paths", "global_context_paths", "skills_paths")


def without_trust(project: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """What of a project's configuration applies untrusted, and the dotted keys that were left out."""
    left_out = [key for key in NEEDS_TRUST if project.get(key)]
    kept = {key: value for key, value in project.items() if key not in NEEDS_TRUST}
    for key, restrict in (("models", _harmless_models), ("options", _harmless_options)):
        section = kept.get(key)
        if isinstance(section, dict):
            kept[key], dropped = restrict(section)
            left_out.extend(f"{key}.{name}" for name in dropped)
    return kept, left_out


def _harmless_models(models: dict[str, object]) -> tuple[dict[str, object], list[str]]:
    """A choice among what is configured; its free-form options would go into the request body."""
    kept, dropped = {}, []
    for slot, choice in models.items():
        if isinstance(choice, dict) and choice.get("provider_options"):
            dropped.append(path_of(slot, "provider_options"))
            choice = {key: value for key, value in choice.items() if key != "provider_options"}
        kept[slot] = choice
    return kept, dropped


def _harmless_options(options: dict[str, object]) -> tuple[dict[str, object], list[str]]:
    kept, dropped = dict(options), []
    for key in _PATH_LISTS:
        paths = options.get(key)
        if isinstance(paths, list) and any(_leads_out(path) for path in paths):
            kept[key] = [path for path in paths if not _leads_out(path)]
            dropped.append(key)
    if _leads_out(options.get("data_directory")):
        del kept["data_directory"]
        dropped.append("data_directory")
    return kept, dropped


def _leads_out(path: object) -> bool:
    if not isinstance(path, str):
        return False
    return path.startswith(("/", "~", "$", "\\")) or ".." in path.replace("\\", "/").split("/") or path[1:2] == ":"
