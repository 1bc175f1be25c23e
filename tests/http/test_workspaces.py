"""Workspaces over HTTP, in memory: create, join, leave, and what each connection may see."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush import __version__
from txcrush.model.config import ProviderConfig
from txcrush.testing.harness import CLIENT, configuration, model
from txcrush.testing.http_harness import HttpHarness

OTHER = "22222222-2222-4222-8222-222222222222"


class Workspaces(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness()
        self.client, self.clock = self.harness.client, self.harness.clock

    def test_what_a_creator_is_told(self) -> None:
        body = {"id": "mine", "path": "/project", "client_id": CLIENT, "env": ["A=b"], "yolo": True, "debug": False}
        answer = self.client.post("/v1/workspaces", body)
        made = answer.value
        self.assertNotEqual(made["id"], "mine")
        self.assertEqual((made["path"], made["yolo"], made["version"]), ("/project", True, __version__))
        self.assertEqual((made["data_dir"], made["env"]), ("/project/.crush", ["A=b"]))
        self.assertNotIn("client_id", made)
        self.assertNotIn("channels", made)
        self.assertEqual(self.client.get(f"/v1/workspaces/{made['id']}").value, made)
        self.assertEqual(self.client.get("/v1/workspaces").value, [made])

    def test_the_second_who_comes_joins_the_first(self) -> None:
        first = self.harness.join(env=["A=1"])
        answer = self.client.post("/v1/workspaces", {"path": "/project", "client_id": OTHER, "env": ["A=2"]})
        self.assertEqual((answer.value["id"], answer.value["env"]), (first, ["A=1"]))

    def test_channels_must_be_the_same(self) -> None:
        self.harness.join(channels=["a", "b"])
        answer = self.client.post("/v1/workspaces", {"path": "/project", "client_id": OTHER, "channels": ["b", "a"]})
        self.assertEqual(answer.status, 500)
        self.assertTrue(answer.message.startswith("requested channels differ from the existing workspace;"))

    def test_the_order_of_what_is_refused(self) -> None:
        for body, expected in [
            ({}, (400, "path is required")),
            ({"path": "/p"}, (400, "invalid client_id")),
            ({"path": "/p\0"}, (400, "path and data_dir must not contain a NUL character")),
            ({"path": "/p", "client_id": "x"}, (400, "invalid client_id: invalid UUID length: 1")),
            ({"path": "/p", "client_id": "z" * 36}, (400, "invalid client_id: invalid UUID format")),
            ({"path": "/p", "client_id": CLIENT, "env": "A=b"}, (400, "failed to decode request")),
        ]:
            answer = self.client.post("/v1/workspaces", body)
            self.assertEqual((answer.status, answer.message), expected)

    def test_who_was_retired_is_409_and_never_comes_back(self) -> None:
        self.assertEqual(self.client.delete(f"/v1/clients/{CLIENT}").status, 200)
        self.assertEqual(self.client.delete(f"/v1/clients/{CLIENT}").status, 200)
        answer = self.client.post("/v1/workspaces", {"path": "/project", "client_id": CLIENT})
        self.assertEqual((answer.status, answer.message), (409, "client has been retired"))

    def test_leaving_closes_what_nobody_else_holds(self) -> None:
        workspace = self.harness.join()
        self.harness.join(client_id=OTHER)
        path = f"/v1/workspaces/{workspace}"
        self.assertEqual(self.client.delete(f"{path}?client_id={CLIENT}").status, 200)
        self.assertEqual(self.client.get(path).status, 200)
        self.assertEqual(self.client.delete(f"{path}?client_id={OTHER}").status, 200)
        self.assertEqual(self.client.get(path).message, "workspace not found")
        self.assertEqual(self.client.delete(f"{path}?client_id={OTHER}").status, 200)

    def test_leaving_wants_a_client_id_in_the_words_of_queries(self) -> None:
        for query, text in (("", "client_id is required"), ("?client_id=x", "client_id is not a valid UUID")):
            answer = self.client.delete(f"/v1/workspaces/nobody{query}")
            self.assertEqual((answer.status, answer.message), (400, text))

    def test_who_only_created_and_never_looked_is_forgotten_after_the_grace(self) -> None:
        path = f"/v1/workspaces/{self.harness.join()}"
        self.clock.advance(29)
        self.assertEqual(self.client.get(path).status, 200)
        self.clock.advance(1)
        self.assertEqual(self.client.get(path).status, 404)

    def test_the_order_of_the_checks_of_what_a_client_looks_at(self) -> None:
        path = f"/v1/workspaces/{self.harness.join()}/current-session"
        unknown = "/v1/workspaces/nobody/current-session"
        for target, raw, expected in [
            (unknown, b"{", (400, "client_id is required")),
            (f"{unknown}?client_id={CLIENT}", b"{", (400, "failed to decode request")),
            (f"{unknown}?client_id={CLIENT}", b"{}", (404, "workspace not found")),
            (f"{path}?client_id={CLIENT}", b"{}", (409, "client not attached")),
        ]:
            answer = self.client.post(target, raw=raw)
            self.assertEqual((answer.status, answer.message), expected)

    def test_a_client_with_a_stream_may_say_what_it_looks_at(self) -> None:
        workspace = self.harness.join()
        self.client.stream(workspace)
        for body in ({"session_id": "anything"}, {}):
            answer = self.client.post(f"/v1/workspaces/{workspace}/current-session?client_id={CLIENT}", body)
            self.assertEqual(answer.status, 200)


class Secrets(SynchronousTestCase):
    def shown(self, kind: str) -> bytes:
        config = configuration(model("large"))
        provider = ProviderConfig("scripted", "S", "http://x.invalid", "openai-compat", api_key="sk-canary")
        config.providers["scripted"] = provider
        harness = HttpHarness(kind=kind, config=config)  # type: ignore[arg-type]
        workspace = harness.join(env=["TOKEN=canary-env"])
        paths = ("", f"/{workspace}", f"/{workspace}/config")
        return b"".join(harness.client.get(f"/v1/workspaces{path}").body for path in paths)

    def test_p24_keys_and_environment_are_shown_on_the_unix_socket(self) -> None:
        self.assertEqual(self.shown("unix").count(b"sk-canary"), 3)
        self.assertEqual(self.shown("unix").count(b"canary-env"), 2)

    def test_p24_keys_and_environment_are_not_shown_on_tcp(self) -> None:
        self.assertNotIn(b"canary", self.shown("tcp"))
