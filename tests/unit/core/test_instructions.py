"""What models are told: the facts that must be in it, not the words."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core import instructions
from txcrush.core.instructions import Facts, coder_prompt, summary_request, title_request


class Coder(SynchronousTestCase):
    def test_it_names_the_place_the_platform_and_the_day(self) -> None:
        prompt = coder_prompt(Facts("/home/me/project", "linux", "11/24/2026", is_git_repo=True))
        for fact in ("/home/me/project", "linux", "11/24/2026", "Is a git repository: yes"):
            self.assertIn(fact, prompt)

    def test_it_says_where_there_is_no_repository(self) -> None:
        self.assertIn("Is a git repository: no", coder_prompt(Facts("/p", "linux", "1/2/2027")))

    def test_the_notes_of_the_project_come_last(self) -> None:
        prompt = coder_prompt(Facts("/p", "linux", "1/2/2027", context="Project rule: zebra-striped."))
        self.assertTrue(prompt.endswith("Project rule: zebra-striped."))


class Titles(SynchronousTestCase):
    def test_r_title_03_the_rules_of_a_title(self) -> None:
        for rule in ("one line", "50 characters", "language", "quotes", "colon"):
            self.assertIn(rule, instructions.TITLE)
        self.assertTrue(instructions.TITLE.endswith("/no_think"))

    def test_r_title_03_the_request_holds_the_words_and_then_an_empty_thought(self) -> None:
        request = title_request("fix the build")
        self.assertIn("fix the build", request)
        self.assertTrue(request.endswith("<think>\n\n</think>"))


class Summaries(SynchronousTestCase):
    def test_r_sum_04_without_todos_it_is_the_plain_request(self) -> None:
        self.assertEqual(summary_request([]), instructions.SUMMARY_REQUEST)

    def test_r_sum_04_the_todos_are_listed_and_are_to_be_kept(self) -> None:
        request = summary_request(["- [pending] one", "- [completed] two"])
        self.assertIn("- [pending] one\n- [completed] two", request)
        self.assertIn("todos tool", request)

    def test_r_sum_05_a_summary_knows_what_it_is_for(self) -> None:
        for fact in ("only memory", "present state", "files", "next steps", "no\nlimit on length"):
            self.assertIn(fact, instructions.SUMMARY)


class Projects(SynchronousTestCase):
    def test_the_set_up_names_the_file_that_it_writes(self) -> None:
        self.assertIn("AGENTS.md", instructions.INIT_PROJECT.format(name="AGENTS.md"))
