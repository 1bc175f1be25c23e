"""What a start opens of what the last server left, and what it does about the rest."""

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.reopening import FORGET_S, GONE, MOST_ATTEMPTS, OPEN_S
from txcrush.model.errors import StorageFailed
from txcrush.model.ids import ClientId
from txcrush.model.register import Listed
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import CLIENT, Harness
from txcrush.testing.scripted_provider import Hang, Wait

DATA = "/project/.crush"
BOB = ClientId("bbbbbbbb-1111-4111-8111-111111111111")


class ReopeningCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = Harness()
        self.register = self.harness.register
        self.talk = Conversation(self.harness)

    def left(self) -> None:
        """A server with a run at work and two behind it is killed."""
        self.harness.provider.add("half", Hang())
        for name in ("one", "two", "three"):
            self.talk.prompt(name, name)
        self.talk.store.crash()

    def next(self, *texts: str) -> Harness:
        """Another server over what is left; its model says these texts."""
        harness = Harness(stores=self.harness.stores, register=self.register)
        for text in texts:
            harness.provider.add(text)
        return harness

    def entry(self) -> Listed:
        return self.register.listed[DATA]

    def change(self, **changes: object) -> None:
        self.register.listed[DATA] = replace(self.entry(), **changes)  # type: ignore[arg-type]

    def refused(self, harness: Harness, reason: str) -> None:
        """A start that cannot open the directory."""
        harness.hold_opens()
        start = harness.reopen()
        harness.release_opens(StorageFailed(reason))
        now(start)


class Listing(ReopeningCase):
    def test_a_directory_is_listed_before_its_first_prompt_is_acknowledged(self) -> None:
        self.assertEqual(self.register.listed, {})
        self.register.hold()
        self.harness.provider.add("done")
        run = self.talk.prompt("hi", "r1")
        kept = run.when_kept()
        self.assertFalse(kept.called)
        self.register.release()
        now(kept)
        entry = self.entry()
        self.assertEqual((entry.path, entry.workspace_id), ("/project", self.talk.workspace.id))

    def test_one_that_closes_with_nothing_left_is_taken_off(self) -> None:
        self.harness.provider.add("done")
        self.talk.prompt("hi", "r1")
        self.assertEqual(list(self.register.listed), [DATA])
        now(self.talk.stop())
        self.assertEqual(self.register.listed, {})

    def test_one_that_closes_with_prompts_in_its_queue_stays(self) -> None:
        self.harness.provider.add(Wait())
        self.talk.prompt("hi", "r1")
        self.talk.prompt("hi", "r2")
        now(self.talk.stop())
        self.assertEqual(list(self.register.listed), [DATA])

    def test_a_register_that_fails_or_hangs_refuses_no_prompt(self) -> None:
        self.register.error = StorageFailed("the disk is full")
        self.harness.provider.add("done")
        now(self.talk.prompt("hi", "r1").when_ended())
        self.register.error = None
        self.register.hold()
        self.harness.provider.add("done")
        slow = self.talk.prompt("hi", "r2").when_ended()
        self.assertFalse(slow.called)
        self.harness.clock.advance(5)
        now(slow)
        self.register.release()

    def test_no_secret_is_kept(self) -> None:
        harness = Harness()
        now(harness.open("/secret", env=("KEY=canary",), yolo=True))
        harness.provider.add("done")
        Conversation(harness, "/secret").prompt("hi", "r1")
        self.assertNotIn("canary", repr(harness.register.listed))
        self.assertFalse(hasattr(harness.register.listed["/secret/.crush"], "yolo"))


class Opening(ReopeningCase):
    def test_promise_04_what_was_begun_ends_and_the_queue_goes_on_without_a_client(self) -> None:
        self.left()
        later = self.next("done", "done")
        now(later.reopen())
        (workspace,) = later.workspaces.list()
        self.assertEqual(workspace.id, self.talk.workspace.id)
        ends = {one.id: one.end.outcome.value for one in now(workspace.store.runs(None, "", 10)) if one.end}
        self.assertEqual(ends, {"one": "cancelled", "two": "completed", "three": "completed"})

    def test_who_comes_back_finds_it_under_its_id_and_who_comes_late_under_a_new_one(self) -> None:
        self.left()
        later = self.next("done", "done")
        now(later.reopen())
        later.clock.advance(29)
        self.assertEqual(now(later.open()).id, self.talk.workspace.id)
        later.workspaces.release(self.talk.workspace.id, CLIENT)
        later.clock.advance(1)
        self.assertEqual(later.workspaces.list(), [])
        self.assertEqual(self.register.listed, {})
        self.assertNotEqual(now(later.open()).id, self.talk.workspace.id)

    def test_one_that_nobody_comes_back_to_closes_after_the_grace(self) -> None:
        self.left()
        later = self.next("done", "done")
        now(later.reopen())
        later.clock.advance(30)
        self.assertEqual(later.workspaces.list(), [])
        self.assertEqual(later.clock.getDelayedCalls(), [])

    def test_it_comes_back_asking_until_a_client_says_otherwise(self) -> None:
        harness = Harness(register=self.register)
        now(harness.open("/free", yolo=True, env=("A=1",)))
        talk = Conversation(harness, "/free")
        harness.provider.add(Hang())
        talk.prompt("hi", "r1")
        talk.store.crash()
        later = Harness(stores=harness.stores, register=self.register)
        now(later.reopen())
        workspace = next(one for one in later.workspaces.list() if one.path == "/free")
        self.assertEqual((workspace.permissions.policies.skip, workspace.env), (False, ()))
        now(later.open("/free", yolo=True, env=("A=2",)))
        self.assertEqual((workspace.permissions.policies.skip, workspace.env), (True, ("A=2",)))
        now(later.open("/free", client=BOB, yolo=False, env=("A=3",)))
        self.assertEqual((workspace.permissions.policies.skip, workspace.env), (True, ("A=2",)))

    def test_a_client_that_is_faster_has_its_own_workspace(self) -> None:
        self.left()
        later = self.next("done", "done")
        opened = now(later.open())
        self.assertNotEqual(opened.id, self.talk.workspace.id)
        now(later.reopen())
        self.assertEqual(later.workspaces.list(), [opened])
        self.assertEqual(self.entry().workspace_id, opened.id)

    def test_one_that_opens_for_a_client_meanwhile_is_shared(self) -> None:
        self.left()
        later = self.next("done", "done")
        later.hold_opens()
        start, joining = later.reopen(), later.open()
        later.release_opens()
        now(start)
        self.assertEqual(now(joining).id, self.talk.workspace.id)


class Failing(ReopeningCase):
    def test_one_that_does_not_open_stays_with_its_error_and_opens_at_a_later_start(self) -> None:
        self.left()
        self.refused(self.next(), "the disk is gone")
        self.assertIn("the disk is gone", self.entry().error)
        self.assertGreater(self.entry().failing_since, 0)
        later = self.next("done", "done")
        now(later.reopen())
        self.assertEqual((self.entry().error, self.entry().failing_since), ("", 0))
        self.assertEqual(len(later.workspaces.list()), 1)

    def test_one_that_fails_for_a_week_is_forgotten(self) -> None:
        self.left()
        self.refused(self.next(), "locked")
        later = self.next()
        later.clock.advance(FORGET_S)
        self.refused(later, "locked")
        self.assertEqual(self.register.listed, {})

    def test_one_that_is_gone_is_forgotten_at_the_second_start_and_never_made_anew(self) -> None:
        self.left()
        del self.harness.stores[DATA]
        first, second = self.next(), self.next()
        now(first.reopen())
        self.assertEqual(self.entry().error, GONE)
        now(second.reopen())
        self.assertEqual(self.register.listed, {})
        self.assertEqual((first.opened, second.opened), ([], []))

    def test_one_whose_opening_ends_the_server_is_skipped_in_the_end(self) -> None:
        self.left()
        for number in range(MOST_ATTEMPTS):
            dying = self.next()
            dying.hold_opens()
            dying.reopen()
            self.assertEqual(self.entry().attempts, number + 1)
        later = self.next("done", "done")
        now(later.reopen())
        self.assertEqual((later.opened, later.workspaces.list()), ([], []))
        self.assertIn(f"ended the server {MOST_ATTEMPTS} times in a row", self.entry().error)
        now(later.open())  # a client may try
        self.assertEqual(self.entry().attempts, MOST_ATTEMPTS)
        now(Deferred.fromCoroutine(later.workspaces.stop()))
        self.assertEqual(self.register.listed, {})

    def test_one_that_hangs_keeps_nobody_from_the_others(self) -> None:
        self.left()
        for number in range(5):
            self.register.listed[f"/{number}"] = replace(self.entry(), data_dir=f"/{number}", path=f"/{number}")
        later = self.next("done", "done")
        later.hold_opens()
        store = later.stores.pop(DATA)
        later.stores.update({f"/{number}": store for number in range(4)})
        start = later.reopen()
        self.assertFalse(start.called)
        later.clock.advance(OPEN_S)
        later.clock.advance(OPEN_S)
        now(start)
        self.assertEqual(self.register.listed["/4"].error, GONE)

    def test_a_register_that_cannot_be_read_stops_no_start(self) -> None:
        self.left()
        self.register.error = StorageFailed("the file is not a database")
        later = self.next()
        now(later.reopen())
        self.assertEqual(later.workspaces.list(), [])

    def test_a_stop_during_the_start_is_no_failure_of_the_directory(self) -> None:
        self.left()
        later = self.next()
        now(Deferred.fromCoroutine(later.workspaces.stop()))
        now(later.reopen())
        self.assertEqual((self.entry().error, self.entry().attempts), ("", 0))
