"""How long a prompt's request waits, by its headers."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcrush.http.preferences import LONGEST_WAIT_S, Waiting, waiting

HELD, AT_ONCE = Waiting(None), Waiting(0)


class Preferences(SynchronousTestCase):
    def test_nothing_holds_the_request_and_a_run_id_does_not(self) -> None:
        self.assertEqual(waiting("", has_run_id=False), HELD)
        self.assertEqual(waiting("", has_run_id=True), AT_ONCE)

    def test_respond_async_answers_at_once_and_is_named(self) -> None:
        for prefer in ("respond-async", "Respond-Async", " respond-async ", "handling=lenient, respond-async"):
            for has_run_id in (False, True):
                self.assertEqual(waiting(prefer, has_run_id=has_run_id), Waiting(0, "respond-async"))

    def test_a_wait_wins_over_everything_and_is_named(self) -> None:
        for prefer in ("wait=30", "WAIT=30", 'wait="30"', "wait = 30", "respond-async, wait=30", "wait=30;x=y"):
            for has_run_id in (False, True):
                self.assertEqual(waiting(prefer, has_run_id=has_run_id), Waiting(30, "wait=30"))

    def test_a_wait_is_at_most_an_hour_and_says_how_long_it_is(self) -> None:
        for prefer in ("wait=3600", "wait=3601", f"wait={'9' * 4000}"):
            self.assertEqual(waiting(prefer, has_run_id=False), Waiting(LONGEST_WAIT_S, "wait=3600"))

    def test_a_wait_of_nothing_is_at_once(self) -> None:
        self.assertEqual(waiting("wait=0", has_run_id=False), Waiting(0, "wait=0"))

    def test_what_cannot_be_understood_is_ignored(self) -> None:
        for prefer in ("wait", "wait=", "wait=-1", "wait=1.5", "wait=x", "wait=٣", "return=minimal", ",,", "await=3"):
            self.assertEqual(waiting(prefer, has_run_id=False), HELD)

    def test_the_first_wait_that_can_be_understood_counts(self) -> None:
        self.assertEqual(waiting("wait=x, wait=2, wait=3", has_run_id=False).seconds, 2)

    @given(st.text(max_size=200), st.booleans())
    def test_no_header_breaks_it_and_what_is_applied_is_plain(self, prefer: str, has_run_id: bool) -> None:
        how = waiting(prefer, has_run_id=has_run_id)
        self.assertTrue(how.seconds is None or 0 <= how.seconds <= LONGEST_WAIT_S)
        self.assertRegex(how.applied, r"\A(|respond-async|wait=\d{1,4})\Z")
