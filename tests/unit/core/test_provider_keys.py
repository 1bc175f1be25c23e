"""What no shell may see."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.provider_keys import withheld
from txcrush.model.config import ProviderConfig
from txcrush.testing.harness import configuration

NONE = replace(configuration(), providers={})


def configured(api_key: str = "", base_url: str = "http://p", **headers: str) -> frozenset[str]:
    provider = ProviderConfig("p", "P", base_url, api_key=api_key, extra_headers=headers)
    return withheld(replace(NONE, providers={"p": provider}))


class Withheld(SynchronousTestCase):
    def test_the_variables_that_templates_name(self) -> None:
        self.assertIn("MINE", configured("$MINE"))
        self.assertLessEqual({"A", "B"}, configured("${A:-$B}"))
        self.assertIn("CRUSH_MINE", configured("$MINE"))

    def test_the_usual_ones_also_without_configuration(self) -> None:
        usual = withheld(NONE)
        self.assertLessEqual({"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "SCW_SECRET_KEY"}, usual)

    def test_the_variables_that_addresses_name_but_for_those_that_are_addresses(self) -> None:
        self.assertIn("TENANT", configured(base_url="https://gateway.invalid/${TENANT}/v1"))
        self.assertEqual(configured(base_url="${OPENAI_API_ENDPOINT:-https://api.invalid}"), withheld(NONE))

    def test_what_headers_hold(self) -> None:
        hidden = configured(Authorization="Bearer gw-12345678") - withheld(NONE)
        self.assertEqual(hidden, {"Bearer gw-12345678", "gw-12345678"})

    def test_a_literal_key_is_withheld_under_whatever_name_it_stands(self) -> None:
        self.assertEqual(configured("sk-literal") - withheld(NONE), {"sk-literal"})
        self.assertEqual(configured("Bearer $KEY") - withheld(NONE), {"KEY", "CRUSH_KEY"})

    def test_what_is_too_short_for_a_key_is_none(self) -> None:
        self.assertEqual(configured("true"), withheld(NONE))

    def test_a_provider_that_nobody_can_ask_has_its_variables_withheld(self) -> None:
        off = ProviderConfig(
            "off", "Off", "", api_key="$OFF_KEY", disable=True, extra_headers={"X": "Bearer ${OFF_TOKEN}"}
        )
        self.assertLessEqual({"OFF_KEY", "OFF_TOKEN", "CRUSH_OFF_KEY"}, withheld(NONE, [off]))
        self.assertIn("sk-literal", withheld(NONE, [replace(off, api_key="sk-literal")]))

    def test_addresses_are_no_keys(self) -> None:
        self.assertNotIn("OPENAI_API_ENDPOINT", withheld(NONE))
        self.assertNotIn("GITHUB_TOKEN", withheld(NONE))
