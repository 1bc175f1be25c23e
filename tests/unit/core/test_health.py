"""What is wrong, and when it is not wrong any more."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.health import LOOK_S, OPEN_FAILURE_S, STALL_S, Health
from txcrush.core.loop_lag import LoopLag
from txcrush.core.observations import Observations, OpenFailure
from txcrush.model.vitals import Disk, Severity, Vitals

GIB = 1024**3


class Examining(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.observed = Observations()
        self.lag = LoopLag(self.clock)
        self.vitals: Vitals | None = Vitals(open_files=10, file_limit=100, disks=(Disk("/d", 50 * GIB, 100 * GIB),))
        self.health = Health(self.observed, self.lag, self.take, lambda: ["/d"], self.clock)
        self.health.start()

    def take(self, directories: Sequence[str]) -> "Deferred[Vitals]":
        self.assertEqual(directories, ["/d"])
        return succeed(self.vitals) if self.vitals is not None else fail(OSError("no /proc"))

    def told(self) -> list[tuple[str, Severity]]:
        return [(problem.code, problem.severity) for problem in self.health.problems()]

    def look(self, **vitals: object) -> None:
        self.vitals = Vitals(**vitals)  # type: ignore[arg-type]
        self.clock.advance(LOOK_S)

    def test_a_server_that_is_well_has_nothing_to_tell(self) -> None:
        self.assertEqual(self.told(), [])

    def test_a_write_that_failed_is_an_error_until_the_next_one_succeeds(self) -> None:
        figures = self.observed.databases.opened("/p/.crush")
        figures.waiting = 3
        figures.settled(2, 0.1, "disk I/O error")
        self.assertEqual(self.told(), [("storage_failing", Severity.ERROR)])
        self.assertIn("/p/.crush cannot be written: disk I/O error", self.health.problems()[0].message)
        figures.settled(1, 0.1, "")
        self.assertEqual((self.told(), self.observed.databases.waiting), ([], 0))

    def test_promise_75_a_database_that_was_damaged_is_told_of_while_it_is_open(self) -> None:
        self.observed.databases.opened("/p").moved_aside = "/p/txcrush.db.corrupt-1"
        self.assertEqual(self.told(), [("database_was_damaged", Severity.WARNING)])
        self.assertIn("/p/txcrush.db.corrupt-1", self.health.problems()[0].action)
        self.assertEqual(self.health.errors(), [])

    def test_promise_73_a_disk_that_takes_no_writes_is_an_error(self) -> None:
        stalls = iter([STALL_S - 1, STALL_S, 0.0])
        self.observed.databases.opened("/p").stalled_s = lambda: next(stalls)
        self.assertEqual(self.told(), [])
        self.assertEqual(self.told(), [("storage_stalled", Severity.ERROR)])
        self.assertEqual(self.told(), [])

    def test_a_database_that_is_closed_is_no_problem_any_more(self) -> None:
        self.observed.databases.opened("/d").settled(0, 0.1, "full")
        self.observed.databases.closed("/d")
        self.assertEqual(self.told(), [])

    def test_a_directory_that_was_not_opened_is_told_of_until_it_is_or_an_hour_has_passed(self) -> None:
        failures = self.observed.open_failures
        failures.note("/a", OpenFailure("corrupt", self.clock.seconds(), storage=True))
        failures.note("/b", OpenFailure("bad config", self.clock.seconds(), storage=False))
        expected = [("workspace_not_opened", Severity.ERROR), ("workspace_not_opened", Severity.WARNING)]
        self.assertEqual(self.told(), expected)
        self.assertEqual(len(self.health.errors()), 1)
        failures.forget("/a")
        self.assertEqual(self.told(), expected[1:])
        self.clock.advance(OPEN_FAILURE_S)
        self.assertEqual(self.told(), [])

    def test_of_many_directories_the_newest_are_remembered(self) -> None:
        for number in range(1000):
            self.observed.open_failures.note(f"/{number}", OpenFailure("no", 0.0, storage=False))
        self.assertEqual(len(self.observed.open_failures.by_path), 32)
        self.assertIn("/999", self.observed.open_failures.by_path)

    def test_a_loop_that_is_late_for_long_is_a_problem(self) -> None:
        for mean_s, expected in ((0.05, []), (0.2, [Severity.WARNING]), (0.7, [Severity.ERROR])):
            self.lag.mean_s = mean_s
            self.assertEqual([severity for _, severity in self.told()], expected)

    def test_file_descriptors_that_run_out(self) -> None:
        self.look(open_files=81, file_limit=100)
        self.assertEqual(self.told(), [("files_low", Severity.WARNING)])
        self.look(open_files=96, file_limit=100)
        self.assertEqual(self.told(), [("files_exhausted", Severity.ERROR)])
        self.look(open_files=5000, file_limit=0)
        self.assertEqual(self.told(), [])

    def test_disks_that_fill_up(self) -> None:
        self.look(disks=(Disk("/d", GIB // 4, 100 * GIB),))
        self.assertEqual(self.told(), [("disk_low", Severity.WARNING)])
        self.look(disks=(Disk("/d", 1024, 1024 * 1024), Disk("/e", GIB, GIB)))
        self.assertEqual(self.told(), [("disk_full", Severity.ERROR)])

    def test_errors_come_first_and_every_problem_says_what_to_do(self) -> None:
        self.observed.databases.opened("/d").settled(0, 0.1, "full")
        self.lag.mean_s = 0.2
        self.look(open_files=96, file_limit=100, disks=(Disk("/d", 0, GIB),))
        self.assertEqual([severity.value for _, severity in self.told()], ["error"] * 3 + ["warning"])
        self.assertTrue(all(problem.action for problem in self.health.problems()))

    def test_what_cannot_be_looked_at_harms_nothing(self) -> None:
        self.vitals = None
        self.clock.advance(LOOK_S)
        self.assertEqual(self.told(), [])
        self.look(open_files=96, file_limit=100)
        self.assertEqual(len(self.told()), 1)

    def test_stopped_it_looks_no_more(self) -> None:
        self.health.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
