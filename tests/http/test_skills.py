"""The routes of skills, and their states in the answers of workspaces, without a socket."""

import base64
import json
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from txcrush.http.routing import build_app
from txcrush.http.skills import SkillRoutes
from txcrush.http.workspaces import WorkspaceRoutes
from txcrush.model.skills import BrokenSkill, Skill, SkillSource
from txcrush.testing.harness import CLIENT, Harness, configuration

COOK = Skill(
    path="/project/.crush/skills/cook/SKILL.md",
    source=SkillSource.PROJECT,
    name="cook",
    description="It cooks.",
    user_invocable=True,
)
JQ = Skill(path="crush://skills/jq/SKILL.md", source=SkillSource.SYSTEM, name="jq", description="About jq.")
BROKEN = BrokenSkill(path="/project/.crush/skills/broken/SKILL.md", error="no YAML frontmatter found")


class SkillRoutesCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = Harness()
        self.harness.skill_files.found = [JQ, COOK, BROKEN]
        self.harness.skill_files.texts = {COOK.path: b"---\nname: cook\n---\n\xff", JQ.path: b"about jq"}
        families: list[object] = [
            WorkspaceRoutes(self.harness.workspaces, lambda _request, config: config, lambda _request: True),
            SkillRoutes(self.harness.workspaces, self.harness.skill_files),
        ]
        self.client = StubTreq(build_app(families, execute).resource())
        created = self.ask("POST", "/v1/workspaces", {"path": "/project", "client_id": CLIENT})
        self.workspace: dict[str, Any] = created[1]
        self.skills = f"/v1/workspaces/{self.workspace['id']}/skills"

    def ask(self, method: str, path: str, body: object = None, raw: bytes | None = None) -> tuple[int, Any]:
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        answer = self.successResultOf(self.client.request(method, f"http://localhost{path}", data=data))
        return answer.code, json.loads(self.successResultOf(self.client.content(answer)))

    def read(self, skill_id: str) -> tuple[int, Any]:
        return self.ask("POST", f"{self.skills}/read", {"skill_id": skill_id})

    def test_a_workspace_answers_with_the_states_of_its_skills(self) -> None:
        states = [
            {"name": "", "path": BROKEN.path, "state": 1, "error": BROKEN.error},
            {"name": "cook", "path": COOK.path, "state": 0},
            {"name": "jq", "path": JQ.path, "state": 0},
        ]
        self.assertEqual(self.workspace["skills"], states)
        self.assertEqual(self.ask("GET", f"/v1/workspaces/{self.workspace['id']}")[1]["skills"], states)
        self.assertEqual(self.ask("GET", "/v1/workspaces")[1][0]["skills"], states)

    def test_p612_the_list_holds_what_is_in_force(self) -> None:
        code, listed = self.ask("GET", self.skills)
        self.assertEqual(code, 200)
        self.assertEqual(
            listed,
            [
                {
                    "id": COOK.path,
                    "name": "cook",
                    "description": "It cooks.",
                    "label": "project:cook",
                    "source": "project",
                    "user_invocable": True,
                },
                {
                    "id": JQ.path,
                    "name": "jq",
                    "description": "About jq.",
                    "label": "system:jq",
                    "source": "system",
                    "user_invocable": False,
                },
            ],
        )

    def test_p612_a_skill_is_read_as_base64_whatever_its_bytes_are(self) -> None:
        code, answer = self.read(COOK.path)
        self.assertEqual(code, 200)
        self.assertEqual(base64.b64decode(answer["content"]), b"---\nname: cook\n---\n\xff")
        self.assertEqual(
            answer["result"], {"name": "cook", "description": "It cooks.", "source": "project", "builtin": False}
        )
        self.assertIs(self.read(JQ.path)[1]["result"]["builtin"], True)

    def test_p612_an_unknown_or_broken_skill_is_a_500_that_names_it(self) -> None:
        for unknown in ("nope", "", "/etc/passwd", BROKEN.path):
            self.assertEqual(self.read(unknown), (500, {"message": f"skill not found: {unknown}"}))

    def test_a_body_that_cannot_be_read_is_a_400(self) -> None:
        code, answer = self.ask("POST", f"{self.skills}/read", raw=b"{")
        self.assertEqual((code, answer), (400, {"message": "failed to decode request"}))

    def test_an_unknown_workspace_is_a_404_on_both_routes(self) -> None:
        missing = (404, {"message": "workspace not found"})
        self.assertEqual(self.ask("GET", "/v1/workspaces/nope/skills"), missing)
        self.assertEqual(self.ask("POST", "/v1/workspaces/nope/skills/read", {"skill_id": COOK.path}), missing)

    def test_a_workspace_without_skills_lists_none(self) -> None:
        self.harness.skill_files.found = []
        bare = self.ask("POST", "/v1/workspaces", {"path": "/other", "client_id": CLIENT})[1]
        self.assertNotIn("skills", bare)
        self.assertEqual(self.ask("GET", f"/v1/workspaces/{bare['id']}/skills"), (200, []))


class Instructions(SynchronousTestCase):
    def test_the_agents_instructions_list_the_skills_of_now(self) -> None:
        harness = Harness(config=configuration())
        workspace = self.successResultOf(harness.open())
        harness.skill_files.found = [COOK]
        crew = self.successResultOf(_prepared(workspace))
        self.assertIn(f"<location>{COOK.path}</location>", crew.instructions)
        self.assertEqual([each.name for each in workspace.skills.in_force], ["cook"])


def _prepared(workspace: Any) -> Any:
    return Deferred.fromCoroutine(workspace.agents.prepare())
