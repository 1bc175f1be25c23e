"""What a shell finds in its environment."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.shell_environment import OURS, QUIET, STRIPPED, environment


class Environment(SynchronousTestCase):
    def test_t_sh_01_the_forced_values_are_there_even_with_an_empty_environment(self) -> None:
        self.assertEqual(
            environment({}),
            {
                "CRUSH": "1",
                "AGENT": "crush",
                "AI_AGENT": "crush",
                "TERM": "xterm-256color",
                "GIT_EDITOR": "false",
                "EDITOR": "false",
                "VISUAL": "false",
                "JJ_EDITOR": "false",
                "JJ_PAGER": "cat",
                "GIT_PAGER": "cat",
                "PAGER": "cat",
            },
        )

    def test_t_sh_01_values_are_replaced_others_kept_and_the_input_is_not_touched(self) -> None:
        given = {"EDITOR": "nvim", "PAGER": "less", "EDITORIAL": "x", "GITHUB_TOKEN": "t", "HOME": "/h"}
        before = dict(given)
        made = environment(given)
        self.assertEqual((made["EDITOR"], made["PAGER"]), ("false", "cat"))
        self.assertEqual((made["EDITORIAL"], made["GITHUB_TOKEN"], made["HOME"]), ("x", "t", "/h"))
        made["HOME"] = "/elsewhere"
        self.assertEqual(given, before)

    def test_t_sh_02_all_three_names_are_stripped_and_nothing_else(self) -> None:
        given = dict.fromkeys((*STRIPPED, "HERDR_OTHER", "MY_HERDR_ENV"), "1")
        self.assertEqual(environment(given).keys() - OURS.keys() - QUIET.keys(), {"HERDR_OTHER", "MY_HERDR_ENV"})

    def test_provider_keys_and_our_own_variables_are_not_there(self) -> None:
        made = environment({"OPENAI_API_KEY": "sk", "TXCRUSH_TOKEN": "t", "PATH": "/bin"}, {"OPENAI_API_KEY"})
        self.assertEqual(made.keys() - OURS.keys() - QUIET.keys(), {"PATH"})

    def test_a_key_that_is_withheld_is_not_there_under_another_name(self) -> None:
        made = environment({"MINE": "sk-literal", "PATH": "/bin"}, {"sk-literal"})
        self.assertEqual(made.keys() - OURS.keys() - QUIET.keys(), {"PATH"})
