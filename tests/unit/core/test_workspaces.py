"""Which directories are open, who keeps them so, and what happens when two want the same at once."""

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.workbench import Kit
from txcrush.core.workspaces import CHANNELS_DIFFER, Workspace
from txcrush.model.errors import (
    BadRequest,
    ClientRetired,
    Failed,
    HostingLiveWorkspaces,
    NoDataDirectory,
    ShuttingDown,
    StorageFailed,
    WorkspaceNotFound,
)
from txcrush.model.ids import ClientId, WorkspaceId
from txcrush.model.runs import Outcome
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import CLIENT, Harness
from txcrush.testing.scripted_provider import Hang, Wait

OTHER = ClientId("22222222-2222-4222-8222-222222222222")


class WorkspacesCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = Harness()
        self.provider = self.harness.provider
        self.workspaces = self.harness.workspaces

    def stop(self) -> "Deferred[None]":
        return Deferred.fromCoroutine(self.workspaces.stop())

    def retire(self, client_id: ClientId) -> "Deferred[None]":
        return Deferred.fromCoroutine(self.workspaces.retire(client_id))

    def is_open(self, workspace: Workspace) -> bool:
        return workspace in self.workspaces.list()


class StayingOpen(WorkspacesCase):
    def leave(self, workspace: Workspace) -> None:
        self.workspaces.release(workspace.id, CLIENT)
        self.assertTrue(workspace.claims.is_empty)

    def test_a_workspace_closes_with_its_last_claim(self) -> None:
        workspace = now(self.harness.open())
        now(self.harness.open(client=OTHER))
        self.leave_one(workspace)
        self.workspaces.release(workspace.id, OTHER)
        self.assertFalse(self.is_open(workspace))
        self.assertRaises(WorkspaceNotFound, self.workspaces.get, workspace.id)

    def leave_one(self, workspace: Workspace) -> None:
        self.workspaces.release(workspace.id, CLIENT)
        self.assertTrue(self.is_open(workspace))

    def test_r_acc_11_a_run_goes_on_when_its_client_has_gone_and_others_hear_its_end(self) -> None:
        talk = Conversation(self.harness)
        now(self.harness.open(client=OTHER))
        self.provider.add("a", Wait(), "b")
        talk.prompt("hi", "r1")
        self.workspaces.release(talk.workspace.id, CLIENT)
        self.provider.proceed()
        self.assertEqual([one["text"] for one in talk.completions()], ["ab"])

    def test_a_run_keeps_its_workspace_open_although_nobody_watches(self) -> None:
        talk = Conversation(self.harness)
        self.provider.add(Wait(), "a")
        self.provider.add(Wait(), "b")
        runs = [talk.prompt("one", "r1"), talk.prompt("two", "r2")]
        self.leave(talk.workspace)
        self.harness.clock.advance(100_000)
        self.assertTrue(self.is_open(talk.workspace))
        self.provider.proceed()
        self.assertTrue(self.is_open(talk.workspace))
        ended = runs[1].when_ended()
        self.provider.proceed()
        self.assertEqual(self.successResultOf(ended).outcome, Outcome.COMPLETED)
        self.assertFalse(self.is_open(talk.workspace))
        self.assertTrue(talk.listener.ended)
        self.assertEqual(len(talk.completions()), 2)

    def test_an_accepted_prompt_keeps_it_open_too(self) -> None:
        talk = Conversation(self.harness)
        self.provider.add("a")
        talk.store.hold()
        talk.prompt("hi", "r1")
        self.leave(talk.workspace)
        self.assertTrue(self.is_open(talk.workspace))
        talk.store.release()
        self.assertFalse(self.is_open(talk.workspace))
        self.assertEqual([one["text"] for one in talk.completions()], ["a"])

    def test_a_command_of_a_client_keeps_it_open_until_its_answer_is_kept(self) -> None:
        talk = Conversation(self.harness)
        running = Deferred.fromCoroutine(talk.workspace.shell_commands.run(talk.session_id, "make"))
        self.leave(talk.workspace)
        self.assertTrue(self.is_open(talk.workspace))
        talk.store.hold()
        self.harness.processes.children[0].write(b"made").exit()
        self.assertTrue(self.is_open(talk.workspace))
        talk.store.release()
        self.assertEqual(self.successResultOf(running).output, "made")
        self.assertFalse(self.is_open(talk.workspace))

    def test_a_prompt_that_could_not_be_kept_does_not_keep_it_open(self) -> None:
        talk = Conversation(self.harness)
        talk.store.hold()
        run = talk.prompt("hi", "r1")
        waiting = run.when_kept()
        self.leave(talk.workspace)
        talk.store.fail_next(StorageFailed("full"))
        talk.store.release()
        self.failureResultOf(waiting, StorageFailed)
        self.assertFalse(self.is_open(talk.workspace))

    def test_r_shut_08_a_claim_without_a_stream_lasts_for_the_create_grace(self) -> None:
        workspace = now(self.harness.open())
        self.harness.clock.advance(29.9)
        self.assertTrue(self.is_open(workspace))
        self.harness.clock.advance(0.2)
        self.assertFalse(self.is_open(workspace))

    def test_an_empty_server_leaves_after_a_while_and_not_before(self) -> None:
        harness = Harness(idle_exit_s=60)
        workspace = now(harness.open())
        harness.clock.advance(25)
        harness.workspaces.release(workspace.id, CLIENT)
        harness.clock.advance(59)
        now(harness.open())
        harness.clock.advance(2)
        self.assertEqual(harness.stopped, 0)
        harness.clock.advance(30)
        harness.clock.advance(60)
        self.assertEqual(harness.stopped, 1)
        self.failureResultOf(harness.open(), ShuttingDown)

    def test_a_server_that_was_not_told_to_never_leaves(self) -> None:
        now(self.harness.open())
        self.harness.clock.advance(1_000_000)
        self.assertEqual(self.harness.stopped, 0)


class Opening(WorkspacesCase):
    def test_two_creates_of_one_directory_share_one_open(self) -> None:
        self.harness.hold_opens()
        first, second = self.harness.open(), self.harness.open(client=OTHER)
        self.assertNoResult(second)
        self.harness.release_opens()
        workspace = self.successResultOf(first)
        self.assertIs(self.successResultOf(second), workspace)
        self.assertEqual((len(self.harness.opened), set(workspace.claims.clients())), (1, {CLIENT, OTHER}))

    def test_two_directories_open_side_by_side(self) -> None:
        self.harness.hold_opens()
        opening = [self.harness.open("/a"), self.harness.open("/b")]
        self.assertEqual(len(self.harness.opened), 2)
        self.harness.release_opens()
        self.assertIsNot(*map(self.successResultOf, opening))

    def test_where_an_open_fails_the_next_in_line_tries_anew(self) -> None:
        self.harness.hold_opens()
        first, second = self.harness.open(), self.harness.open(client=OTHER)
        self.harness.release_opens(StorageFailed("locked"))
        failure = self.failureResultOf(first, Failed)
        self.assertEqual(failure.value.message, "failed to connect to database: locked")
        self.assertTrue(self.is_open(self.successResultOf(second)))

    def test_a_data_directory_that_cannot_be_made_is_told_as_that(self) -> None:
        self.harness.hold_opens()
        opening = self.harness.open()
        self.harness.release_opens(NoDataDirectory("read-only"))
        failure = self.failureResultOf(opening, Failed)
        self.assertEqual(failure.value.message, "failed to create data directory: read-only")

    def test_a_directory_opens_anew_only_after_it_has_closed(self) -> None:
        talk = Conversation(self.harness)
        talk.store.hold()
        talk.workspace.sessions.delete(talk.session_id)
        self.workspaces.release(talk.workspace.id, CLIENT)
        again = self.harness.open()
        self.assertNoResult(again)
        self.assertEqual(len(self.harness.opened), 1)
        talk.store.release()
        self.assertNotEqual(self.successResultOf(again).id, talk.workspace.id)

    def test_who_gives_up_waiting_leaves_the_open_to_the_others(self) -> None:
        self.harness.hold_opens()
        first, second = self.harness.open(), self.harness.open(client=OTHER)
        second.cancel()
        self.failureResultOf(second)
        self.harness.release_opens()
        self.assertEqual(set(self.successResultOf(first).claims.clients()), {CLIENT})

    def test_other_channels_are_refused(self) -> None:
        now(self.harness.open(channels=("a",)))
        failure = self.failureResultOf(self.harness.open(client=OTHER), Failed)
        self.assertEqual(failure.value.message, CHANNELS_DIFFER)


class Retiring(WorkspacesCase):
    def test_a_retired_clients_claims_go_everywhere(self) -> None:
        first, second = now(self.harness.open("/a")), now(self.harness.open("/b"))
        now(self.harness.open("/b", client=OTHER))
        self.successResultOf(self.retire(CLIENT))
        self.assertEqual((self.is_open(first), self.is_open(second)), (False, True))
        self.failureResultOf(self.harness.open("/a"), ClientRetired)

    def test_retiring_during_an_open_closes_what_was_opened_for_it(self) -> None:
        self.harness.hold_opens()
        opening = self.harness.open()
        retired = self.retire(CLIENT)
        self.assertNoResult(retired)
        self.harness.release_opens()
        self.failureResultOf(opening, ClientRetired)
        self.successResultOf(retired)
        self.assertEqual(self.workspaces.list(), [])

    def test_retiring_the_first_of_two_leaves_the_workspace_to_the_second(self) -> None:
        self.harness.hold_opens()
        first, second = self.harness.open(), self.harness.open(client=OTHER)
        retired = self.retire(CLIENT)
        self.harness.release_opens()
        self.failureResultOf(first, ClientRetired)
        self.successResultOf(retired)
        workspace = self.successResultOf(second)
        self.assertTrue(self.is_open(workspace))
        self.assertEqual(set(workspace.claims.clients()), {OTHER})

    def test_a_run_survives_the_retirement_of_its_client(self) -> None:
        talk = Conversation(self.harness)
        self.provider.add(Wait(), "a")
        talk.prompt("hi", "r1")
        self.successResultOf(self.retire(CLIENT))
        self.assertTrue(self.is_open(talk.workspace))
        self.provider.proceed()
        self.assertEqual(([one["text"] for one in talk.completions()], self.workspaces.list()), (["a"], []))


class Stopping(WorkspacesCase):
    def test_nothing_opens_after_a_stop(self) -> None:
        workspace = now(self.harness.open())
        self.successResultOf(self.stop())
        self.assertFalse(self.is_open(workspace))
        self.failureResultOf(self.harness.open(), ShuttingDown)

    def test_a_stop_during_an_open_closes_it_again(self) -> None:
        self.harness.hold_opens()
        opening, waiting = self.harness.open(), self.harness.open(client=OTHER)
        stopped = self.stop()
        self.assertNoResult(stopped)
        self.harness.release_opens()
        self.failureResultOf(opening, ShuttingDown)
        self.failureResultOf(waiting, ShuttingDown)
        self.successResultOf(stopped)
        self.assertEqual((self.workspaces.list(), self.harness.clock.getDelayedCalls()), ([], []))

    def test_a_stop_during_an_open_that_fails_ends_too(self) -> None:
        self.harness.hold_opens()
        opening = self.harness.open()
        stopped = self.stop()
        self.harness.release_opens(StorageFailed("locked"))
        self.failureResultOf(opening, Failed)
        self.successResultOf(stopped)

    def test_a_stop_waits_for_a_workspace_that_is_closing_already(self) -> None:
        talk = Conversation(self.harness)
        talk.store.hold()
        talk.workspace.sessions.delete(talk.session_id)
        self.workspaces.release(talk.workspace.id, CLIENT)
        stopped = self.stop()
        self.assertNoResult(stopped)
        talk.store.release()
        self.successResultOf(stopped)

    def test_every_workspace_ends_its_runs_and_its_streams(self) -> None:
        talks = [Conversation(self.harness, path) for path in ("/a", "/b")]
        for talk in talks:
            self.provider.add(Hang())
            talk.prompt("hi", f"r-{talk.workspace.path}")
        self.successResultOf(self.stop())
        for talk in talks:
            self.assertTrue(talk.listener.ended)
            self.assertEqual(len(talk.completions()), 1)

    def test_whatever_fails_while_it_closes_its_streams_and_its_store_are_closed(self) -> None:
        talk = Conversation(self.harness)
        self.patch(talk.workspace, "kit", Kit((), lambda: fail(ValueError("no tool of ours"))))
        now(talk.stop())
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertTrue(talk.listener.ended)
        self.failureResultOf(talk.store.sessions(), StorageFailed)

    def test_no_timer_is_left(self) -> None:
        talk = Conversation(self.harness)
        talk.workspace.claims.attach(CLIENT)
        self.provider.add("partial", Hang())
        talk.prompt("hi")
        self.successResultOf(self.stop())
        self.assertEqual(self.harness.clock.getDelayedCalls(), [])


class Controlling(WorkspacesCase):
    def test_only_a_replaceable_server_without_workspaces_can_be_stopped(self) -> None:
        control = self.workspaces.control
        self.assertRaises(BadRequest, control, "dance", replaceable=True)
        self.assertRaises(HostingLiveWorkspaces, control, "shutdown", replaceable=False)
        now(self.harness.open())
        self.assertRaises(HostingLiveWorkspaces, control, "shutdown_if_idle", replaceable=True)
        self.assertEqual(self.harness.stopped, 0)
        self.harness.clock.advance(31)
        control("shutdown", replaceable=True)
        self.assertEqual(self.harness.stopped, 1)

    def test_unknown_workspaces_are_no_error_to_give_up(self) -> None:
        self.workspaces.release(WorkspaceId("none"), CLIENT)
        self.assertEqual(self.workspaces.list(), [])
