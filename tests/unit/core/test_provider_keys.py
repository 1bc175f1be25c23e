"""Which variables no shell may see."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.provider_keys import key_names
from txcrush.model.config import ProviderConfig
from txcrush.testing.harness import configuration

NONE = replace(configuration(), providers={})


def configured(api_key: str) -> frozenset[str]:
    return key_names(replace(NONE, providers={"p": ProviderConfig("p", "P", "http://p", api_key=api_key)}))


class KeyNames(SynchronousTestCase):
    def test_the_variables_that_templates_name(self) -> None:
        self.assertIn("MINE", configured("$MINE"))
        self.assertLessEqual({"A", "B"}, configured("${A:-$B}"))
        self.assertIn("CRUSH_MINE", configured("$MINE"))

    def test_the_usual_ones_also_without_configuration(self) -> None:
        usual = key_names(NONE)
        self.assertLessEqual({"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "SCW_SECRET_KEY"}, usual)

    def test_a_literal_key_names_nothing(self) -> None:
        self.assertEqual(configured("sk-literal"), key_names(NONE))

    def test_addresses_are_no_keys(self) -> None:
        self.assertNotIn("OPENAI_API_ENDPOINT", key_names(NONE))
        self.assertNotIn("GITHUB_TOKEN", key_names(NONE))
