"""Which providers are asked for their models, and what is made of the answers."""

from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.catalogue import CATALOGUE
from txcrush.core.model_lists import to_ask, with_listed
from txcrush.model.config import Config, ProviderConfig
from txcrush.model.errors import ConfigInvalid
from txcrush.testing.harness import configuration

OWN = configuration().providers["scripted"].models[0]


def config_of(**fields: Any) -> Config:
    """A configuration with one provider, `mine`."""
    provider = ProviderConfig(**({"base_url": "http://mine.invalid/v1"} | fields))
    return replace(configuration(), providers={"mine": provider})


def asked(**fields: Any) -> list[str]:
    return [each.id for each in to_ask(config_of(**fields), CATALOGUE, {})]


class Asking(SynchronousTestCase):
    def test_one_without_models_is_asked_unless_it_says_no(self) -> None:
        self.assertEqual(asked(), ["mine"])
        self.assertEqual(asked(discover_models=True), ["mine"])
        self.assertEqual(asked(discover_models=False), [])

    def test_one_with_models_is_asked_only_if_it_says_so(self) -> None:
        self.assertEqual(asked(models=(OWN,)), [])
        self.assertEqual(asked(models=(OWN,), discover_models=False), [])
        self.assertEqual(asked(models=(OWN,), discover_models=True), ["mine"])

    def test_one_that_would_be_dropped_anyway_is_not_asked(self) -> None:
        self.assertEqual(asked(disable=True), [])
        self.assertEqual(asked(base_url=""), [])
        self.assertEqual(asked(type="telepathy"), [])

    def test_the_types_of_local_servers_are_asked(self) -> None:
        for kind in ("litellm", "llamacpp", "lmstudio", "ollama", "omlx"):
            self.assertEqual(asked(type=kind), ["mine"])

    def test_a_known_provider_is_not_asked_unless_the_known_ones_are_switched_off(self) -> None:
        config = replace(configuration(), providers={"openai": ProviderConfig(base_url="http://mine.invalid")})
        self.assertEqual(to_ask(config, CATALOGUE, {}), [])
        self.assertEqual([each.id for each in to_ask(config, (), {})], ["openai"])

    def test_headers_come_expanded(self) -> None:
        (provider,) = to_ask(config_of(extra_headers={"X-A": "$A", "X-B": "$B"}), CATALOGUE, {"A": "1"})
        self.assertEqual(provider.extra_headers, {"X-A": "1"})
        with self.assertRaises(ConfigInvalid):
            to_ask(config_of(extra_headers={"X-A": "${A:?}"}), CATALOGUE, {})


class Answers(SynchronousTestCase):
    def test_the_own_models_come_first_and_win(self) -> None:
        config = with_listed(config_of(models=(OWN,)), {"mine": ("new", OWN.id, "new", "newer")})
        models = config.providers["mine"].models
        self.assertEqual([model.id for model in models], [OWN.id, "new", "newer"])
        self.assertEqual(models[0], OWN)
        self.assertEqual(models[1].name, "new")

    def test_who_has_not_answered_keeps_what_it_had(self) -> None:
        config = config_of(models=(OWN,))
        self.assertEqual(with_listed(config, {}), config)
