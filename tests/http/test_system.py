"""The server's own routes, in memory."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush import __version__
from txcrush.testing.harness import CLIENT
from txcrush.testing.http_harness import HttpHarness


class System(SynchronousTestCase):
    def test_its_version_is_its_own(self) -> None:
        version = HttpHarness().client.get("/v1/version").value
        self.assertEqual(list(version), ["version", "commit", "build_id", "go_version", "platform"])
        self.assertEqual(version["version"], __version__)
        self.assertTrue(all(version.values()))

    def test_whatever_is_asked_of_it_it_is_not_replaced(self) -> None:
        harness = HttpHarness()
        for command in ("shutdown", "shutdown_if_idle"):
            answer = harness.client.post("/v1/control", {"command": command})
            self.assertEqual((answer.status, answer.message), (409, "server is hosting live workspaces"))
        self.assertEqual(harness.stopped, 0)

    def test_with_replaceable_an_idle_one_goes_and_a_busy_one_stays(self) -> None:
        for command in ("shutdown", "shutdown_if_idle"):
            harness = HttpHarness(replaceable=True)
            harness.join()
            self.assertEqual(harness.client.post("/v1/control", {"command": command}).status, 409)
            harness.client.delete(f"/v1/clients/{CLIENT}")
            answer = harness.client.post("/v1/control", {"command": command})
            self.assertEqual((answer.status, answer.body, harness.stopped), (200, b"", 1))
            refused = harness.client.post("/v1/workspaces", {"path": "/p", "client_id": CLIENT[:-1] + "2"})
            self.assertEqual((refused.status, refused.message), (503, "server is shutting down"))

    def test_another_command_is_400_before_anything_is_looked_at(self) -> None:
        for replaceable in (False, True):
            for body in ({}, {"command": ""}, {"command": "SHUTDOWN"}):
                answer = HttpHarness(replaceable=replaceable).client.post("/v1/control", body)
                self.assertEqual((answer.status, answer.message), (400, "unknown command"))

    def test_a_goodbye_of_what_is_no_client_is_400(self) -> None:
        for text, problem in (("x", "invalid UUID length: 1"), ("z" * 36, "invalid UUID format")):
            answer = HttpHarness().client.delete(f"/v1/clients/{text}")
            self.assertEqual((answer.status, answer.message), (400, f"invalid client_id: {problem}"))
