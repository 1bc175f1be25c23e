from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.config_defaults import Surroundings, data_directory, with_defaults
from txcrush.model.config import Attribution, Completions, Config, ListLimits, Options, ToolLimits, TuiOptions

AROUND = Surroundings(
    path="/w",
    project_root="/w",
    home="/home/me",
    config_home="/home/me/.config",
    config_dir="/home/me/.config/crush",
    data_directory="/w/.crush",
    small_listings=False,
    env={},
)
BARE = Options(tui=TuiOptions())


def options_of(options: Options, around: Surroundings = AROUND) -> Options:
    return with_defaults(Config(providers={}, options=options), around).options


class WithDefaultsTests(SynchronousTestCase):
    def test_context_paths_are_the_sixteen_names_and_the_configured_ones_sorted_bytewise(self) -> None:
        paths = options_of(replace(BARE, context_paths=("docs/x.md", "AGENTS.md", "Zed.md"))).context_paths
        self.assertEqual(len(paths), 18)
        self.assertEqual(list(paths), sorted(paths))
        self.assertEqual(paths[:4], (".cursor/rules/", ".cursorrules", ".github/copilot-instructions.md", "AGENTS.md"))

    def test_configured_global_context_paths_replace_the_default(self) -> None:
        self.assertEqual(
            options_of(BARE).global_context_paths,
            ("/home/me/.config/AGENTS.md", "/home/me/.config/crush/CRUSH.md"),
        )
        self.assertEqual(
            options_of(replace(BARE, global_context_paths=("/b", "/a", "/b"))).global_context_paths, ("/a", "/b")
        )

    def test_skills_paths_are_the_configured_the_users_and_the_projects(self) -> None:
        paths = options_of(replace(BARE, skills_paths=("/mine",)), replace(AROUND, path="/w/sub")).skills_paths
        self.assertEqual(
            paths[:5],
            (
                "/mine",
                "/home/me/.config/crush/skills",
                "/home/me/.config/agents/skills",
                "/home/me/.agents/skills",
                "/home/me/.claude/skills",
            ),
        )
        self.assertEqual(paths[5], "/w/sub/.agents/skills")
        self.assertEqual(paths[9], "/w/.agents/skills")
        self.assertEqual(len(paths), 13)

    def test_a_skills_variable_replaces_the_users_directories(self) -> None:
        paths = options_of(BARE, replace(AROUND, env={"CRUSH_SKILLS_DIR": "/s"})).skills_paths
        self.assertEqual(paths[:2], ("/s", "/w/.agents/skills"))

    def test_switches_in_the_environment_replace_the_files_value(self) -> None:
        on = replace(BARE, disable_default_providers=True)
        self.assertTrue(options_of(on).disable_default_providers)
        for value, expected in (("1", True), ("true", True), ("0", False), ("yes", False), ("", False)):
            around = replace(AROUND, env={"CRUSH_DISABLE_DEFAULT_PROVIDERS": value})
            self.assertIs(options_of(on, around).disable_default_providers, expected)

    def test_attribution(self) -> None:
        cases = (
            (None, Attribution("assisted-by", None, True)),
            (Attribution(), Attribution("assisted-by")),
            (Attribution(co_authored_by=True), Attribution("co-authored-by", True)),
            (Attribution(co_authored_by=False), Attribution("none", False)),
            (Attribution("none", True, True), Attribution("none", True, True)),
        )
        for written, expected in cases:
            self.assertEqual(options_of(replace(BARE, attribution=written)).attribution, expected)

    def test_initialize_as_names_agents_md(self) -> None:
        self.assertEqual(options_of(BARE).initialize_as, "AGENTS.md")
        self.assertEqual(options_of(replace(BARE, initialize_as="X.md")).initialize_as, "X.md")

    def test_listings_are_small_outside_of_git_where_nothing_is_set(self) -> None:
        around = replace(AROUND, small_listings=True)
        config = with_defaults(Config(providers={}, options=BARE), around)
        self.assertEqual(config.tools, ToolLimits(ls=ListLimits(2, 100)))
        self.assertEqual(config.options.tui.completions, Completions(2, 100))
        own = Config(providers={}, options=BARE, tools=ToolLimits(ls=ListLimits(0)))
        self.assertEqual(with_defaults(own, around).tools, ToolLimits(ls=ListLimits(0, 100)))

    def test_inside_git_there_are_no_limits(self) -> None:
        config = with_defaults(Config(providers={}, options=BARE), AROUND)
        self.assertIsNone(config.tools)
        self.assertEqual(config.options.tui, TuiOptions())

    def test_one_terminal_is_transparent_unless_told_otherwise(self) -> None:
        around = replace(AROUND, env={"TERM_PROGRAM": "Apple_Terminal"})
        self.assertIs(options_of(BARE, around).tui.transparent, True)
        self.assertIs(options_of(replace(BARE, tui=TuiOptions(transparent=False)), around).tui.transparent, False)

    def test_doing_it_twice_changes_nothing(self) -> None:
        once = with_defaults(Config(providers={}, options=BARE), replace(AROUND, small_listings=True))
        self.assertEqual(with_defaults(once, replace(AROUND, small_listings=True)), once)


class DataDirectoryTests(SynchronousTestCase):
    def test_the_request_beats_the_file_beats_what_was_found(self) -> None:
        cases = (("a", "b", "/w/a"), ("", "b/../c", "/w/c"), ("", "", "/up/.crush"), ("/x/", "b", "/x"))
        for asked, configured, expected in cases:
            self.assertEqual(data_directory("/w", asked=asked, configured=configured, found="/up/.crush"), expected)
