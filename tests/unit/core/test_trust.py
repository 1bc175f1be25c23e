from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.trust import NEEDS_TRUST, without_trust


class WithoutTrustTests(SynchronousTestCase):
    def test_p47_what_could_run_redirect_or_widen_is_left_out_and_named(self) -> None:
        project: dict[str, object] = {key: {"x": {}} for key in NEEDS_TRUST}
        kept, left_out = without_trust(project)
        self.assertEqual(kept, {})
        self.assertEqual(left_out, list(NEEDS_TRUST))

    def test_harmless_keys_apply_and_nothing_is_named(self) -> None:
        project: dict[str, object] = {
            "options": {"debug": True, "context_paths": ["docs/x.md"], "data_directory": ".state"},
            "models": {"large": {"model": "m", "provider": "p"}},
            "mcp": {},
        }
        kept, left_out = without_trust(project)
        self.assertEqual(kept, {"options": project["options"], "models": project["models"]})
        self.assertEqual(left_out, [])

    def test_a_choice_of_models_brings_no_free_options(self) -> None:
        kept, left_out = without_trust({"models": {"large": {"model": "m", "provider_options": {"x": 1}}}})
        self.assertEqual(kept, {"models": {"large": {"model": "m"}}})
        self.assertEqual(left_out, ["models.large.provider_options"])

    def test_paths_that_lead_out_of_the_project_are_left_out(self) -> None:
        paths = ["ok.md", "/etc/passwd", "~/.ssh/id", "$HOME/x", "../up", "a/../../b", "a\\..\\..\\b", "C:\\x"]
        kept, left_out = without_trust({"options": {"context_paths": paths, "data_directory": "../../x"}})
        self.assertEqual(kept, {"options": {"context_paths": ["ok.md"]}})
        self.assertEqual(left_out, ["options.context_paths", "options.data_directory"])

    def test_odd_shapes_are_left_to_the_decoder(self) -> None:
        odd: dict[str, object] = {"options": [1], "models": "x"}
        self.assertEqual(without_trust(odd), (odd, []))
