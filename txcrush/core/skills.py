"""Which of the skills that were found a workspace has, and what the model is told of them.

Found skills come in order of precedence: a later one replaces an earlier one of the same name, so a user's skill
replaces one that the server brings.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from xml.sax.saxutils import escape

from txcrush.model.errors import Failed
from txcrush.model.skills import BrokenSkill, FoundSkill, Skill, SkillHeader, SkillSource, directory_name

MAX_NAME, MAX_DESCRIPTION, MAX_COMPATIBILITY = 64, 1024, 500
"""Bytes of UTF-8."""

MAX_LIST = 64 * 1024
"""Characters of the list in the system prompt; it is sent with every step of every run."""

_NAME = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_QUOTES = {'"': "&quot;", "'": "&#39;"}
_RULES = """\
When a task matches a skill's description, read the whole file at its location with the view tool before you act, and
follow it. Files that a skill names lie beside its own. Do not guess from the description what a skill says."""


def judged(path: str, source: SkillSource, header: SkillHeader) -> FoundSkill:
    """The skill that a header describes, or what is wrong with it, one line for each fault."""
    faults = [*_name_faults(header.name, directory_name(path)), *_text_faults(header)]
    if faults:
        return BrokenSkill(path=path, name=header.name[:MAX_NAME], error="\n".join(faults))
    return Skill(
        path=path,
        source=source,
        name=header.name,
        description=header.description,
        user_invocable=header.user_invocable,
        model_invocable=not header.disable_model_invocation,
    )


def by_path(found: Iterable[FoundSkill]) -> list[FoundSkill]:
    """In the reference's order, which is also that of precedence: path, then name, letter case aside."""
    return sorted(found, key=lambda skill: (skill.path.lower(), skill.name.lower()))


def effective(found: Iterable[FoundSkill]) -> list[FoundSkill]:
    """Of equal names the last, and everything without a name, by path."""
    return by_path({skill.name or f"/{skill.path}": skill for skill in found}.values())


def usable(found: Iterable[FoundSkill], disabled: Collection[str]) -> list[Skill]:
    """The skills that are in force, by path. One that is broken hides none that works."""
    working = effective(skill for skill in found if isinstance(skill, Skill))
    return [skill for skill in working if isinstance(skill, Skill) and skill.name not in disabled]


def prompt_list(skills: Iterable[Skill]) -> str:
    """The skills that the model may choose to read, as text for the system prompt; empty without any."""
    entries = [_entry(skill) for skill in skills if skill.model_invocable]
    if not entries:
        return ""
    kept, left = [], MAX_LIST
    for entry in entries:
        left -= len(entry)
        if left < 0:
            break
        kept.append(entry)
    if len(kept) < len(entries):
        kept.append(f"[{len(entries) - len(kept)} more skills were left out: the list is too long]")
    return "\n".join(("<available_skills>", *kept, "</available_skills>", _RULES))


def _name_faults(name: str, directory: str) -> list[str]:
    if not name:
        return ["name is required"]
    faults = []
    if len(name.encode()) > MAX_NAME:
        faults.append(f"name exceeds {MAX_NAME} characters")
    if not _NAME.fullmatch(name):
        faults.append("name must be alphanumeric with hyphens, no leading/trailing/consecutive hyphens")
    if name.lower() != directory.lower():
        faults.append(f'name "{name[:MAX_NAME]}" must match directory "{directory}"')
    return faults


def _text_faults(header: SkillHeader) -> list[str]:
    faults = []
    if not header.description:
        faults.append("description is required")
    for field, text, limit in (
        ("description", header.description, MAX_DESCRIPTION),
        ("compatibility", header.compatibility, MAX_COMPATIBILITY),
    ):
        if len(text.encode()) > limit:
            faults.append(f"{field} exceeds {limit} characters")
    return faults


def _entry(skill: Skill) -> str:
    fields = {"name": skill.name, "description": skill.description, "location": skill.path}
    if skill.source is SkillSource.SYSTEM:
        fields["type"] = "builtin"
    lines = (f"<{field}>{escape(text, _QUOTES)}</{field}>" for field, text in fields.items())
    return "\n".join(("<skill>", *lines, "</skill>"))


class Skills:
    """One workspace's skills, as they were when they were last looked for.

    `find` looks for them; `disabled` are the names that the configuration of now hides.
    """

    def __init__(
        self, find: Callable[[], Awaitable[Sequence[FoundSkill]]], disabled: Callable[[], Collection[str]]
    ) -> None:
        self._find = find
        self._disabled = disabled
        self._found: Sequence[FoundSkill] = ()

    async def refresh(self) -> None:
        """Look for them anew."""
        self._found = await self._find()

    async def for_prompt(self) -> str:
        """Look for them anew, and list them for the system prompt."""
        await self.refresh()
        return prompt_list(self.in_force)

    @property
    def in_force(self) -> list[Skill]:
        """What users and the model may use, by path."""
        return usable(self._found, self._disabled())

    @property
    def states(self) -> list[FoundSkill]:
        """What was found, working or broken, hidden by the configuration or not, by path."""
        return effective(self._found)

    def get(self, skill_id: str) -> Skill:
        """Raises `Failed`."""
        for skill in self.in_force:
            if skill.path == skill_id:
                return skill
        raise Failed(f"skill not found: {skill_id}")
