"""What the store refused is owed, and paid when it takes writes again."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.arrears import FIRST_S, LONGEST_S
from txcrush.core.run import Run
from txcrush.model.errors import ChangeRefused, StorageFailed
from txcrush.model.runs import Outcome
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import CLIENT, Harness
from txcrush.testing.scripted_provider import Wait

FULL = StorageFailed("the disk is full")


class ArrearsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = Harness()
        self.talk = Conversation(self.harness)

    def refused(self, error: Callable[[], StorageFailed] = lambda: FULL, times: int = 1) -> Run:
        """A run whose end the store refuses so often."""
        self.harness.provider.add(Wait(), "an answer")
        run = self.talk.prompt("hi", "r1")
        for _ in range(times):
            self.talk.store.fail_next(error())
        self.harness.provider.proceed()
        return run

    def passes(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.5)):
            self.harness.clock.advance(0.5)

    def test_promise_73_an_end_that_was_refused_is_written_when_there_is_space(self) -> None:
        run = self.refused()
        self.assertIsNone(self.talk.record(run).end)
        self.passes(FIRST_S)
        end = self.talk.record(run).end
        assert end is not None
        self.assertEqual((end.outcome, end.error), (Outcome.FAILED, "the disk is full"))
        self.assertEqual(self.talk.lines(), ["user: hi", "assistant: an answer [end_turn]"])

    def test_promise_73_the_log_has_the_terminal_event_once_under_the_number_it_was_shown_by(self) -> None:
        self.refused()
        (shown,) = [frame for frame in self.talk.listener.frames if b'"run_complete"' in frame.data]
        self.passes(FIRST_S)
        logged = [event.seq for event in now(self.talk.store.events_after(0, 1000)) if event.kind == "run_complete"]
        self.assertEqual(logged, [shown.seq])
        self.assertEqual(len(self.talk.completions()), 1)

    def test_promise_73_it_is_tried_again_and_again_and_keeps_the_workspace_open(self) -> None:
        run = self.refused(times=8)
        now(Deferred.fromCoroutine(self.harness.workspaces.retire(CLIENT)))
        self.passes(4 * LONGEST_S)
        self.assertIn(self.talk.workspace, self.harness.workspaces.list())
        self.assertIsNone(self.talk.record(run).end)
        self.passes(LONGEST_S)
        self.assertEqual(self.harness.workspaces.list(), [])
        self.talk.store.head()
        self.assertIsNotNone(self.talk.record(run).end)

    def test_what_no_longer_fits_leaves_the_end_alone(self) -> None:
        run = self.refused()
        self.talk.store.fail_next(ChangeRefused("the session is gone"))
        self.passes(FIRST_S)
        self.assertIsNotNone(self.talk.record(run).end)

    def test_an_end_that_never_fits_is_given_up(self) -> None:
        self.refused()
        self.talk.store.fail_next(ChangeRefused("no"))
        self.talk.store.fail_next(ChangeRefused("no"))
        self.passes(FIRST_S)
        self.assertFalse(self.talk.workspace.runs.any_live)

    def test_a_session_that_has_changed_since_keeps_its_change(self) -> None:
        self.refused()
        now(self.talk.workspace.sessions.update(self.talk.session_id, title="New"))
        self.passes(FIRST_S)
        (session,) = now(self.talk.store.sessions())
        self.assertEqual(session.title, "New")

    def test_a_server_that_stops_tries_once_more(self) -> None:
        run = self.refused()
        now(self.talk.stop())
        self.talk.store.head()
        self.assertIsNotNone(self.talk.record(run).end)

    def test_a_server_that_stops_over_a_full_disk_leaves_it_to_the_next(self) -> None:
        run = self.refused(times=2)
        now(self.talk.stop())
        talk = self.talk.restarted(Harness(stores=self.harness.stores))
        end = talk.record(run).end
        assert end is not None
        self.assertEqual(end.outcome, Outcome.CANCELLED)
