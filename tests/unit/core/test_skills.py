"""Which skills are in force, and what the model is told of them."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.skills import MAX_LIST, Skills, effective, judged, prompt_list, usable
from txcrush.model.errors import Failed
from txcrush.model.skills import BrokenSkill, FoundSkill, Skill, SkillHeader, SkillSource

NAME_RULE = "name must be alphanumeric with hyphens, no leading/trailing/consecutive hyphens"


def skill(name: str, folder: str = "/w/skills", **changes: object) -> Skill:
    values: dict[str, object] = {
        "path": f"{folder}/{name}/SKILL.md",
        "source": SkillSource.PROJECT,
        "name": name,
        "description": f"About {name}.",
    }
    return Skill(**{**values, **changes})  # type: ignore[arg-type]


def builtin(name: str) -> Skill:
    return skill(name, "crush://skills", source=SkillSource.SYSTEM)


def broken(path: str, name: str = "") -> BrokenSkill:
    return BrokenSkill(path=path, name=name, error="why")


class Judging(SynchronousTestCase):
    def faults(self, header: SkillHeader, directory: str = "cook") -> list[str]:
        found = judged(f"/w/{directory}/SKILL.md", SkillSource.USER, header)
        return found.error.split("\n") if isinstance(found, BrokenSkill) else []

    def test_a_skill_is_what_its_header_says(self) -> None:
        header = SkillHeader(
            name="cook", description="Cooks.", user_invocable=True, disable_model_invocation=True, license="MIT"
        )
        found = judged("/w/cook/SKILL.md", SkillSource.USER, header)
        self.assertEqual(
            found,
            skill(
                "cook",
                "/w",
                source=SkillSource.USER,
                description="Cooks.",
                user_invocable=True,
                model_invocable=False,
            ),
        )

    def test_t_skl_02_a_name_and_a_description_are_required(self) -> None:
        self.assertEqual(self.faults(SkillHeader()), ["name is required", "description is required"])

    def test_t_skl_02_a_name_is_words_joined_by_single_hyphens(self) -> None:
        for name in ("a b", "-a", "a-", "a--b", "a_b", "a.b", "ä", "a\n"):
            self.assertEqual(self.faults(SkillHeader(name=name, description="x"), name.lower()), [NAME_RULE])
        for name in ("a", "A-b-3", "7"):
            self.assertEqual(self.faults(SkillHeader(name=name, description="x"), name), [])

    def test_t_skl_02_a_name_must_match_its_directory_letter_case_aside(self) -> None:
        self.assertEqual(self.faults(SkillHeader(name="Cook", description="x"), "cOOK"), [])
        self.assertEqual(
            self.faults(SkillHeader(name="bake", description="x")), ['name "bake" must match directory "cook"']
        )

    def test_t_skl_02_lengths_are_bounded_in_bytes(self) -> None:
        long = "a" * 65
        self.assertEqual(self.faults(SkillHeader(name=long, description="x"), long), ["name exceeds 64 characters"])
        self.assertEqual(self.faults(SkillHeader(name="cook", description="é" * 512, compatibility="x" * 500)), [])
        self.assertEqual(
            self.faults(SkillHeader(name="cook", description="é" * 513, compatibility="x" * 501)),
            ["description exceeds 1024 characters", "compatibility exceeds 500 characters"],
        )

    def test_a_name_that_is_too_long_is_not_repeated_whole(self) -> None:
        found = judged("/w/cook/SKILL.md", SkillSource.USER, SkillHeader(name="a" * 5000))
        self.assertLess(len(found.name) + len(getattr(found, "error", "")), 500)


class Choosing(SynchronousTestCase):
    def test_t_skl_05_the_last_of_a_name_counts(self) -> None:
        own = skill("jq", "/home/me/skills")
        self.assertEqual(usable([builtin("jq"), own], ()), [own])
        self.assertEqual(effective([builtin("jq"), own]), [own])

    def test_t_skl_03_the_order_is_that_of_the_paths(self) -> None:
        two, one, other = skill("skill-two", "/w/nested"), skill("skill-one"), broken("/w/Other/SKILL.md")
        self.assertEqual(effective([builtin("jq"), one, other, two]), [two, other, one, builtin("jq")])

    def test_every_broken_skill_without_a_name_is_told(self) -> None:
        nameless = [broken("/w/a/SKILL.md"), broken("/w/b/SKILL.md")]
        self.assertEqual(effective(nameless), nameless)
        self.assertEqual(usable(nameless, ()), [])

    def test_a_broken_skill_does_not_take_a_working_one_out_of_force(self) -> None:
        working, damaged = skill("cook", "/w/a"), broken("/w/b/cook/SKILL.md", "cook")
        self.assertEqual(effective([working, damaged]), [damaged])
        self.assertEqual(usable([working, damaged], ()), [working])

    def test_t_skl_05_disabled_names_are_left_out(self) -> None:
        self.assertEqual(usable([skill("cook"), skill("sing")], ("cook", "nobody")), [skill("sing")])


class Telling(SynchronousTestCase):
    def test_t_skl_04_a_skill_is_listed_with_name_description_and_location_escaped(self) -> None:
        text = prompt_list([skill("cook", "/w&w", description="<b> & \"c\" 'd'")])
        self.assertIn(
            "<available_skills>\n<skill>\n<name>cook</name>\n"
            "<description>&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;</description>\n"
            "<location>/w&amp;w/cook/SKILL.md</location>\n</skill>\n</available_skills>\n",
            text,
        )
        self.assertNotIn("builtin", text)

    def test_t_skl_04_a_builtin_is_marked_once(self) -> None:
        text = prompt_list([builtin("jq"), skill("cook")])
        self.assertEqual(text.count("<type>builtin</type>"), 1)
        self.assertIn("<location>crush://skills/jq/SKILL.md</location>\n<type>builtin</type>", text)

    def test_t_skl_04_what_the_model_may_not_invoke_is_hidden_and_nothing_is_said_of_nothing(self) -> None:
        hidden = skill("secret", model_invocable=False)
        self.assertNotIn("secret", prompt_list([hidden, skill("cook")]))
        self.assertEqual(prompt_list([hidden]), "")
        self.assertEqual(prompt_list([]), "")

    def test_a_list_that_is_too_long_is_cut_and_says_so(self) -> None:
        text = prompt_list([skill(f"s{number}", description="x" * 1000) for number in range(100)])
        self.assertLess(len(text), MAX_LIST + 1000)
        self.assertRegex(text, r"\[\d+ more skills were left out: the list is too long\]")


class OfAWorkspace(SynchronousTestCase):
    def setUp(self) -> None:
        self.found: list[FoundSkill] = [builtin("jq"), skill("cook"), broken("/w/x/SKILL.md")]
        self.disabled: tuple[str, ...] = ()
        self.skills = Skills(self.find, lambda: self.disabled)

    def find(self) -> Deferred[Sequence[FoundSkill]]:
        return succeed(tuple(self.found))

    def refresh(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.skills.refresh()))

    def test_t_skl_08_a_disabled_skill_keeps_its_state_and_is_not_in_force(self) -> None:
        self.refresh()
        self.disabled = ("cook",)
        self.assertEqual([each.name for each in self.skills.states], ["cook", "", "jq"])
        self.assertEqual([each.name for each in self.skills.in_force], ["jq"])
        self.assertRaises(Failed, self.skills.get, "/w/skills/cook/SKILL.md")

    def test_a_skill_is_got_by_its_path_only(self) -> None:
        self.refresh()
        self.assertEqual(self.skills.get("/w/skills/cook/SKILL.md"), skill("cook"))
        for unknown in ("cook", "", "/w/x/SKILL.md"):
            error = self.assertRaises(Failed, self.skills.get, unknown)
            self.assertEqual(str(error), f"skill not found: {unknown}")

    def test_instructions_are_made_of_what_is_there_now(self) -> None:
        self.refresh()
        self.found.append(skill("sing"))
        self.assertNotIn("sing", [each.name for each in self.skills.in_force])
        text = self.successResultOf(Deferred.fromCoroutine(self.skills.for_prompt()))
        self.assertIn("<name>sing</name>", text)
        self.assertIn("sing", [each.name for each in self.skills.in_force])
