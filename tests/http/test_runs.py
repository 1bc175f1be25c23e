"""The routes of runs and of those who are attached, in memory."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import ProviderError
from txcrush.testing.answer import Answer
from txcrush.testing.harness import CLIENT, NOW_S
from txcrush.testing.http_harness import Asked, HttpHarness
from txcrush.testing.scripted_provider import Call, Fail, Wait
from txcrush.testing.scripted_tool import ScriptedTool

BOB = "bbbbbbbb-1111-4111-8111-111111111111"


class RunsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness(tools=[ScriptedTool("look")])
        self.provider, self.client, self.clock = self.harness.provider, self.harness.client, self.harness.clock
        self.workspace = self.harness.join()
        self.session = self.harness.session(self.workspace)
        self.stream = self.client.stream(self.workspace)
        self.store = self.harness.stores["/project/.crush"]

    def prompt(self, run_id: str, text: str = "hi", *, session: str = "", **fields: Any) -> None:
        body = {"session_id": session or self.session, "prompt": text, "run_id": run_id, **fields}
        answer = self.client.ask("POST", f"/v1/workspaces/{self.workspace}/agent", body).answer
        self.assertEqual(answer.status, 202)

    def path(self, rest: str) -> str:
        return f"/v1/workspaces/{self.workspace}/runs{rest}"

    def ask(self, rest: str) -> Asked:
        return self.client.ask("GET", self.path(rest))

    def run_of(self, run_id: str) -> dict[str, Any]:
        answer = self.client.get(self.path(f"/{run_id}"))
        self.assertEqual(answer.status, 200, answer)
        value: dict[str, Any] = answer.value
        return value

    def cancel(self, run_id: str) -> Answer:
        return self.client.post(self.path(f"/{run_id}/cancel"))

    def listed(self, query: str = "") -> list[tuple[str, str]]:
        answer = self.client.get(self.path(query))
        self.assertEqual(answer.status, 200, answer)
        return [(one["run_id"], one["state"]) for one in answer.value]


class Listing(RunsCase):
    def test_runs_are_listed_the_newest_first_in_all_states_or_in_one(self) -> None:
        self.provider.add("done")
        self.prompt("one")
        self.provider.add(Wait())
        self.prompt("two")
        self.prompt("three")
        everything = [("three", "queued"), ("two", "active"), ("one", "ended")]
        self.assertEqual(self.listed(), everything)
        for number, state in enumerate(("queued", "active", "ended")):
            self.assertEqual(self.listed(f"?state={state}"), everything[number : number + 1])
        self.assertEqual(self.listed("?state=cancelling"), [])

    def test_runs_of_one_session_and_pages(self) -> None:
        other = self.harness.session(self.workspace)
        for name in ("one", "two", "three"):
            self.provider.add("done")
            self.prompt(name, session=other if name == "two" else self.session)
        self.assertEqual([name for name, _ in self.listed(f"?session_id={self.session}")], ["three", "one"])
        self.assertEqual([name for name, _ in self.listed("?limit=2")], ["three", "two"])
        self.assertEqual([name for name, _ in self.listed("?limit=2&before=two")], ["one"])

    def test_a_run_that_is_not_stored_yet_is_listed_as_accepted(self) -> None:
        self.provider.add("done")
        self.prompt("one")
        answered = self.ask("")
        self.assertTrue(answered.is_answered)
        self.store.hold()
        self.client.ask("POST", f"/v1/workspaces/{self.workspace}/agent", {
            "session_id": self.session, "prompt": "hi", "run_id": "two"
        })  # fmt: skip
        asked = self.ask("")
        self.provider.add("done")
        runs = self.harness.workspaces.list()[0].runs
        self.assertEqual([(run.id, run.state.value) for run in runs.live()], [("two", "accepted")])
        self.store.release()
        self.assertEqual(asked.answer.value[0]["run_id"], "two")

    def test_what_makes_no_sense_is_refused(self) -> None:
        for query in ("?state=done", "?limit=0", "?limit=1001", "?limit=x", "?limit=99999999999999999999"):
            with self.subTest(query=query):
                self.assertEqual(self.client.get(self.path(query)).status, 400)


class One(RunsCase):
    def test_a_run_is_shown_from_its_place_in_the_queue_to_its_end(self) -> None:
        self.provider.add(Wait(), "the answer")
        self.prompt("one", "do this")
        shown = self.run_of("one")
        self.assertEqual((shown["state"], shown["prompt"], shown["session_id"]), ("active", "do this", self.session))
        self.assertEqual((shown["accepted_at"], shown["began_at"]), (int(NOW_S), int(NOW_S)))
        self.prompt("two")
        self.assertEqual(self.run_of("two")["state"], "queued")
        self.provider.add("more")
        self.clock.advance(5)
        self.provider.proceed()
        shown = self.run_of("one")
        self.assertEqual((shown["state"], shown["outcome"], shown["text"]), ("ended", "completed", "the answer"))
        self.assertEqual(shown["ended_at"], int(NOW_S) + 5)
        self.assertEqual((shown["usage"]["steps"], shown["usage"]["tokens"] > 0), (1, True))
        self.assertGreater(shown["usage"]["cost"], 0)

    def test_a_failure_says_why(self) -> None:
        self.provider.add(Fail(ProviderError("no", title="Bad Request", status=400)))
        self.prompt("one")
        shown = self.run_of("one")
        self.assertEqual((shown["outcome"], shown["error"]), ("failed", "bad request: no"))

    def test_an_unknown_run_is_404(self) -> None:
        for answer in (self.client.get(self.path("/none")), self.client.get(self.path("/none?wait=5"))):
            self.assertEqual((answer.status, answer.message), (404, "run not found"))
        self.assertEqual(self.cancel("none").status, 404)

    def test_a_folded_prompt_shares_its_turn(self) -> None:
        self.provider.add(Call("c1", "look"))
        self.prompt("one")
        self.prompt("two", when_busy="steer")
        self.provider.add(Wait())
        tool = self.harness.workspaces.list()[0]
        self.assertIsNotNone(tool)
        self.assertEqual(self.run_of("two")["state"], "queued")


class Waiting(RunsCase):
    def setUp(self) -> None:
        super().setUp()
        self.provider.add(Wait(), "the answer")
        self.prompt("one")

    def test_it_is_held_until_the_run_has_ended(self) -> None:
        asked = self.ask("/one?wait=60")
        self.clock.advance(59)
        self.assertFalse(asked.is_answered)
        self.provider.proceed()
        self.assertEqual((asked.answer.value["state"], asked.answer.value["text"]), ("ended", "the answer"))

    def test_it_is_held_no_longer_than_it_says(self) -> None:
        asked = self.ask("/one?wait=60")
        self.clock.advance(60)
        self.assertEqual((asked.answer.status, asked.answer.value["state"]), (200, "active"))

    def test_a_cancelled_run_is_an_end_like_any_other(self) -> None:
        asked = self.ask("/one?wait=60")
        self.cancel("one")
        self.assertEqual((asked.answer.status, asked.answer.value["outcome"]), (200, "cancelled"))

    def test_who_goes_away_changes_nothing(self) -> None:
        asked, other = self.ask("/one?wait=60"), self.ask("/one?wait=60")
        asked.drop()
        self.assertEqual(self.run_of("one")["state"], "active")
        self.provider.proceed()
        self.assertEqual(other.answer.value["outcome"], "completed")

    def test_a_wait_without_sense_is_refused(self) -> None:
        for wait in ("3601", "-1", "x", "1.5"):
            with self.subTest(wait=wait):
                self.assertEqual(self.client.get(self.path(f"/one?wait={wait}")).status, 400)
        self.assertTrue(self.ask("/one?wait=0").is_answered)


class Cancelling(RunsCase):
    def setUp(self) -> None:
        super().setUp()
        self.provider.add(Wait(), "first")
        for name in ("one", "two", "three"):
            self.prompt(name)

    def ends(self) -> dict[str, bool]:
        return {one["run_id"]: bool(one.get("cancelled")) for one in self.stream.of("run_complete")}

    def test_a_queued_run_goes_and_the_others_stay(self) -> None:
        answer = self.cancel("two")
        self.assertEqual((answer.status, answer.value["state"], answer.value["outcome"]), (200, "ended", "cancelled"))
        self.assertEqual(self.ends(), {"two": True})
        self.provider.add("last")
        self.provider.proceed()
        self.assertEqual(self.ends(), {"two": True, "one": False, "three": False})

    def test_the_active_run_ends_and_the_queue_goes_on(self) -> None:
        self.provider.add("second")
        self.provider.add("third")
        self.assertEqual(self.cancel("one").status, 200)
        self.assertEqual(self.ends(), {"one": True, "two": False, "three": False})
        self.assertEqual(self.run_of("one")["reason"], "User canceled request")

    def test_a_run_that_has_ended_stays_as_it_is(self) -> None:
        self.cancel("two")
        before = self.run_of("two")
        again = self.cancel("two")
        self.assertEqual((again.status, again.value), (200, before))
        self.assertEqual(len(self.stream.of("run_complete")), 1)

    def test_one_that_is_only_accepted_never_runs(self) -> None:
        self.store.hold()
        body = {"session_id": self.session, "prompt": "late", "run_id": "four"}
        asked = self.client.ask("POST", f"/v1/workspaces/{self.workspace}/agent", body)
        cancelled = self.client.ask("POST", self.path("/four/cancel"))
        self.store.release()
        self.assertEqual((asked.answer.status, cancelled.answer.status), (202, 200))
        self.assertEqual(self.ends(), {"four": True})
        self.assertEqual(self.listed("?state=queued"), [("three", "queued"), ("two", "queued")])


class Clients(RunsCase):
    def clients(self) -> list[dict[str, Any]]:
        value: list[dict[str, Any]] = self.client.get(f"/v1/workspaces/{self.workspace}/clients").value
        return value

    def test_who_is_attached_and_what_they_watch(self) -> None:
        self.clock.advance(7)
        self.harness.join(client_id=BOB)
        self.client.post(f"/v1/workspaces/{self.workspace}/current-session?client_id={CLIENT}", {
            "session_id": self.session
        })  # fmt: skip
        alice, bob = self.clients()
        self.assertEqual(
            alice,
            {"client_id": CLIENT, "since": int(NOW_S), "streams": 1, "session_id": self.session, "via": "unix"},
        )
        self.assertEqual(bob, {"client_id": BOB, "since": int(NOW_S) + 7, "streams": 0})

    def test_who_has_gone_is_not_there(self) -> None:
        self.harness.join(client_id=BOB)
        self.client.delete(f"/v1/clients/{BOB}")
        self.assertEqual([one["client_id"] for one in self.clients()], [CLIENT])
