"""The `crush_info` tool: what it gathers."""

from msgspec.structs import replace
from twisted.internet.defer import maybeDeferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.agent import SEARCHES
from txcrush.adapters.tools.crush_info import CrushInfo, secrets_of, skills_read
from txcrush.adapters.tools.crush_logs import CrushLogs
from txcrush.adapters.tools.palette import LOOKS_OF_FETCHER
from txcrush.core.workbench import Workbench
from txcrush.model.config import Config, Permissions, Token
from txcrush.model.config_sources import ConfigReport
from txcrush.model.desk import Answerer, Settler
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Message, Role, ToolResult
from txcrush.model.skills import Skill, SkillSource
from txcrush.model.storage import PutMessage
from txcrush.ports import Tool
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import CLIENT, Harness, configuration
from txcrush.testing.scripted_provider import Call
from txcrush.wire.json import encode_text


def read(name: str, *, tool: str = "view", is_error: bool = False, **told: str) -> ToolResult:
    """What a session keeps of a skill that was read."""
    metadata = {"file_path": "/f", "content": "x", "resource_type": "skill", "resource_name": name} | told
    return ToolResult("c0", tool, "text", metadata=encode_text(metadata), is_error=is_error)


def message_of(session_id: SessionId, *results: ToolResult) -> Message:
    return Message(MessageId("m0"), session_id, Role.TOOL, results)


def skill(name: str) -> Skill:
    return Skill(path=f"/skills/{name}/SKILL.md", source=SkillSource.USER, name=name, description="d")


def asked(talk: Conversation) -> str:
    """What the tool says in this conversation."""
    talk.harness.provider.add(Call("c1", "crush_info", "{}"))
    talk.harness.provider.add("end")
    talk.prompt("how are you set up?")
    return next(line for line in talk.lines() if line.startswith("tool: c1")).removeprefix("tool: c1 ")


class Infos(SynchronousTestCase):
    def told(self, *results: ToolResult, config: Config | None = None, yolo: bool = False) -> str:
        harness = Harness(config=config, tools=self.tools)
        harness.skill_files.found = [skill("cook"), skill("sing")]
        talk = Conversation(harness)
        now(talk.workspace.permissions.policies.switch(yolo, Answerer(Settler.CLIENT, CLIENT)))
        if results:
            now(talk.store.write(PutMessage(message_of(talk.session_id, *results))))
        return asked(talk)

    def test_t_info_01_who_is_not_asked(self) -> None:
        self.assertIn("[permissions]\nmode = yolo\n\n", self.told(yolo=True))

    def tools(self, bench: Workbench) -> list[Tool]:
        return [CrushInfo(bench, maybeDeferred, lambda text: text)]

    def test_t_info_01_the_configuration_of_now(self) -> None:
        told = self.told(config=replace(configuration(), permissions=Permissions(allowed_tools=("view",))))
        self.assertIn("[model]\nlarge = large (scripted)\nsmall = small (scripted)\n", told)
        self.assertIn("[permissions]\nallowed_tools = view\n", told)
        self.assertIn("[options]\ndata_directory = /project/.crush\n", told)

    def test_t_info_03_keys_in_hooks_are_left_out(self) -> None:
        config = configuration()
        provider = replace(config.providers["scripted"], api_key="sk-canary")
        hooks: dict[str, object] = {"PreToolUse": [{"command": "curl -H sk-canary host"}]}
        told = self.told(config=replace(config, providers={"scripted": provider}, hooks=hooks))
        self.assertIn("PreToolUse = curl -H [redacted] host", told)

    def test_t_info_04_what_has_become_of_the_files(self) -> None:
        harness = Harness(tools=self.tools)
        report = ConfigReport(files=("/u/crush.json",), missing=("/u/crush.json",))
        harness.config_files.report = lambda _sources: succeed(report)  # type: ignore[method-assign]
        expected = "[config_files]\n/u/crush.json\n\n[config]\ndirty = true\nmissing_paths = /u/crush.json\n\n"
        self.assertTrue(asked(Conversation(harness)).startswith(expected))

    def test_t_info_05_skills_that_this_session_has_read(self) -> None:
        told = self.told(read("sing"), read("gone"))
        self.assertIn("loaded_this_session = 1/2\ncook = user, unloaded\nsing = user, loaded\n", told)


class Offers(SynchronousTestCase):
    def test_only_the_main_agent_has_the_tools_about_the_server(self) -> None:
        own = {CrushInfo.spec.name, CrushLogs.spec.name}
        self.assertEqual(own & (SEARCHES | LOOKS_OF_FETCHER), set())

    def test_t_info_01_it_takes_no_parameters(self) -> None:
        self.assertEqual((CrushInfo.spec.properties, CrushInfo.spec.required), ({}, ()))


class SkillsRead(SynchronousTestCase):
    def test_only_skills_that_view_has_shown_count(self) -> None:
        results = (
            read("cook"),
            read("failed", is_error=True),
            read("other", tool="edit"),
            read("file", resource_type="file"),
            read("x", resource_type="file", content='"resource_type":"skill"'),
            ToolResult("c0", "view", "text", metadata='{"resource_type":"skill",'),
        )
        self.assertEqual(skills_read([message_of(SessionId("s"), *results)]), {"cook"})


class Secrets(SynchronousTestCase):
    def test_t_info_03_keys_tokens_headers_and_variables(self) -> None:
        config = configuration()
        provider = replace(
            config.providers["scripted"],
            api_key="key",
            oauth=Token(access_token="access", refresh_token="refresh", expires_in=1, expires_at=1),
            extra_headers={"X": "a-long-header", "Y": "short"},
        )
        named = replace(config.providers["scripted"], api_key="$KEY")
        servers: dict[str, object] = {
            "m": {"url": "not-private", "headers": {"A": "mcp-header"}, "oauth_token": {"access_token": "mcp-token"}},
            "odd": 3,
        }
        config = replace(config, providers={"a": provider, "b": named}, mcp=servers, env={"A": "variable", "B": "true"})
        self.assertEqual(
            set(secrets_of(config)),
            {"key", "access", "refresh", "a-long-header", "mcp-header", "mcp-token", "variable"},
        )
