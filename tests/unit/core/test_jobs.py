"""The jobs of a workspace, over scripted programs."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.jobs import CLOSE_GRACE_S, KEPT_S, MOST_FINISHED, MOST_RUNNING, TOO_MANY, Job, Jobs
from txcrush.model.errors import Failed
from txcrush.testing.harness import program_of
from txcrush.testing.scripted_processes import KILLED, ScriptedChild, ScriptedProcesses


class JobsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.processes = ScriptedProcesses()
        self.jobs = Jobs(self.processes, program_of, self.clock, "scope", lambda: frozenset({"KEY"}))

    def start(self, command: str = "make") -> tuple[Job, ScriptedChild]:
        job = self.jobs.start(command, "/w", "builds")
        return job, self.processes.children[-1]


class Life(JobsCase):
    def test_a_job_is_told_of_with_what_it_was_started_with(self) -> None:
        self.clock.advance(5)
        job, child = self.start()
        self.assertEqual((job.id, job.command, job.description, job.working_dir), ("001", "make", "builds", "/w"))
        self.assertEqual((job.started_at, job.end), (5, None))
        self.assertEqual((child.program.mark, job.line.withheld), ("scope/1", frozenset({"KEY"})))

    def test_ids_are_upper_case_hex_of_at_least_three_digits(self) -> None:
        for _ in range(0x1A4E):
            job, child = self.start()
            child.exit()
            self.jobs.forget(job)
        self.assertEqual(self.start()[0].id, "1A4F")

    def test_t_job_01_reading_gives_the_same_cumulative_text_to_everybody(self) -> None:
        job, child = self.start()
        child.write(b"one\n")
        self.assertEqual([job.out.parts[0] for _ in range(10)], ["one\n"] * 10)
        child.write(b"two\n")
        self.assertEqual(job.out.parts[0], "one\ntwo\n")

    def test_t_job_02_a_kill_removes_the_job_and_it_is_done(self) -> None:
        job, _ = self.start()
        killed = self.jobs.kill(job)
        self.successResultOf(killed)
        self.assertEqual(self.jobs.all(), [])
        self.assertIsNone(self.jobs.find(job.id))
        end = self.successResultOf(job.when_done())
        self.assertEqual((end.status, end.killed), (KILLED, True))

    def test_t_job_03_exit_code_and_silence(self) -> None:
        job, child = self.start()
        child.exit(42)
        self.assertEqual(self.successResultOf(job.when_done()).status, 42)
        self.assertEqual((job.out.parts[0], job.err.parts[0]), ("", ""))

    def test_t_job_04_the_streams_are_apart(self) -> None:
        job, child = self.start()
        child.write(b"out", b"err")
        self.assertEqual((job.out.parts[0], job.err.parts[0]), ("out", "err"))

    def test_t_job_06_the_list_holds_every_id(self) -> None:
        jobs = [self.start()[0] for _ in range(3)]
        self.assertEqual(self.jobs.all(), jobs)

    def test_t_job_08_a_watcher_is_told_once_done_and_another_may_give_up(self) -> None:
        job, child = self.start()
        patient, hasty = job.when_done(), job.when_done()
        hasty.cancel()
        self.failureResultOf(hasty, CancelledError)
        child.exit()
        self.successResultOf(patient)

    def test_a_program_that_cannot_start_ends_with_the_reason(self) -> None:
        self.processes.missing.add("/w")
        job = self.jobs.start("make", "/w")
        end = self.successResultOf(job.when_done())
        self.assertEqual((end.status, "/w" in end.failure), (1, True))
        self.successResultOf(self.jobs.kill(job))

    def test_a_defect_lets_nobody_wait_for_ever(self) -> None:
        def broken(*_: object) -> Deferred[object]:
            raise ZeroDivisionError

        self.processes.start = broken  # type: ignore[method-assign]
        job = self.jobs.start("make", "/w")
        self.assertEqual(self.successResultOf(job.when_done()).failure, "internal error")
        self.flushLoggedErrors(ZeroDivisionError)


class Bounds(JobsCase):
    def test_d_27_only_running_jobs_count_to_the_fifty(self) -> None:
        for _ in range(60):
            self.start()[1].exit()
        for _ in range(MOST_RUNNING):
            self.start()
        with self.assertRaises(Failed) as refused:
            self.start()
        self.assertEqual(str(refused.exception), TOO_MANY)
        self.processes.children[-1].exit()
        self.start()

    def test_finished_jobs_can_be_read_for_eight_hours(self) -> None:
        job, child = self.start()
        child.exit()
        self.clock.advance(KEPT_S)
        self.jobs.drop_old()
        self.assertIs(self.jobs.find(job.id), job)
        self.clock.advance(1)
        self.jobs.drop_old()
        self.assertIsNone(self.jobs.find(job.id))

    def test_a_running_job_does_not_grow_old(self) -> None:
        job, _ = self.start()
        self.clock.advance(KEPT_S * 2)
        self.start()
        self.assertIs(self.jobs.find(job.id), job)

    def test_promise_70_finished_jobs_are_bounded_in_count(self) -> None:
        first, child = self.start()
        child.exit()
        for _ in range(MOST_FINISHED):
            self.start()[1].exit()
        self.jobs.drop_old()
        self.assertIsNone(self.jobs.find(first.id))
        self.assertEqual(len(self.jobs.all()), MOST_FINISHED)

    def test_a_forgotten_job_keeps_no_output(self) -> None:
        job, child = self.start()
        child.exit()
        self.jobs.forget(job)
        child.write(b"x" * 100)
        self.assertEqual(job.out.parts, ("", 0, ""))


class Ends(JobsCase):
    def test_d_24_another_workspaces_jobs_are_unknown(self) -> None:
        job, _ = self.start()
        other = Jobs(self.processes, program_of, self.clock, "other")
        self.assertIsNone(other.find(job.id))
        self.successResultOf(Deferred.fromCoroutine(other.close()))
        self.assertIsNone(job.end)

    def test_a_kill_goes_on_when_its_asker_gives_up(self) -> None:
        job, child = self.start()
        child.is_stubborn = True
        killing = self.jobs.kill(job)
        killing.cancel()
        self.failureResultOf(killing, CancelledError)
        child.give_in()
        self.assertTrue(self.successResultOf(job.when_done()).killed)

    def test_t_job_07_closing_ends_every_job_at_once_and_empties_the_table(self) -> None:
        jobs = [self.start() for _ in range(3)]
        self.successResultOf(Deferred.fromCoroutine(self.jobs.close()))
        self.assertEqual([job.end and job.end.killed for job, _ in jobs], [True] * 3)
        self.assertEqual(self.jobs.all(), [])
        self.assertEqual(self.processes.ended, ["scope"])
        self.assertEqual([child.graces for _, child in jobs], [[CLOSE_GRACE_S]] * 3)

    def test_t_job_07_closing_keeps_its_deadline_whatever_ignores_it(self) -> None:
        self.start()[1].is_stubborn = True
        closing = Deferred.fromCoroutine(self.jobs.close(0.1))
        self.assertNoResult(closing)
        self.clock.advance(0.1)
        self.successResultOf(closing)

    def test_closing_ends_also_what_finished_commands_left_behind(self) -> None:
        job, child = self.start()
        child.exit()
        self.jobs.forget(job)
        self.successResultOf(Deferred.fromCoroutine(self.jobs.close()))
        self.assertEqual(self.processes.ended, ["scope"])

    def test_closing_costs_nothing_where_no_command_was_run(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.jobs.close()))
        self.assertEqual(self.processes.ended, [])

    def test_after_closing_nothing_starts(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.jobs.close()))
        with self.assertRaisesRegex(Failed, "closing"):
            self.jobs.start("make", "/w")
