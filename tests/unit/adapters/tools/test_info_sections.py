"""A workspace's set-up as text (`tools.md` 28.1)."""

from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.info_sections import MAX_LINES, SetUp, text_of
from txcrush.model.config import Attribution, Config, Options, Permissions, ProviderConfig, SelectedModel, TuiOptions
from txcrush.model.config_sources import ConfigReport
from txcrush.model.skills import BrokenSkill, FoundSkill, Skill, SkillSource
from txcrush.testing.harness import configuration

UNCHANGED = ConfigReport()
BARE = Config(providers={}, options=Options(tui=TuiOptions()))
MODELS = configuration().providers["scripted"].models


def options(**fields: Any) -> Config:
    return replace(BARE, options=Options(tui=TuiOptions(), **fields))


def told(config: Config = BARE, report: ConfigReport = UNCHANGED, **fields: Any) -> str:
    return text_of(SetUp(config=config, report=report, **fields), lambda text: text.replace("canary", "*"))


def section(name: str, text: str) -> list[str] | None:
    """The lines of a section; None where there is none."""
    found = [each.splitlines()[1:] for each in text.split("\n\n") if each.startswith(f"[{name}]")]
    return found[0] if found else None


def skill(name: str, source: SkillSource = SkillSource.USER) -> Skill:
    return Skill(path=f"/skills/{name}/SKILL.md", source=source, name=name, description="d")


class Sections(SynchronousTestCase):
    def test_t_info_01_a_minimal_configuration_has_no_optional_section(self) -> None:
        self.assertEqual(told(), "[config_files]\n\n[config]\ndirty = false\n\n")

    def test_t_info_01_everything_at_once_in_its_order(self) -> None:
        config = Config(
            models={"small": SelectedModel("s", "p"), "large": SelectedModel("l", "p")},
            providers={
                "zed": ProviderConfig(models=MODELS),
                "off": ProviderConfig(disable=True),
                "acme": ProviderConfig(),
            },
            lsp={"gopls": {"command": "gopls"}, "clangd": {"disabled": True}},
            mcp={"web": {"type": "http"}, "files": {"type": "stdio", "disabled": True}},
            hooks={"PreToolUse": [{"command": "./b.sh", "matcher": "^bash$", "timeout": 5}, {"command": "./a.sh"}]},
            permissions=Permissions(allowed_tools=("view", "bash:execute")),
            options=Options(
                tui=TuiOptions(),
                data_directory="/d",
                debug=True,
                auto_lsp=False,
                disable_auto_summarize=True,
                disabled_tools=("ls", "bash"),
                attribution=Attribution(trailer_style="none", generated_with=True),
            ),
        )
        text = told(config, ConfigReport(files=("/u/crush.json", "/p/crush.json")), skills=[skill("cook")], yolo=True)
        self.assertEqual(
            text,
            "[config_files]\n/u/crush.json\n/p/crush.json\n\n"
            "[config]\ndirty = false\n\n"
            "[model]\nlarge = l (p)\nsmall = s (p)\n\n"
            f"[providers]\nacme = enabled (0 models)\nzed = enabled ({len(MODELS)} models)\n\n"
            "[lsp_configured]\nclangd = disabled\ngopls = not_started\n\n"
            "[mcp_configured]\nfiles = disabled\nweb = not_started\n\n"
            "[skills]\nloaded_this_session = 0/1\ncook = user, unloaded\n\n"
            "[hooks]\nPreToolUse (matcher: ^bash$) = ./b.sh (timeout: 5s)\nPreToolUse = ./a.sh\n\n"
            "[permissions]\nmode = yolo\nallowed_tools = bash:execute, view\n\n"
            "[tools]\ndisabled = bash, ls\n\n"
            "[options]\nauto_lsp = false\nauto_summarize = false\ndata_directory = /d\ndebug = true\n\n"
            "[attribution]\ntrailer_style = none\ngenerated_with = true\n\n",
        )

    def test_t_info_01_permissions_without_yolo(self) -> None:
        config = replace(BARE, permissions=Permissions(allowed_tools=("view",)))
        self.assertEqual(section("permissions", told(config)), ["allowed_tools = view"])
        self.assertIsNone(section("permissions", told(replace(BARE, permissions=Permissions()))))

    def test_t_info_02_the_order_does_not_depend_on_how_it_was_written(self) -> None:
        names = ("b", "a", "c")
        texts = {
            told(
                replace(
                    options(disabled_tools=order, disabled_skills=order),
                    providers={name: ProviderConfig() for name in order},
                    lsp={name: {} for name in order},
                ),
                skills=[skill(name) for name in order],
            )
            for order in (names, names[::-1], ("c", "b", "a"))
        }
        self.assertEqual(len(texts), 1)

    def test_t_info_03_no_key_or_address_is_told(self) -> None:
        provider = ProviderConfig(
            api_key="canary", base_url="http://me:canary@host/v1", extra_headers={"X": "canary"}, models=MODELS
        )
        config = replace(
            BARE,
            providers={"p": provider},
            env={"A": "canary"},
            mcp={"m": {"url": "https://u:canary@h", "headers": {"Authorization": "canary"}, "env": {"K": "canary"}}},
            hooks={"PreToolUse": [{"command": "curl https://me:pass@host -H canary"}]},
        )
        text = told(config)
        self.assertNotIn("canary", text)
        self.assertEqual(section("hooks", text), ["PreToolUse = curl https://[redacted]@host -H *"])

    def test_t_info_04_changed_and_missing_files(self) -> None:
        report = ConfigReport(files=("/a",), changed=("/c", "/b"), missing=("/a",), errors=("/d: denied",))
        self.assertEqual(
            section("config", told(report=report)),
            ["dirty = true", "changed_paths = /b, /c", "missing_paths = /a", "errors = /d: denied"],
        )

    def test_hooks_that_are_no_hooks_are_passed_over(self) -> None:
        config = replace(BARE, hooks={"PreToolUse": [3, {"command": 4}, {"command": "x", "timeout": 30}], "Other": "y"})
        self.assertEqual(section("hooks", told(config)), ["PreToolUse = x"])

    def test_no_value_begins_a_line_of_its_own(self) -> None:
        config = replace(BARE, hooks={"PreToolUse": [{"command": "a\n[permissions]\nmode = yolo"}]})
        self.assertEqual(section("hooks", told(config)), ["PreToolUse = a [permissions] mode = yolo"])

    def test_promise_70_a_section_has_an_end(self) -> None:
        config = replace(BARE, lsp={f"{number:05d}": {} for number in range(MAX_LINES + 9)})
        lines = section("lsp_configured", told(config)) or []
        self.assertEqual((len(lines), lines[-1]), (MAX_LINES + 1, "(9 more)"))


class SkillSections(SynchronousTestCase):
    FOUND: tuple[FoundSkill, ...] = (
        skill("sing", SkillSource.PROJECT),
        skill("jq", SkillSource.SYSTEM),
        skill("crush-config", SkillSource.SYSTEM),
        skill("cook"),
        BrokenSkill(path="/skills/bad/SKILL.md", error="no"),
    )

    def test_t_info_05_states_origins_and_order(self) -> None:
        config = options(disabled_skills=("cook", "jq"))
        text = told(config, skills=self.FOUND, loaded=("sing", "cook", "gone"))
        self.assertEqual(
            section("skills", text),
            [
                "loaded_this_session = 1/2",
                "cook = user, disabled",
                "crush-config = builtin, unloaded",
                "jq = builtin, disabled",
                "sing = user, loaded",
            ],
        )

    def test_t_info_05_no_skills_no_section(self) -> None:
        self.assertIsNone(section("skills", told(skills=self.FOUND[-1:])))
