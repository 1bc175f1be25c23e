import signal
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.lifetime import FORCE_S, STOP_S, Lifetime
from txcrush.model.errors import Failed


class FakeReactor(Clock):
    """Runs what waits for the start at once; `stop` runs the services' stop as `twist` arranges it."""

    def __init__(self) -> None:
        super().__init__()
        self.stops = 0
        self.after_shutdown: list[Callable[[], object]] = []
        self.from_threads: list[Callable[[], object]] = []

    def callWhenRunning(self, callable: Callable[..., object], *args: object) -> None:
        callable(*args)

    def addSystemEventTrigger(self, phase: str, event: str, callable: Callable[..., object], *args: object) -> None:
        assert (phase, event) == ("after", "shutdown")
        self.after_shutdown.append(lambda: callable(*args))

    def callFromThread(self, callable: Callable[..., object], *args: object) -> None:
        self.from_threads.append(lambda: callable(*args))

    def stop(self) -> None:
        self.stops += 1


class RecordedProcess:
    """Notes what a process would have done."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.exits: list[int] = []
        self.exit_after_s: float | None = None
        self.settled = False
        self.adopts = False
        self.signalled: Callable[[int], None] = lambda _: None

    def raise_file_limit(self) -> None:
        pass

    def adopt_orphans(self) -> None:
        self.adopts = True

    def catch_signals(self, handler: Callable[[int], None]) -> None:
        self.signalled = handler

    def settle(self) -> None:
        self.settled = True

    def say(self, line: str) -> None:
        self.said.append(line)

    def exit_after(self, delay_s: float) -> None:
        self.exit_after_s = self.exit_after_s or delay_s

    def exit(self, status: int) -> None:
        self.exits.append(status)


class ScriptedServer:
    def __init__(self, started: "Deferred[None]", stopped: "Deferred[None]") -> None:
        self.started = started
        self.stopped = stopped
        self.calls: list[str] = []

    def startService(self) -> None:
        self.calls.append("start")

    def when_started(self) -> "Deferred[None]":
        return self.started

    def stopService(self) -> "Deferred[None]":
        self.calls.append("stop")
        return self.stopped


class LifetimeTests(SynchronousTestCase):
    def launch(
        self, started: "Deferred[None] | None" = None, stopped: "Deferred[None] | None" = None
    ) -> tuple[Lifetime, ScriptedServer]:
        server = ScriptedServer(started or succeed(None), stopped or succeed(None))

        def build(stop: Callable[[], None]) -> ScriptedServer:
            self.stop = stop
            return server

        return self.launch_built(build), server

    def launch_built(self, build: Callable[[Callable[[], None]], ScriptedServer]) -> Lifetime:
        self.reactor = FakeReactor()
        self.process = RecordedProcess()
        lifetime = Lifetime(self.reactor, self.process, build)
        lifetime.startService()
        return lifetime

    def test_a_started_server_settles_the_process(self) -> None:
        started: Deferred[None] = Deferred()
        _, server = self.launch(started)
        self.assertEqual((server.calls, self.process.settled), (["start"], False))
        started.callback(None)
        self.assertTrue(self.process.settled)

    def test_p84_the_first_signal_stops_the_reactor_once(self) -> None:
        self.launch()
        self.process.signalled(signal.SIGTERM)
        self.assertEqual(self.reactor.stops, 0)
        for call in self.reactor.from_threads:
            call()
        self.stop()
        self.assertEqual((self.reactor.stops, self.process.exits), (1, []))
        self.assertEqual(self.process.exit_after_s, FORCE_S)

    def test_p84_the_second_signal_forces_without_waiting_for_the_reactor(self) -> None:
        self.launch()
        self.process.signalled(signal.SIGTERM)
        self.process.signalled(signal.SIGINT)
        self.assertEqual(self.process.exits, [1])

    def test_p84_the_stop_waits_for_the_server(self) -> None:
        stopped: Deferred[None] = Deferred()
        lifetime, server = self.launch(stopped=stopped)
        ended = lifetime.stopService()
        self.assertEqual(server.calls, ["start", "stop"])
        self.assertNoResult(ended)
        stopped.callback(None)
        self.assertIsNone(self.successResultOf(ended))

    def test_p84_a_server_that_cannot_stop_is_left_in_time(self) -> None:
        lifetime, _ = self.launch(stopped=Deferred())
        ended = lifetime.stopService()
        self.reactor.advance(STOP_S)
        self.assertIsNone(self.successResultOf(ended))
        self.assertLess(STOP_S, FORCE_S)
        self.assertEqual(self.process.exit_after_s, FORCE_S)

    def test_a_stop_that_fails_is_logged_and_ends_the_process(self) -> None:
        lifetime, _ = self.launch(stopped=fail(ZeroDivisionError()))
        self.assertIsNone(self.successResultOf(lifetime.stopService()))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_the_server_may_ask_for_the_end(self) -> None:
        self.launch()
        self.stop()
        self.assertEqual(self.reactor.stops, 1)

    def test_a_refused_start_is_one_line_and_status_1(self) -> None:
        for error in (Failed("/run/x.sock: a server is already listening"), OSError(13, "Permission denied", "/run/x")):
            self.launch(started=fail(error))
            self.assertEqual(self.process.said, [f"txcrush: {error}"])
            self.assertEqual((self.reactor.stops, self.process.exits), (1, []))
            self.reactor.after_shutdown[0]()
            self.assertEqual(self.process.exits, [1])

    def test_a_start_that_fails_by_a_defect_is_logged_with_its_traceback(self) -> None:
        def build(_stop: Callable[[], None]) -> ScriptedServer:
            raise ZeroDivisionError

        lifetime = self.launch_built(build)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.reactor.stops, 1)
        self.assertIsNone(self.successResultOf(lifetime.stopService()))

    def test_a_stop_during_the_start_is_no_failure(self) -> None:
        lifetime, server = self.launch(started=Deferred())
        self.assertIsNone(self.successResultOf(lifetime.stopService()))
        self.assertEqual(server.calls, ["start", "stop"])
        self.assertEqual((self.process.said, self.reactor.after_shutdown), ([], []))
