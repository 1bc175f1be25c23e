"""From a chosen model and a conversation to a request."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.agents import Brain
from txcrush.core.asking import affinity_of, bare_request, model_request, system_turns
from txcrush.model.config import ModelOptions, ProviderConfig, SelectedModel
from txcrush.model.errors import ConfigInvalid
from txcrush.model.ids import SessionId
from txcrush.model.providers import SystemTurn, UserTurn
from txcrush.model.tools import ToolSpec
from txcrush.testing.harness import model
from txcrush.testing.scripted_provider import ScriptedProvider

SESSION = SessionId("a3bb189e-8bf9-4c5b-b7f2-000000000001")
TURNS = [UserTurn("hi")]


def brain(choice: SelectedModel | None = None, config: ProviderConfig | None = None, **of_model: object) -> Brain:
    return Brain(
        choice or SelectedModel("m", "p"), model("m", **of_model), config or ProviderConfig("p"), ScriptedProvider()
    )


class Requests(SynchronousTestCase):
    def test_the_chosen_limit_wins_over_the_models(self) -> None:
        self.assertEqual(model_request(brain(), TURNS, SESSION).max_tokens, 4096)
        chosen = brain(SelectedModel("m", "p", max_tokens=9))
        self.assertEqual(model_request(chosen, TURNS, SESSION).max_tokens, 9)

    def test_a_model_without_a_limit_is_asked_without_one(self) -> None:
        self.assertEqual(model_request(brain(default_max_tokens=0), TURNS, SESSION).max_tokens, 0)

    def test_sampling_is_the_choices_else_the_models_else_not_sent(self) -> None:
        choice = SelectedModel("m", "p", temperature=0.0)
        request = model_request(brain(choice, options=ModelOptions(temperature=0.7, top_k=5)), TURNS, SESSION)
        self.assertEqual((request.temperature, request.top_k, request.top_p), (0.0, 5, None))

    def test_provider_options_are_merged_and_the_choice_wins(self) -> None:
        choice = SelectedModel("m", "p", provider_options={"c": 3})
        config = ProviderConfig("p", provider_options={"b": 2, "c": 2})
        own = ModelOptions(provider_options={"a": 1, "b": 1, "c": 1})
        for request in (
            model_request(brain(choice, config, options=own), TURNS, SESSION),
            bare_request(brain(choice, config, options=own), TURNS, SESSION, 0),
        ):
            self.assertEqual(request.options, {"a": 1, "b": 2, "c": 3})

    def test_options_that_contradict_each_other_are_an_error_of_the_configuration(self) -> None:
        config = ProviderConfig("p", provider_options={"a": {"b": 1}})
        clashing = brain(SelectedModel("m", "p", provider_options={"a": 1}), config)
        self.assertRaises(ConfigInvalid, model_request, clashing, TURNS, SESSION)

    def test_effort_is_in_force_only_where_the_model_can_reason(self) -> None:
        choice = SelectedModel("m", "p", reasoning_effort="high")
        able = brain(choice, can_reason=True, reasoning_levels=("low", "high"))
        self.assertEqual(model_request(able, TURNS, SESSION).reasoning_effort, "high")
        self.assertEqual(model_request(brain(choice), TURNS, SESSION).reasoning_effort, "")

    def test_turns_and_tools_go_as_they_are(self) -> None:
        tool = ToolSpec(name="ls", description="", properties={})
        request = model_request(brain(), TURNS, SESSION, [tool])
        self.assertEqual((request.model, request.turns, request.tools), ("m", (UserTurn("hi"),), (tool,)))

    def test_a_bare_request_has_no_tools_no_sampling_and_the_limit_it_is_given(self) -> None:
        sampling = replace(SelectedModel("m", "p"), temperature=0.5, top_p=0.5, top_k=5)
        request = bare_request(brain(sampling), TURNS, SESSION, 40)
        self.assertEqual((request.tools, request.max_tokens, request.reasoning_effort), ((), 40, ""))
        self.assertEqual((request.temperature, request.top_p, request.top_k), (None, None, None))


class Affinity(SynchronousTestCase):
    def test_requests_of_a_session_share_an_affinity_that_does_not_tell_its_id(self) -> None:
        affinity = affinity_of(SESSION)
        self.assertEqual(model_request(brain(), TURNS, SESSION).affinity, affinity)
        self.assertEqual(bare_request(brain(), TURNS, SESSION, 0).affinity, affinity)
        self.assertRegex(affinity, "^[0-9a-f]{16}$")
        self.assertNotEqual(affinity, affinity_of(SessionId("another")))


class System(SynchronousTestCase):
    def test_the_providers_prefix_comes_first(self) -> None:
        config = ProviderConfig("p", system_prompt_prefix="PREFIX")
        self.assertEqual(system_turns(brain(config=config), "rules"), [SystemTurn("PREFIX"), SystemTurn("rules")])
        self.assertEqual(system_turns(brain(), "rules"), [SystemTurn("rules")])
