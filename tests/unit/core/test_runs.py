"""Runs from acceptance to their one end, over the real services and a store in memory."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.run import Run
from txcrush.core.workspaces import Workspace
from txcrush.model.errors import RunCancelled
from txcrush.model.ids import RunId, SessionId
from txcrush.model.messages import FinishReason, Message, Role
from txcrush.model.runs import Outcome, Prompt, WhenBusy
from txcrush.testing.harness import Harness, Listener
from txcrush.testing.scripted_provider import Hang, Say, Step, Wait


class RunsCase(SynchronousTestCase):
    """A workspace with one session and one listener."""

    def setUp(self) -> None:
        self.harness = Harness()
        self.provider = self.harness.provider
        self.workspace: Workspace = self.successResultOf(self.harness.open())
        self.listener = Listener()
        self.workspace.events.subscribe(self.listener)
        self.session_id = self.new_session()

    def new_session(self) -> SessionId:
        from twisted.internet.defer import Deferred

        session = self.successResultOf(Deferred.fromCoroutine(self.workspace.sessions.create("T")))
        return session.id

    def prompt(self, text: str, run_id: str = "", when_busy: WhenBusy = WhenBusy.REFERENCE) -> Run:
        prompt = Prompt(session_id=self.session_id, text=text, run_id=RunId(run_id), when_busy=when_busy)
        return self.workspace.runs.accept(prompt)

    def messages(self) -> list[Message]:
        found: list[Message] = self.successResultOf(self.workspace.transcript.messages(self.session_id))
        return found


class Ending(RunsCase):
    def test_a_prompt_is_answered_and_its_run_ends_once(self) -> None:
        self.provider.add("hello ", "there")
        run = self.prompt("hi", "r1")
        end = self.successResultOf(run.when_ended())
        self.assertEqual((end.outcome, end.text), (Outcome.COMPLETED, "hello there"))
        self.assertEqual([message.role for message in self.messages()], [Role.USER, Role.ASSISTANT])
        self.assertEqual(len(self.listener.of("run_complete")), 1)

    def test_a_cancelled_run_keeps_its_partial_text(self) -> None:
        self.provider.add("partial", Hang())
        run = self.prompt("hi", "r1")
        waiting = run.when_ended()
        self.workspace.runs.cancel(self.session_id)
        self.failureResultOf(waiting, RunCancelled)
        last = self.messages()[-1]
        assert last.finish is not None
        self.assertEqual((last.text, last.finish.reason), ("partial", FinishReason.CANCELED))
        self.assertEqual(len(self.provider.cancelled), 1)
