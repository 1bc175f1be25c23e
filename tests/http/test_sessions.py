"""Sessions over HTTP, in memory."""

import msgspec
from msgspec import Struct
from twisted.trial.unittest import SynchronousTestCase

from txcrush.testing.answer import Answer
from txcrush.testing.harness import CLIENT, NOW_S
from txcrush.testing.http_harness import HttpHarness
from txcrush.testing.scripted_provider import Wait

NO_ROWS = (500, "sql: no rows in result set")
FIELDS = [
    "id",
    "parent_session_id",
    "title",
    "message_count",
    "prompt_tokens",
    "completion_tokens",
    "summary_message_id",
    "cost",
    "created_at",
    "updated_at",
    "is_busy",
    "attached_clients",
]


class Sessions(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness()
        self.client, self.clock = self.harness.client, self.harness.clock
        self.workspace = self.harness.join()
        self.root = f"/v1/workspaces/{self.workspace}"
        self.session = self.harness.session(self.workspace, "first")
        self.path = f"{self.root}/sessions/{self.session}"

    def failed(self, answer: Answer) -> tuple[int, str]:
        return answer.status, answer.message

    def test_a_session_shows_every_field_in_wire_order(self) -> None:
        stream = self.client.stream(self.workspace)
        answer = self.client.post(f"{self.root}/sessions", {"title": "t", "cost": 9, "id": "mine"})
        self.assertEqual(list(answer.value), FIELDS)
        self.assertEqual((answer.value["title"], answer.value["cost"]), ("t", 0))
        self.assertEqual((answer.value["created_at"], answer.value["updated_at"]), (int(NOW_S), int(NOW_S)))
        self.assertNotEqual(answer.value["id"], "mine")
        self.assertIn(b'"created_at":1800000000,', answer.body)
        self.assertEqual([(event.kind, event.change) for event in stream.events], [("session", "created")])
        self.assertEqual(stream.events[0].payload, answer.value)

    def test_the_list_is_newest_first(self) -> None:
        self.clock.advance(1)
        second = self.harness.session(self.workspace, "second")
        listed = self.client.get(f"{self.root}/sessions").value
        self.assertEqual([session["id"] for session in listed], [second, self.session])

    def test_a_put_changes_only_what_is_present_in_either_spelling(self) -> None:
        self.client.put(self.path, {"id": self.session, "prompt_tokens": 7, "CompletionTokens": 8, "cost": 1.5})
        changed = self.client.put(f"{self.root}/sessions/whatever", {"ID": self.session, "title": "renamed"}).value
        self.assertEqual(
            [changed[name] for name in ("title", "prompt_tokens", "completion_tokens", "cost")], ["renamed", 7, 8, 1.5]
        )
        self.assertEqual(self.client.get(self.path).value, changed)

    def test_a_put_below_zero_is_refused_and_changes_nothing(self) -> None:
        before = self.client.get(self.path).value
        for name in ("prompt_tokens", "completion_tokens", "cost", "PromptTokens"):
            answer = self.client.put(self.path, {"id": self.session, "title": "never", name: -5})
            self.assertEqual(answer.status, 400)
            self.assertIn("must not be negative", answer.message)
        self.assertEqual(self.client.get(self.path).value, before)

    def test_a_put_of_todos_is_shown(self) -> None:
        todo = {"content": "a", "status": "pending", "active_form": "doing a"}
        answer = self.client.put(self.path, {"id": self.session, "todos": [todo]})
        self.assertEqual(answer.value["todos"], [todo])
        self.assertNotIn("todos", self.client.put(self.path, {"id": self.session, "todos": []}).value)

    def test_an_unknown_session_is_answered_in_the_databases_words(self) -> None:
        ghost = f"{self.root}/sessions/ghost"
        self.assertEqual(self.failed(self.client.get(ghost)), NO_ROWS)
        self.assertEqual(self.failed(self.client.delete(ghost)), NO_ROWS)
        self.assertEqual(self.failed(self.client.put(self.path, {"id": "ghost"})), NO_ROWS)
        self.assertEqual(self.failed(self.client.put(self.path, {"title": "t"})), NO_ROWS)
        self.assertEqual(self.failed(self.client.get(f"{self.root}/agent/sessions/ghost")), NO_ROWS)
        for what in ("history", "messages", "messages/user", "filetracker/files"):
            self.assertEqual(self.client.get(f"{ghost}/{what}").value, [])

    def test_r_sess_05_a_client_of_another_age_reads_and_writes_sessions(self) -> None:
        class OldSession(Struct):
            id: str
            title: str

        old = msgspec.json.decode(self.client.get(self.path).body, type=OldSession)
        self.assertEqual((old.id, old.title), (self.session, "first"))
        answer = self.client.put(self.path, {"id": old.id, "title": "renamed", "is_starred": True})
        self.assertEqual((answer.status, answer.value["title"], answer.value["is_busy"]), (200, "renamed", False))

    def test_deleting_it_tells_its_last_state_and_takes_its_messages(self) -> None:
        self.harness.provider.add("ok")
        self.client.post(f"{self.root}/agent", {"session_id": self.session, "prompt": "hi"})
        stream = self.client.stream(self.workspace)
        self.assertEqual(self.client.delete(self.path).status, 200)
        self.assertEqual([(event.kind, event.change) for event in stream.events], [("session", "deleted")])
        self.assertEqual(stream.events[0].payload["id"], self.session)
        self.assertEqual(self.client.get(f"{self.path}/messages").value, [])
        self.assertEqual(self.client.get(f"{self.root}/sessions").value, [])

    def test_a_busy_session_says_so_and_who_looks_at_it_is_counted(self) -> None:
        self.harness.provider.add(Wait())
        self.client.stream(self.workspace)
        self.client.post(f"{self.root}/current-session?client_id={CLIENT}", {"session_id": self.session})
        self.client.ask("POST", f"{self.root}/agent", {"session_id": self.session, "prompt": "hi"})
        shown = self.client.get(self.path).value
        self.assertEqual((shown["is_busy"], shown["attached_clients"]), (True, 1))
        agent = self.client.get(f"{self.root}/agent/sessions/{self.session}").value
        self.assertEqual((agent["id"], agent["is_busy"], agent["created_at"]), (self.session, True, 0))
        self.assertEqual(list(agent)[-2:], ["attached_clients", "is_busy"])

    def test_messages_are_oldest_first_and_prompts_newest_first(self) -> None:
        other = self.harness.session(self.workspace)
        for number, session in enumerate((self.session, self.session, other)):
            self.harness.provider.add(f"answer {number}")
            self.client.post(f"{self.root}/agent", {"session_id": session, "prompt": f"prompt {number}"})
            self.clock.advance(1)
        messages = self.client.get(f"{self.path}/messages").value
        self.assertEqual([one["role"] for one in messages], ["user", "assistant", "user", "assistant"])
        self.assertEqual(next(iter(messages[0])), "parts")
        own, all_of_them = self.client.get(f"{self.path}/messages/user"), self.client.get(f"{self.root}/messages/user")
        self.assertEqual([_text(one) for one in own.value], ["prompt 1", "prompt 0"])
        self.assertEqual([_text(one) for one in all_of_them.value], ["prompt 2", "prompt 1", "prompt 0"])

    def test_messages_are_never_older_than_what_the_stream_has_shown(self) -> None:
        self.harness.provider.add("grown", Wait())
        stream = self.client.stream(self.workspace)
        self.client.ask("POST", f"{self.root}/agent", {"session_id": self.session, "prompt": "hi"})
        shown = [event for event in stream.events if event.payload.get("role") == "assistant"][-1]
        self.assertEqual(self.client.get(f"{self.path}/messages").value[-1]["parts"], shown.payload["parts"])

    def test_what_was_read_is_absolute_and_has_its_time(self) -> None:
        for path in ("a.txt", "/project/sub/../b.txt"):
            body = {"session_id": self.session, "path": path}
            self.assertEqual(self.client.post(f"{self.root}/filetracker/read", body).status, 200)
            self.clock.advance(1)
        self.assertEqual(self.client.get(f"{self.path}/filetracker/files").value, ["/project/b.txt", "/project/a.txt"])
        last_read = f"{self.root}/filetracker/lastread?session_id={self.session}&path="
        self.assertEqual(self.client.get(last_read + "/project/a.txt").value, "2027-01-15T08:00:00Z")
        self.assertEqual(self.client.get(last_read + "never").value, "0001-01-01T00:00:00Z")

    def test_what_nobody_can_have_read_is_no_error(self) -> None:
        for body in ({"session_id": "ghost", "path": "a"}, {"session_id": self.session}, {}):
            self.assertEqual(self.client.post(f"{self.root}/filetracker/read", body).status, 200)
        self.assertEqual(self.client.get(f"{self.path}/filetracker/files").value, [])


def _text(message: dict[str, list[dict[str, dict[str, str]]]]) -> str:
    return message["parts"][0]["data"]["text"]
