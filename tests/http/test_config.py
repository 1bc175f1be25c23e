"""Configuration over HTTP, in memory."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.testing.answer import Answer
from txcrush.testing.http_harness import HttpHarness


class Configuration(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness()
        self.workspace = self.harness.join()
        self.stream = self.harness.client.stream(self.workspace)

    def post(self, path: str, body: Any) -> Answer:
        return self.harness.client.post(f"/v1/workspaces/{self.workspace}/config/{path}", body)

    def changes(self) -> list[tuple[int, dict[str, object], tuple[str, ...]]]:
        return self.harness.config_files.changes

    def test_every_change_is_told_to_all_streams(self) -> None:
        for path, body in [
            ("set", {"scope": 0, "key": "options.debug", "value": True}),
            ("remove", {"scope": 1, "key": "options.debug"}),
            ("compact", {"scope": 0, "enabled": True}),
            ("provider-key", {"scope": 0, "provider_id": "scripted", "kind": "string", "api_key": "k"}),
            ("model", {"scope": 0, "model_type": "small", "model": {"model": "large", "provider": "scripted"}}),
        ]:
            before = len(self.stream.of("config_changed"))
            answer = self.post(path, body)
            self.assertEqual((answer.status, answer.body), (200, b""))
            told = self.stream.of("config_changed")[before:]
            self.assertEqual(told, [{"workspace_id": self.workspace}], path)

    def test_what_is_set_and_removed_is_what_was_said(self) -> None:
        self.post("set", {"scope": 0, "key": "a.b", "value": {"Case": [None, 1.5]}})
        self.post("remove", {"scope": 1, "key": "a.b"})
        self.post("compact", {"scope": 7, "enabled": True})
        self.assertEqual(
            self.changes(),
            [
                (0, {"a.b": {"Case": [None, 1.5]}}, ()),
                (1, {}, ("a.b",)),
                (7, {"options.tui.compact_mode": True}, ()),
            ],
        )

    def test_a_key_is_checked_before_the_workspace_and_never_quoted(self) -> None:
        for body, text in [
            ({"kind": "secret"}, 'unsupported api key kind "secret"'),
            ({"kind": "string"}, "decode api key string: unexpected end of JSON input"),
            ({"kind": "string", "api_key": {"k": "canary"}}, "decode api key string: expected a string"),
            ({"kind": "oauth"}, "decode api key oauth token: unexpected end of JSON input"),
            ({"kind": "oauth", "api_key": "canary"}, "decode api key oauth token: expected a token object"),
        ]:
            answer = self.harness.client.post("/v1/workspaces/nobody/config/provider-key", body)
            self.assertEqual((answer.status, answer.message), (400, text))
        self.assertEqual(self.changes(), [])

    def test_a_scope_must_be_written_as_an_integer(self) -> None:
        for scope in (b'"0"', b"1.0", b"1e2", b"true", b"9223372036854775808"):
            path = f"/v1/workspaces/{self.workspace}/config/compact"
            answer = self.harness.client.post(path, raw=b'{"scope":' + scope + b"}")
            self.assertEqual((answer.status, answer.message), (400, "failed to decode request"))

    def test_a_refresh_says_why_it_cannot(self) -> None:
        for provider, text in [
            ("none", "provider none not found"),
            ("scripted", "provider scripted does not have an OAuth token"),
        ]:
            answer = self.post("refresh-oauth", {"provider_id": provider})
            self.assertEqual((answer.status, answer.message), (500, text))

    def test_the_configuration_holds_what_the_client_requires(self) -> None:
        config = self.harness.client.get(f"/v1/workspaces/{self.workspace}/config").value
        self.assertIn("scripted", config["providers"])
        self.assertIn("tui", config["options"])
