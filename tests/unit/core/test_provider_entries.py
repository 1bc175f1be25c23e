from collections.abc import Mapping

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.catalogue import CATALOGUE
from txcrush.core.provider_entries import unlisted_providers, with_found_models, with_offline, with_usable_providers
from txcrush.model.config import Config, Model, Options, ProviderConfig, SelectedModel, Token, TuiOptions
from txcrush.model.errors import ConfigInvalid


def a_model(model_id: str, max_tokens: int = 4096) -> Model:
    return Model(
        id=model_id,
        name=model_id,
        cost_per_1m_in=0,
        cost_per_1m_out=0,
        cost_per_1m_in_cached=0,
        cost_per_1m_out_cached=0,
        context_window=0,
        default_max_tokens=max_tokens,
        can_reason=False,
        supports_attachments=False,
    )


def a_config(**providers: ProviderConfig) -> Config:
    return Config(providers=providers, options=Options(tui=TuiOptions()))


ENV = {"KEY": "s3cret", "OPENAI_API_KEY": "s3cret"}
GOOD = ProviderConfig(base_url="http://127.0.0.1/v1", api_key="$KEY", models=(a_model("m"),))


class UsableProvidersTests(SynchronousTestCase):
    def usable(
        self, provider: ProviderConfig, name: str = "mine", env: Mapping[str, str] = ENV, catalogue: bool = True
    ) -> tuple[ProviderConfig | None, list[str]]:
        warnings: list[str] = []
        config = with_usable_providers(
            a_config(**{name: provider}), CATALOGUE if catalogue else (), env, warnings.append
        )
        self.assertNotIn("s3cret", "".join(warnings))
        return config.providers.get(name), warnings

    def test_a_custom_provider_gets_its_id_name_and_type_and_keeps_its_templates(self) -> None:
        found, warnings = self.usable(GOOD)
        self.assertEqual(found, replace(GOOD, id="mine", name="mine", type="openai-compat"))
        self.assertEqual(warnings, [])

    def test_models_of_a_custom_provider_are_kept_as_they_are(self) -> None:
        twice = (replace(a_model("m"), name=""), a_model("m"))
        found, _ = self.usable(replace(GOOD, models=twice))
        assert found is not None
        self.assertEqual(found.models, twice)

    def test_a_custom_provider_that_cannot_be_asked_is_dropped_with_a_warning(self) -> None:
        broken = {
            "type weird is unknown": replace(GOOD, type="weird"),
            "is disabled": replace(GOOD, disable=True),
            "has no base_url": replace(GOOD, base_url=""),
            "lists no models": replace(GOOD, models=()),
            "base_url is empty": replace(GOOD, base_url="$NOWHERE"),
            "base_url cannot be expanded": replace(GOOD, base_url="$(id)"),
        }
        for reason, provider in broken.items():
            found, warnings = self.usable(provider)
            self.assertIsNone(found, reason)
            self.assertIn(reason, warnings[0])

    def test_a_missing_key_of_a_custom_provider_only_warns(self) -> None:
        for template in ("", "$NO", "${NO:?x}"):
            found, warnings = self.usable(replace(GOOD, api_key=template))
            self.assertIsNotNone(found)
            self.assertEqual(len(warnings), 1)

    def test_a_known_provider_needs_only_a_key_and_models(self) -> None:
        own = ProviderConfig(api_key="$OPENAI_API_KEY", type="anthropic", models=(replace(a_model("gpt"), name=""),))
        found, warnings = self.usable(own, "openai")
        assert found is not None
        self.assertEqual((found.name, found.type, found.id), ("OpenAI", "openai", "openai"))
        self.assertIn("api.openai.com/v1", found.base_url)
        self.assertEqual(found.api_key, "$OPENAI_API_KEY")
        self.assertEqual([model.name for model in found.models], ["gpt"])
        self.assertEqual(warnings, [])

    def test_a_known_provider_has_each_model_once_the_first_wins(self) -> None:
        models = (a_model("a", 1), a_model("b"), a_model("a", 2))
        found, _ = self.usable(ProviderConfig(models=models), "openai")
        assert found is not None
        self.assertEqual([(each.id, each.default_max_tokens) for each in found.models], [("a", 1), ("b", 4096)])

    def test_a_known_provider_without_a_key_is_dropped(self) -> None:
        found, warnings = self.usable(ProviderConfig(models=(a_model("m"),)), "openai", env={})
        self.assertIsNone(found)
        self.assertIn("OPENAI_API_KEY", warnings[0])

    def test_a_subscription_login_of_anthropic_is_dropped(self) -> None:
        env = {"ANTHROPIC_API_KEY": "s3cret"}
        keyed = ProviderConfig(models=(a_model("m"),))
        found, _ = self.usable(keyed, "anthropic", env)
        assert found is not None
        self.assertEqual((found.type, found.api_key), ("anthropic", "$ANTHROPIC_API_KEY"))
        found, warnings = self.usable(
            replace(keyed, oauth=Token(access_token="t", expires_in=1, expires_at=1)), "anthropic", env
        )
        self.assertIsNone(found)
        self.assertIn("set an api_key", warnings[0])

    def test_a_disabled_known_provider_stays_in_the_list(self) -> None:
        found, _ = self.usable(ProviderConfig(disable=True), "openai", env={})
        assert found is not None
        self.assertTrue(found.disable)

    def test_without_the_catalogue_a_known_id_is_a_custom_one(self) -> None:
        found, warnings = self.usable(ProviderConfig(models=(a_model("m"),)), "openai", catalogue=False)
        self.assertIsNone(found)
        self.assertIn("has no base_url", warnings[0])

    def test_headers_are_expanded_and_empty_ones_dropped(self) -> None:
        found, _ = self.usable(replace(GOOD, extra_headers={"A": "Bearer $KEY", "B": "$NO"}))
        assert found is not None
        self.assertEqual(found.extra_headers, {"A": "Bearer s3cret"})

    def test_a_header_that_cannot_be_expanded_fails_the_load(self) -> None:
        with self.assertRaises(ConfigInvalid) as caught:
            self.usable(replace(GOOD, extra_headers={"X": "${NO:?need NO}"}))
        self.assertIn(
            'failed to configure providers: resolving provider mine header "X": '
            'resolving "${NO:?need NO}": NO: need NO',
            caught.exception.message,
        )

    def test_the_offline_provider_is_large_and_small(self) -> None:
        offline = ProviderConfig(id="offline", models=(a_model("echo", 7),))
        config = with_offline(a_config(), offline)
        choice = SelectedModel("echo", "offline", max_tokens=7)
        self.assertEqual(config.models, {"large": choice, "small": choice})
        self.assertEqual(config.providers, {"offline": offline})


class FoundModelsTests(SynchronousTestCase):
    def asked(self, provider: ProviderConfig, name: str = "mine") -> list[ProviderConfig]:
        return unlisted_providers(a_config(**{name: provider}), CATALOGUE, ENV)

    def test_own_providers_without_models_are_asked_with_their_headers(self) -> None:
        bare = replace(GOOD, models=(), extra_headers={"A": "$KEY"})
        self.assertEqual(self.asked(bare), [replace(bare, id="mine", extra_headers={"A": "s3cret"})])

    def test_who_is_not_asked(self) -> None:
        bare = replace(GOOD, models=())
        for quiet in (
            GOOD,
            replace(bare, discover_models=False),
            replace(bare, disable=True),
            replace(bare, base_url=""),
        ):
            self.assertEqual(self.asked(quiet), [])
        self.assertEqual(self.asked(bare, "openai"), [])
        self.assertEqual(len(self.asked(replace(GOOD, discover_models=True))), 1)

    def test_what_is_found_stands_behind_what_is_listed(self) -> None:
        config = with_found_models(a_config(mine=GOOD, other=GOOD), {"mine": ["new", "m"]})
        self.assertEqual(
            [(each.id, each.name) for each in config.providers["mine"].models], [("m", "m"), ("new", "new")]
        )
        self.assertEqual(config.providers["other"], GOOD)
