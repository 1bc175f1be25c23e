"""The prompt POST in memory: how long it waits, what it answers, and what a dropped client changes (nothing)."""

from typing import Any

from msgspec import UNSET
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.run import Run
from txcrush.model.errors import ProviderError, StorageFailed
from txcrush.model.ids import WorkspaceId
from txcrush.testing.answer import Answer
from txcrush.testing.conversation import now
from txcrush.testing.http_harness import Asked, HttpHarness
from txcrush.testing.scripted_provider import Call, Fail, Wait
from txcrush.testing.scripted_tool import ScriptedTool
from txcrush.wire.json import BIG_BODY


class PromptsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.threads: list[Deferred[None]] = []
        self.tool = ScriptedTool("look")
        self.harness = HttpHarness(in_thread=self.later, tools=[self.tool])
        self.provider, self.client, self.clock = self.harness.provider, self.harness.client, self.harness.clock
        self.workspace = self.harness.join()
        self.session = self.harness.session(self.workspace)
        self.stream = self.client.stream(self.workspace)
        self.runs = self.harness.workspaces.get(WorkspaceId(self.workspace)).runs
        self.store = self.harness.stores["/project/.crush"]

    def later(self, function: Any, *arguments: Any) -> Deferred[Any]:
        done: Deferred[None] = Deferred()
        self.threads.append(done)
        return done.addCallback(lambda _: function(*arguments))

    def prompt(self, text: str = "hi", *, prefer: str | None = None, key: str | None = None, **fields: Any) -> Asked:
        path = f"/v1/workspaces/{self.workspace}/agent"
        body = {"session_id": self.session, "prompt": text, **fields}
        return self.client.ask("POST", path, body, Prefer=prefer, Idempotency_Key=key)

    def act(self, what: str) -> Answer:
        return self.client.post(f"/v1/workspaces/{self.workspace}/agent/sessions/{self.session}/{what}")

    def said(self) -> list[str]:
        found = self.client.get(f"/v1/workspaces/{self.workspace}/sessions/{self.session}/messages/user").value
        return [message["parts"][0]["data"]["text"] for message in reversed(found)]

    def is_plain_200(self, asked: Asked) -> None:
        self.assertEqual((asked.answer.status, asked.answer.body), (200, b""))


class Waiting(PromptsCase):
    def test_without_anything_it_is_held_until_the_run_has_ended(self) -> None:
        self.provider.add(Wait(), "ok")
        asked = self.prompt()
        self.clock.advance(3600)
        self.assertFalse(asked.is_answered)
        self.provider.proceed()
        self.is_plain_200(asked)
        self.assertEqual(asked.answer.headers["x-run-state"], "ended")

    def test_a_run_id_is_answered_202_at_once(self) -> None:
        self.provider.add(Wait())
        answer = self.prompt(run_id="R1").answer
        self.assertEqual((answer.status, answer.body, answer.headers["content-length"]), (202, b"", "0"))
        self.assertEqual(answer.headers["x-run-id"], "R1")
        self.assertNotIn("preference-applied", answer.headers)

    def test_respond_async_is_answered_202_at_once(self) -> None:
        self.provider.add(Wait())
        answer = self.prompt(prefer="respond-async").answer
        self.assertEqual((answer.status, answer.headers["preference-applied"]), (202, "respond-async"))
        self.assertTrue(answer.headers["x-run-id"])

    def test_a_wait_is_held_so_long_and_no_longer_and_the_run_goes_on(self) -> None:
        self.provider.add(Wait(), "ok")
        asked = self.prompt(prefer="wait=30", run_id="R1")
        self.clock.advance(29.9)
        self.assertFalse(asked.is_answered)
        self.clock.advance(0.1)
        self.assertEqual((asked.answer.status, asked.answer.headers["preference-applied"]), (202, "wait=30"))
        self.provider.proceed()
        self.assertEqual(self.stream.of("run_complete")[0]["text"], "ok")

    def test_a_wait_wins_over_respond_async_and_over_a_run_id(self) -> None:
        self.provider.add("ok")
        asked = self.prompt(prefer="respond-async, wait=5", run_id="R1")
        self.assertEqual((asked.answer.status, asked.answer.headers["preference-applied"]), (200, "wait=5"))

    def test_a_wait_of_nothing_is_answered_202_at_once(self) -> None:
        self.provider.add(Wait())
        self.assertEqual(self.prompt(prefer="wait=0").answer.status, 202)

    def test_nothing_is_answered_before_the_prompt_is_durable(self) -> None:
        self.provider.add(Wait())
        self.store.hold()
        asked = self.prompt(run_id="R1")
        self.assertFalse(asked.is_answered)
        self.store.release()
        self.assertEqual(asked.answer.status, 202)

    def test_a_queued_prompt_is_answered_200_at_once_as_queued(self) -> None:
        self.provider.add(Wait())
        first, second = self.prompt(), self.prompt("second")
        self.assertFalse(first.is_answered)
        self.is_plain_200(second)
        self.assertEqual(second.answer.headers["x-run-state"], "queued")

    def test_a_queued_prompt_with_a_wait_waits_for_its_own_run(self) -> None:
        self.provider.add(Wait())
        self.provider.add(Wait())
        self.prompt()
        second = self.prompt("second", prefer="wait=60", when_busy="queue")
        self.provider.proceed()
        self.assertFalse(second.is_answered)
        self.provider.proceed()
        self.is_plain_200(second)

    def test_a_folded_prompt_with_a_wait_waits_for_the_turn_that_took_it_in(self) -> None:
        self.provider.add(Wait(), Call("c1", "look"))
        self.provider.add(Wait(), "done")
        self.prompt()
        second = self.prompt("second", prefer="wait=60")
        self.provider.proceed()
        self.tool.answer("c1")
        self.assertEqual(self.said(), ["hi", "second"])
        self.assertFalse(second.is_answered)
        self.provider.proceed()
        self.is_plain_200(second)

    def test_a_prompt_that_interrupts_is_held_for_its_own_run(self) -> None:
        self.provider.add(Wait())
        self.provider.add(Wait())
        first, second = self.prompt(), self.prompt("second", when_busy="interrupt")
        self.is_plain_200(first)
        self.assertFalse(second.is_answered)
        self.provider.proceed()
        self.is_plain_200(second)


class Ids(PromptsCase):
    def test_an_id_that_cannot_stand_in_a_header_is_refused(self) -> None:
        for bad in ("a\0b", "a\r\nb", "x" * 256, "\u00e9"):
            asked = self.prompt(run_id=bad)
            self.assertEqual(asked.answer.status, 400, bad)
        self.assertEqual(self.prompt(key="\u00e9").answer.status, 400)
        self.assertEqual(self.said(), [])


class Ends(PromptsCase):
    def held(self) -> Asked:
        self.provider.add("partial", Wait())
        return self.prompt()

    def test_seed_a_a_cancel_is_no_error(self) -> None:
        held = self.held()
        self.act("cancel")
        self.is_plain_200(held)

    def test_seed_a_a_cancel_before_the_prompt_is_durable_is_none_either(self) -> None:
        self.store.hold()
        asked = self.prompt()
        self.act("cancel")
        self.store.release()
        self.is_plain_200(asked)
        self.assertEqual(self.provider.requests, [])

    def test_r_acc_10_a_cancel_is_never_an_error_of_the_server_however_the_prompt_was_sent(self) -> None:
        for prefer, run_id, status in [
            (None, "", 200),
            ("wait=60", "", 200),
            (None, "R1", 202),
            ("respond-async", "", 202),
            ("wait=60", "R2", 200),
        ]:
            self.provider.add("partial", Wait())
            asked = self.prompt(prefer=prefer, run_id=run_id)
            self.act("cancel")
            self.assertEqual(asked.answer.status, status, (prefer, run_id))
        self.assertEqual([end["cancelled"] for end in self.stream.of("run_complete")], [True] * 5)
        self.assertEqual(self.stream.of("agent_event"), [])

    def test_a_deleted_session_is_no_error(self) -> None:
        held = self.held()
        self.client.delete(f"/v1/workspaces/{self.workspace}/sessions/{self.session}")
        self.is_plain_200(held)

    def test_a_cleared_prompt_is_no_error(self) -> None:
        self.held()
        queued = self.prompt("second", prefer="wait=60")
        self.act("prompts/clear")
        self.is_plain_200(queued)

    def test_a_server_stop_is_503(self) -> None:
        held = self.held()
        queued = self.prompt("second", prefer="wait=60")
        now(self.harness.workspaces.stop())
        for asked in (held, queued):
            self.assertEqual((asked.answer.status, asked.answer.message), (503, "server is shutting down"))
            self.assertTrue(asked.answer.headers["x-run-id"])

    def test_seed_c_a_failed_run_is_500_in_the_providers_words(self) -> None:
        self.provider.add(Fail(ProviderError("no credit", title="Payment Required", status=402)))
        answer = self.prompt().answer
        self.assertEqual((answer.status, answer.message), (500, "payment required: no credit"))
        self.assertTrue(answer.headers["x-run-id"])

    def test_seed_c_a_store_that_refuses_the_prompt_is_500_and_nothing_runs(self) -> None:
        for prefer in (None, "wait=9", "respond-async"):
            self.store.fail_next(StorageFailed("disk full"))
            answer = self.prompt(prefer=prefer).answer
            self.assertEqual((answer.status, answer.message), (500, "disk full"))
        self.assertFalse(self.runs.any_live)
        self.assertEqual(self.provider.requests, [])

    def test_seed_c_the_order_of_the_checks(self) -> None:
        path = f"/v1/workspaces/{self.workspace}/agent"
        unknown = "/v1/workspaces/nobody/agent"
        for target, body, expected in [
            (unknown, b"{", (400, "failed to decode request")),
            (unknown, b"{}", (404, "workspace not found")),
            (path, b"{}", (500, "prompt is empty")),
            (path, b'{"prompt":"x"}', (500, "session id is missing")),
            (path, b'{"attachments":[{"content":"*"}]}', (400, "failed to decode request")),
            (path, b'{"attachments":[{"mime_type":"image/png"}]}', (500, "prompt is empty")),
            (path, b'{"attachments":[{"mime_type":"text/plain"}]}', (500, "session id is missing")),
        ]:
            answer = self.client.post(target, raw=body)
            self.assertEqual((answer.status, answer.message), expected)

    def test_an_unknown_policy_is_400_and_says_which_there_are(self) -> None:
        answer = self.prompt(when_busy="explode").answer
        self.assertEqual(answer.status, 400)
        self.assertIn("queue, steer, interrupt, reject", answer.message)

    def test_a_rejecting_prompt_on_a_busy_session_is_409(self) -> None:
        self.held()
        answer = self.prompt("second", when_busy="reject").answer
        self.assertEqual((answer.status, answer.message), (409, "session is busy"))

    def test_a_prompt_to_a_session_that_does_not_exist_fails_as_its_run(self) -> None:
        answer = self.prompt(session_id="ghost").answer
        self.assertEqual((answer.status, answer.message), (500, "failed to get session: sql: no rows in result set"))
        self.assertEqual(self.prompt(session_id="ghost", run_id="R1").answer.status, 202)
        self.assertEqual([end["run_id"] for end in self.stream.of("run_complete") if "run_id" in end], ["R1"])


class Limited(PromptsCase):
    def test_promise_17_a_run_that_its_budget_stops_is_500_and_says_why(self) -> None:
        self.provider.add(Call("c1", "look"))
        asked = self.prompt(max_steps=1, max_cost=None)
        self.tool.answer("c1")
        answer = asked.answer
        self.assertEqual((answer.status, answer.message[:22]), (500, "Stopped by the budget:"))
        self.assertIn("raise max_steps", answer.message)
        self.assertEqual([one.payload["error"] for one in self.ends()], [answer.message])

    def ends(self) -> list[Any]:
        return [event for event in self.stream.events if event.kind == "run_complete"]

    def test_promise_17_limits_without_sense_are_400(self) -> None:
        for limit in ({"max_cost": 0}, {"max_tokens": -1}, {"max_steps": 0}, {"max_seconds": -0.5}):
            answer = self.prompt(**limit).answer
            self.assertEqual(
                (answer.status, answer.message), (400, f"{next(iter(limit))} must be more than 0, or left out")
            )
        self.assertEqual(self.prompt(max_steps="many").answer.status, 400)
        self.assertEqual(self.prompt(max_steps=1, when_busy="steer").answer.status, 400)
        self.assertEqual(self.provider.requests, [])


class Dropped(PromptsCase):
    def test_seed_b_a_dropped_client_leaves_the_run_running(self) -> None:
        self.provider.add(Wait(), "ok")
        held = self.prompt()
        held.drop()
        self.assertEqual(self.provider.cancelled, [])
        self.provider.proceed()
        self.assertEqual(self.stream.of("run_complete")[0]["text"], "ok")
        self.assertEqual(len(self.provider.requests), 1)

    def test_seed_b_one_dropped_watcher_of_a_run_leaves_the_other_waiting(self) -> None:
        self.provider.add(Wait(), "ok")
        first, second = self.prompt(key="K1"), self.prompt(key="K1")
        first.drop()
        self.assertFalse(second.is_answered)
        self.provider.proceed()
        self.is_plain_200(second)

    def test_seed_b_a_client_that_goes_before_its_prompt_is_durable_has_still_asked(self) -> None:
        self.provider.add("ok")
        self.store.hold()
        self.prompt().drop()
        self.store.release()
        self.assertEqual(self.said(), ["hi"])
        self.assertEqual(self.stream.of("run_complete")[0]["text"], "ok")

    def test_seed_b_a_wait_that_passes_after_its_client_has_gone_changes_nothing(self) -> None:
        self.provider.add(Wait(), "ok")
        self.prompt(prefer="wait=600").drop()
        self.clock.advance(600)
        self.assertEqual(self.provider.cancelled, [])
        self.provider.proceed()
        self.assertEqual(self.stream.of("run_complete")[0]["text"], "ok")

    def test_promise_02_a_run_outlives_the_grace_of_every_client(self) -> None:
        self.provider.add(Wait(), "ok")
        self.prompt().drop()
        self.stream.drop()
        self.clock.advance(3600)
        self.assertEqual(len(self.harness.workspaces.list()), 1)
        self.provider.proceed()
        self.assertEqual(self.harness.workspaces.list(), [])

    def test_seed_d_a_watcher_that_is_cancelled_is_a_500_and_the_run_goes_on(self) -> None:
        self.patch(Run, "when_ended", lambda _run: fail(CancelledError()))
        self.provider.add(Wait(), "ok")
        for asked in (self.prompt(key="K1"), self.prompt(key="K1", prefer="wait=9")):
            self.assertEqual((asked.answer.status, asked.answer.message), (500, "internal server error"))
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 2)
        self.provider.proceed()
        self.assertEqual(self.stream.of("run_complete")[0]["text"], "ok")

    def test_seed_d_a_cancellation_inside_the_turn_is_a_failed_run(self) -> None:
        self.patch(self.store, "messages", lambda _: fail(CancelledError()))
        answer = self.prompt().answer
        self.assertEqual(answer.status, 500)
        self.assertTrue(answer.message)
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)
        self.assertNotIn("cancelled", self.stream.of("run_complete")[0])


class Again(PromptsCase):
    def test_promise_06_the_same_run_id_joins_the_run_whatever_has_become_of_it(self) -> None:
        self.provider.add(Wait(), "ok")
        answers = [self.prompt(run_id="R1").answer for _ in range(50)]
        self.assertEqual({(answer.status, answer.headers["x-run-id"]) for answer in answers}, {(202, "R1")})
        self.provider.proceed()
        self.assertEqual(self.prompt(run_id="R1").answer.status, 202)
        self.assertEqual(self.prompt(run_id="R1", prefer="wait=9").answer.status, 200)
        self.assertEqual(len(self.provider.requests), 1)
        self.assertEqual(len(self.stream.of("run_complete")), 1)

    def test_promise_06_fifty_posts_before_the_first_is_durable_are_one_run(self) -> None:
        self.provider.add("ok")
        self.store.hold()
        posts = [self.prompt(run_id="R1") for _ in range(50)]
        self.store.release()
        self.assertEqual({asked.answer.status for asked in posts}, {202})
        self.assertEqual(self.said(), ["hi"])

    def test_whoever_joins_is_answered_by_the_own_headers(self) -> None:
        self.provider.add(Wait(), "ok")
        self.prompt(run_id="R1")
        held = self.prompt(run_id="R1", prefer="wait=60")
        self.assertFalse(held.is_answered)
        self.provider.proceed()
        self.is_plain_200(held)

    def test_a_key_shows_in_no_event_and_makes_the_prompt_safe_to_send_again(self) -> None:
        self.provider.add(Wait(), "ok")
        first, second = self.prompt(key="K1"), self.prompt(key="K1")
        self.provider.proceed()
        self.is_plain_200(first)
        self.is_plain_200(second)
        self.assertNotIn("run_id", self.stream.of("run_complete")[0])
        self.is_plain_200(self.prompt(key="K1"))

    def test_another_text_or_session_under_the_same_id_is_409_running_or_ended(self) -> None:
        self.provider.add(Wait(), "ok")
        self.prompt(run_id="R1")
        other = self.harness.session(self.workspace)
        for _ in range(2):
            for asked in (self.prompt("else", run_id="R1"), self.prompt(run_id="R1", session_id=other)):
                self.assertEqual(asked.answer.status, 409)
                self.assertEqual(asked.answer.message, "run id is already used by another prompt")
            if self.provider.waiting:
                self.provider.proceed()

    def test_a_run_that_was_cancelled_is_no_error_for_whoever_asks_later(self) -> None:
        self.provider.add(Wait())
        self.prompt(run_id="R1")
        self.act("cancel")
        self.is_plain_200(self.prompt(run_id="R1", prefer="wait=9"))


class Long(PromptsCase):
    def test_a_long_prompt_takes_its_place_when_it_is_decoded_and_holds_nobody_up(self) -> None:
        self.provider.add("one")
        self.provider.add("two")
        long = self.prompt("x" * BIG_BODY, run_id="long")
        short = self.prompt("short", run_id="short")
        self.assertTrue(short.is_answered)
        self.threads[0].callback(None)
        self.assertEqual(long.answer.status, 202)
        self.assertEqual([text[:5] for text in self.said()], ["short", "xxxxx"])

    def test_a_long_prompt_that_was_answered_comes_before_whatever_is_sent_after(self) -> None:
        self.provider.add(Wait(), "one")
        self.provider.add("two")
        self.prompt("x" * BIG_BODY, run_id="long")
        self.threads[0].callback(None)
        self.prompt("short", run_id="short")
        self.provider.proceed()
        self.assertEqual([text[:5] for text in self.said()], ["xxxxx", "short"])


class TwoGenerations(PromptsCase):
    """A failure is told once to each of the two terminals: by the answer to the older, by the stream to the newer."""

    GO = "Go-http-client/1.1"

    def begin(self, body: object = UNSET, user_agent: str = GO) -> None:
        self.client.post(f"/v1/workspaces/{self.workspace}/agent/init", body, User_Agent=user_agent)

    def failing(self, user_agent: str = GO) -> int:
        self.provider.add(Fail(ProviderError("no such model", title="Not Found", status=404)))
        path = f"/v1/workspaces/{self.workspace}/agent"
        body = {"session_id": self.session, "prompt": "hi"}
        answer = self.client.ask("POST", path, body, User_Agent=user_agent).answer
        self.assertEqual(len(self.stream.of("agent_event")), 1)
        return answer.status

    def test_the_older_one_is_answered_500(self) -> None:
        self.begin()
        self.assertEqual(self.failing(), 500)

    def test_the_newer_one_is_answered_202_because_the_stream_has_told_it(self) -> None:
        self.begin({"interactive": True})
        self.assertEqual(self.failing(), 202)

    def test_a_script_beside_the_newer_one_is_answered_500(self) -> None:
        self.begin({"interactive": True})
        self.assertEqual(self.failing("curl/8"), 500)

    def test_a_script_that_begins_as_the_newer_one_does_is_a_script(self) -> None:
        self.begin({"interactive": True}, "python")
        self.assertEqual(self.failing("python"), 500)

    def test_the_last_terminal_to_begin_counts(self) -> None:
        self.begin({"interactive": True})
        self.begin()
        self.assertEqual(self.failing(), 500)


class WhenBusy(PromptsCase):
    """What each `when_busy` does to a busy session, with a run id and without one: the status of the answer and what it
    says of the run (None: it is held), how the run that was active ends, and whether the prompt had a turn of its own
    (None: it is no run)."""

    TABLE = (
        (None, True, 202, "queued", "completed", True),
        (None, False, 200, "queued", "completed", False),
        ("queue", True, 202, "queued", "completed", True),
        ("queue", False, 200, "queued", "completed", True),
        ("steer", True, 202, "queued", "completed", False),
        ("steer", False, 200, "queued", "completed", False),
        ("interrupt", True, 202, "active", "cancelled", True),
        ("interrupt", False, None, None, "cancelled", True),
        ("reject", True, 409, None, "completed", None),
        ("reject", False, 409, None, "completed", None),
    )

    def test_promise_15_the_table_of_policies_is_exact(self) -> None:
        for policy, named, status, state, outcome, own_turn in self.TABLE:
            with self.subTest(policy=policy, named=named):
                self.setUp()
                self._check(policy, (status, state) if status else None, outcome, own_turn, named=named)

    def _check(
        self,
        policy: str | None,
        answered: tuple[int, str | None] | None,
        outcome: str,
        own: bool | None,
        *,
        named: bool,
    ) -> None:
        self.provider.add(Call("c1", "look"))
        self.provider.add(Wait(), "ok")
        self.provider.add("ok")
        self.prompt("first", run_id="first")
        fields = {"run_id" if named else "key": "second"} | ({"when_busy": policy} if policy else {})
        asked = self.prompt("second", **fields)
        self.assertEqual(_told(asked), answered)
        if outcome == "completed":
            self.tool.answer("c1", "seen")
        self.provider.proceed()
        if answered is None:
            self.is_plain_200(asked)
        runs = {one["run_id"]: one for one in self.listed()}
        self.assertEqual(runs["first"]["outcome"], outcome)
        self.assertEqual("second" in runs, own is not None)
        if own is not None:
            has_own = runs["second"]["message_id"] != runs["first"]["message_id"]
            self.assertEqual((runs["second"]["outcome"], has_own), ("completed", own))

    def listed(self) -> list[dict[str, Any]]:
        answer = self.client.get(f"/v1/workspaces/{self.workspace}/runs?session_id={self.session}")
        value: list[dict[str, Any]] = answer.value
        return value


def _told(asked: Asked) -> tuple[int, str | None] | None:
    if not asked.is_answered:
        return None
    return asked.answer.status, asked.answer.headers.get("x-run-state")
