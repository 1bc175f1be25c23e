"""Skills: instructions that an agent reads when a task asks for them. Each is a directory with a `SKILL.md`."""

import os.path
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

SKILL_FILE = "SKILL.md"


class SkillSource(StrEnum):
    """Who brought a skill: the server itself, the user's directories, the workspace's directory."""

    SYSTEM = "system"
    USER = "user"
    PROJECT = "project"


class SkillHeader(Struct, frozen=True, kw_only=True, rename="kebab"):
    """What stands between the `---` lines of a `SKILL.md`, not judged yet. Keys that are not here are ignored."""

    name: str = ""
    description: str = ""
    user_invocable: bool = False
    disable_model_invocation: bool = False
    license: str = ""
    compatibility: str = ""
    metadata: dict[str, str] = {}


class Skill(Struct, frozen=True, kw_only=True):
    """A usable skill. `path` is its file, absolute or `crush://skills/NAME/SKILL.md`, and serves as its id.

    `user_invocable`: a user may ask for it by name. `model_invocable`: the model is told of it.
    """

    path: str
    source: SkillSource
    name: str
    description: str
    user_invocable: bool = False
    model_invocable: bool = True

    @property
    def label(self) -> str:
        """Source and directory, `project:deploy`."""
        return f"{self.source}:{directory_name(self.path)}"


class BrokenSkill(Struct, frozen=True, kw_only=True):
    """A `SKILL.md` that cannot be used, and why. `name` is empty where it was not found out."""

    path: str
    error: str
    name: str = ""


FoundSkill: TypeAlias = Skill | BrokenSkill


def directory_name(path: str) -> str:
    """The name of the directory that a `SKILL.md` lies in."""
    return os.path.basename(os.path.dirname(path))
