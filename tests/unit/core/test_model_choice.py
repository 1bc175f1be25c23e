from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.catalogue import CATALOGUE, CatalogueEntry
from txcrush.core.model_choice import (
    call_options,
    default_small_model,
    effective_effort,
    remembered,
    with_models,
    with_pins,
)
from txcrush.model.config import Config, Model, ModelOptions, Options, ProviderConfig, SelectedModel, TuiOptions
from txcrush.model.errors import ConfigInvalid

KNOWN = (
    CatalogueEntry("first", "First", "openai", "", "$K", "big", "little"),
    CatalogueEntry("second", "Second", "openai", "", "$K", "big", "little"),
)


def a_model(
    model_id: str,
    max_tokens: int = 4096,
    effort: str = "",
    levels: tuple[str, ...] = (),
    options: ModelOptions | None = None,
) -> Model:
    return Model(
        id=model_id,
        name=model_id,
        cost_per_1m_in=0,
        cost_per_1m_out=0,
        cost_per_1m_in_cached=0,
        cost_per_1m_out_cached=0,
        context_window=0,
        default_max_tokens=max_tokens,
        can_reason=bool(levels),
        reasoning_levels=levels,
        default_reasoning_effort=effort,
        supports_attachments=False,
        options=options,
    )


def a_config(models: dict[str, SelectedModel] | None = None, **providers: ProviderConfig) -> Config:
    return Config(models=models or {}, providers=providers, options=Options(tui=TuiOptions()))


def a_provider(*models: str | Model, disable: bool = False) -> ProviderConfig:
    made = tuple(model if isinstance(model, Model) else a_model(model) for model in models)
    return ProviderConfig(models=made, disable=disable)


FAKE = a_provider("one", "two", a_model("other", 999, "low", ("low", "high")))


class WithModelsTests(SynchronousTestCase):
    def test_without_a_provider_there_are_no_models(self) -> None:
        config = a_config({"large": SelectedModel("m", "p")}, p=a_provider("m", disable=True))
        self.assertEqual(with_models(config, ()).models, {})

    def test_a_custom_provider_gives_its_first_model_to_both_slots(self) -> None:
        models = with_models(a_config(zeta=a_provider("z"), fake=FAKE), KNOWN).models
        self.assertEqual(models["large"], SelectedModel("one", "fake", max_tokens=4096))
        self.assertEqual(models["small"], models["large"])

    def test_a_catalogue_provider_comes_before_custom_ones_in_catalogue_order(self) -> None:
        config = a_config(a=FAKE, second=a_provider("big", "little"), first=a_provider("x", "little"))
        models = with_models(config, KNOWN).models
        self.assertEqual(models["large"].model, "x")
        self.assertEqual(models["small"], SelectedModel("little", "first", max_tokens=4096))

    def test_a_disabled_catalogue_provider_gives_no_default(self) -> None:
        config = a_config(second=a_provider("big", "little"), first=a_provider("big", disable=True))
        self.assertEqual(with_models(config, KNOWN).models["large"].provider, "second")

    def test_a_choice_gets_the_models_limit_and_effort(self) -> None:
        models = with_models(a_config({"large": SelectedModel("other", "fake")}, fake=FAKE), ()).models
        self.assertEqual(models["large"], SelectedModel("other", "fake", reasoning_effort="low", max_tokens=999))

    def test_what_was_chosen_is_kept(self) -> None:
        choice = SelectedModel(
            "other", "fake", "high", think=True, max_tokens=5, temperature=0, provider_options={"a": 1}
        )
        self.assertEqual(with_models(a_config({"large": choice}, fake=FAKE), ()).models["large"], choice)

    def test_a_half_choice_is_completed_from_the_default(self) -> None:
        models = with_models(a_config({"large": SelectedModel("two", "")}, fake=FAKE), ()).models
        self.assertEqual(models["large"], SelectedModel("two", "fake", max_tokens=4096))

    def test_an_unconfigured_choice_gives_way_to_the_default(self) -> None:
        for choice in (SelectedModel("ghost", "fake", max_tokens=7), SelectedModel("one", "ghost")):
            models = with_models(a_config({"large": choice}, fake=FAKE), ()).models
            self.assertEqual(models["large"], SelectedModel("one", "fake", max_tokens=4096))

    def test_small_is_a_full_copy_of_large_for_a_custom_provider(self) -> None:
        large = SelectedModel("two", "fake", think=True, max_tokens=9, top_p=0.5)
        models = with_models(a_config({"large": large}, fake=FAKE), ()).models
        self.assertEqual(models["small"], large)

    def test_small_stays_the_default_of_a_catalogue_provider(self) -> None:
        config = a_config({"large": SelectedModel("big", "first", think=True)}, first=a_provider("big", "little"))
        self.assertEqual(with_models(config, KNOWN).models["small"], SelectedModel("little", "first", max_tokens=4096))

    def test_other_slots_are_kept(self) -> None:
        models = with_models(a_config({"huge": SelectedModel("h", "x")}, fake=FAKE), ()).models
        self.assertEqual(models["huge"], SelectedModel("h", "x"))


class PinTests(SynchronousTestCase):
    def test_a_pin_is_shown_exactly_as_it_was_chosen(self) -> None:
        pin = SelectedModel("ghost", "fake")
        config = with_pins(with_models(a_config(fake=FAKE), ()), {"large": pin})
        self.assertEqual(config.models["large"], pin)
        self.assertEqual(config.models["small"].max_tokens, 4096)

    def test_recent_models_are_five_without_duplicates_newest_first(self) -> None:
        recent = [SelectedModel(name, "p", max_tokens=1) for name in "abcde"]
        after = remembered(recent, SelectedModel("c", "p", think=True))
        self.assertEqual(after, tuple(SelectedModel(name, "p") for name in "cabde"))
        self.assertEqual([each.model for each in remembered(recent, SelectedModel("x", "p"))], list("xabcd"))


class DefaultSmallModelTests(SynchronousTestCase):
    def test_the_catalogues_small_model_where_it_is_configured(self) -> None:
        config = with_models(a_config(first=a_provider("big", a_model("little", 10))), KNOWN)
        self.assertEqual(default_small_model(config, "first", KNOWN), SelectedModel("little", "first", max_tokens=10))

    def test_else_the_large_choice(self) -> None:
        config = with_models(a_config(fake=FAKE, first=a_provider("big")), KNOWN)
        for provider_id in ("", "fake", "unknown", "first"):
            self.assertEqual(default_small_model(config, provider_id, KNOWN), config.models["large"])

    def test_nothing_without_any_model(self) -> None:
        self.assertIsNone(default_small_model(a_config(), "first", KNOWN))


class CallTests(SynchronousTestCase):
    def test_the_effort_in_force_is_one_that_the_model_lists(self) -> None:
        model = a_model("m", effort="medium", levels=("low", "medium"))
        cases = {"low": "low", "max": "medium", "": "medium"}
        for chosen, expected in cases.items():
            self.assertEqual(effective_effort(SelectedModel("m", "p", chosen), model), expected)
        unlisted = a_model("m", effort="x", levels=("low", "high"))
        self.assertEqual(effective_effort(SelectedModel("m", "p"), unlisted), "low")
        self.assertEqual(effective_effort(SelectedModel("m", "p", "low"), a_model("m")), "")

    def test_sampling_numbers_come_from_the_choice_then_the_model(self) -> None:
        model = a_model("m", options=ModelOptions(temperature=0.5, top_p=0.9))
        options = call_options(SelectedModel("m", "p", temperature=0), ProviderConfig(), model)
        self.assertEqual((options.temperature, options.top_p, options.top_k), (0, 0.9, None))

    def test_provider_options_merge_from_model_over_provider_to_choice(self) -> None:
        model = a_model("m", options=ModelOptions(provider_options={"a": 1, "l": [1], "o": {"x": 1}}))
        provider = ProviderConfig(provider_options={"a": 2, "l": [2], "o": {"y": 2}})
        options = call_options(SelectedModel("m", "p", provider_options={"a": 3}), provider, model)
        self.assertEqual(options.provider_options, {"a": 3, "l": [1, 2], "o": {"x": 1, "y": 2}})

    def test_contradicting_provider_options_are_a_configuration_error(self) -> None:
        provider = ProviderConfig(provider_options={"a": 2})
        choice = SelectedModel("m", "p", provider_options={"a": "x"})
        self.assertRaises(ConfigInvalid, call_options, choice, provider, a_model("m"))


class CatalogueTests(SynchronousTestCase):
    def test_every_entry_is_complete_and_ids_are_unique(self) -> None:
        self.assertEqual(len({entry.id for entry in CATALOGUE}), len(CATALOGUE))
        for entry in CATALOGUE:
            self.assertTrue(all((entry.name, entry.type, entry.endpoint, entry.default_large, entry.default_small)))
            self.assertTrue(entry.key_template.startswith("$"))
            self.assertIn("https://", entry.endpoint)
