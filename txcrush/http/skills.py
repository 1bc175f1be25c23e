"""Routes of skills: what there is, and the text of one."""

from txcrush.core.workspaces import Workspaces
from txcrush.http.routing import Call, Reply, json_reply, route
from txcrush.model.errors import Failed
from txcrush.ports import SkillFiles
from txcrush.wire.requests import ReadSkill
from txcrush.wire.skills import SkillContent, SkillInfo, skill_content, skill_info

SKILLS = "/v1/workspaces/<workspace_id>/skills"


class SkillRoutes:
    """One route family."""

    def __init__(self, workspaces: Workspaces, files: SkillFiles) -> None:
        self._workspaces = workspaces
        self._files = files

    @route("GET", SKILLS, answers=list[SkillInfo])
    def list(self, call: Call) -> Reply:
        """List the skills in force."""
        workspace = self._workspaces.get(call.workspace_id)
        return json_reply([skill_info(skill) for skill in workspace.skills.in_force])

    @route("POST", f"{SKILLS}/read", ReadSkill, answers=SkillContent, errors=(Failed,))
    async def read(self, call: Call) -> Reply:
        """Read the file of a skill, as it is now. In base64."""
        workspace = self._workspaces.get(call.workspace_id)
        skill = workspace.skills.get(call.body.skill_id)
        return json_reply(skill_content(skill, await self._files.read(workspace.path, skill)))
