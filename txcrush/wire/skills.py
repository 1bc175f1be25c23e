"""Skills on the wire (`protocol.md` 5.2, 5.11, 6.12)."""

from msgspec import Struct

from txcrush.model.skills import BrokenSkill, FoundSkill, Skill, SkillSource
from txcrush.wire.v1 import SkillState

STATE_NORMAL, STATE_ERROR = 0, 1


class SkillInfo(Struct):
    id: str
    name: str
    description: str
    label: str
    source: str
    user_invocable: bool


class SkillResult(Struct):
    name: str
    description: str
    source: str
    builtin: bool


class SkillContent(Struct):
    """`content` is the file; in JSON it is base64."""

    content: bytes
    result: SkillResult


def skill_state(found: FoundSkill) -> SkillState:
    if isinstance(found, BrokenSkill):
        return SkillState(found.name, found.path, STATE_ERROR, found.error)
    return SkillState(found.name, found.path, STATE_NORMAL)


def skill_info(skill: Skill) -> SkillInfo:
    return SkillInfo(
        id=skill.path,
        name=skill.name,
        description=skill.description,
        label=skill.label,
        source=skill.source,
        user_invocable=skill.user_invocable,
    )


def skill_content(skill: Skill, content: bytes) -> SkillContent:
    is_builtin = skill.source is SkillSource.SYSTEM
    return SkillContent(content, SkillResult(skill.name, skill.description, skill.source, is_builtin))
