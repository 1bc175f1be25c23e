"""Questions over HTTP, in memory."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.question import AskQuestions
from txcrush.testing.answer import Answer
from txcrush.testing.harness import CLIENT
from txcrush.testing.http_harness import HttpHarness
from txcrush.testing.scripted_provider import Call
from txcrush.wire.json import encode_text

OTHER = "22222222-2222-4222-8222-222222222222"
QUESTIONS = [
    {"type": "yes_no", "label": "Go", "question": "Go on?", "description": "whether"},
    {"type": "free_text", "question": "What?", "description": "words"},
]


class QuestionRoutes(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness(tools=lambda bench: [AskQuestions(bench.questions)])
        self.workspace_id = self.harness.join()
        self.root = f"/v1/workspaces/{self.workspace_id}"

    def post(self, path: str, body: Any = None) -> Answer:
        if path.startswith("answer"):
            self.harness.provider.add("thanks")
        return self.harness.client.post(f"{self.root}/questions/{path}", body)

    def ask(self, call: str = "c1") -> str:
        """A prompt, in a session of its own, whose turn asks; returns the session."""
        session = self.harness.session(self.workspace_id)
        self.harness.provider.add(Call(call, "question", encode_text({"questions": QUESTIONS})))
        self.harness.client.ask("POST", f"{self.root}/agent", {"session_id": session, "prompt": "hi"})
        return session

    def pending(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.harness.client.get(f"{self.root}/questions/pending").value
        return found

    def result(self, session: str) -> dict[str, Any]:
        messages = self.harness.client.get(f"{self.root}/sessions/{session}/messages").value
        parts = [part for message in messages if message["role"] == "tool" for part in message["parts"]]
        result: dict[str, Any] = parts[0]["data"]
        return result

    def test_nothing_is_pending(self) -> None:
        self.assertEqual(self.pending(), [])
        body = {"responses": [{"request_id": "q", "selected_ids": ["a"], "yes": None, "notes": {"a": "b"}}]}
        self.assertEqual(self.post("answer", body).value, {"resolved": False})
        self.assertEqual(self.harness.client.post(f"{self.root}/questions/cancel").value, {"resolved": False})

    def test_r_q_04_any_client_answers_and_everybody_hears(self) -> None:
        session = self.ask()
        stream = self.harness.client.stream(self.workspace_id, OTHER)
        (batch,) = self.pending()
        ids = [question["id"] for question in batch["questions"]]
        responses = [{"request_id": ids[0], "yes": False}, {"request_id": ids[1], "fill_in_text": "words"}]
        body = {"batch_request_id": "", "responses": responses}
        self.assertEqual(self.post(f"answer?client_id={OTHER}", body).body, b'{"resolved":true}\n')
        self.assertEqual(self.post("answer", body).body, b'{"resolved":false}\n')
        self.assertEqual(stream.of("question_batch_notification"), [{"batch_id": batch["id"]}])
        self.assertEqual(
            self.result(session)["content"],
            "Q1: Go on?\nThe user says: no\n\nQ2: What?\nThe user wrote: words",
        )
        (entry,) = self.harness.client.get(f"{self.root}/permissions/audit").value
        self.assertEqual((entry["kind"], entry["outcome"], entry["client_id"]), ("question", "answered", OTHER))
        late = self.post("answer", {"batch_request_id": batch["id"]})
        self.assertEqual(late.headers["x-outcome"], "answered")

    def test_r_q_05_any_client_closes_them_and_the_turn_ends(self) -> None:
        session = self.ask()
        self.assertEqual(self.harness.client.post(f"{self.root}/questions/cancel").value, {"resolved": True})
        result = self.result(session)
        self.assertEqual((result["is_error"], self.pending()), (True, []))
        self.assertEqual(len(self.harness.provider.requests), 1)

    def test_promise_38_a_new_stream_is_sent_the_batch_whose_turn_it_is(self) -> None:
        self.ask("c1")
        self.ask("c2")
        first, second = self.pending()
        late = self.harness.client.stream(self.workspace_id, CLIENT)
        self.assertEqual([(event.kind, event.payload) for event in late.events], [("question_batch_request", first)])
        self.post("cancel")
        self.assertEqual(late.of("question_batch_request"), [first, second])

    def test_d_16_batches_queue_and_an_id_names_one(self) -> None:
        first, second = self.ask("c1"), self.ask("c2")
        named = self.pending()[1]["id"]
        self.assertEqual(self.post(f"cancel?batch_request_id={named}").value, {"resolved": True})
        self.assertTrue(self.result(second)["is_error"])
        self.assertEqual([batch["session_id"] for batch in self.pending()], [first])
        self.assertEqual(self.post("answer", {"batch_request_id": named}).value, {"resolved": False})
        self.assertEqual(self.post("answer", {"batch_request_id": ""}).value, {"resolved": True})

    def test_a_bad_body_is_400_and_settles_nothing(self) -> None:
        self.ask()
        for body in ({"responses": [{"yes": "maybe"}]}, {"responses": {}}, {"responses": [{"selected_ids": [1]}]}):
            self.assertEqual(self.post("answer", body).message, "failed to decode request")
        self.assertEqual(len(self.pending()), 1)
