"""The decisions of a session's slot, without any I/O. Numbers: `R-ACC`, `R-CANCEL`, `R-DISP`, `R-QUEUE`."""

from collections import deque
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core import queue
from txcrush.core.queue import UNTRACKED, Decision, Reservation, Slot


@dataclass(eq=False)
class Prompt:
    """A run as a slot sees it."""

    seq: int
    folds: bool = True
    interrupts: bool = False


class Reserving(SynchronousTestCase):
    def test_r_acc_01_a_reservation_counts_once_however_often_it_is_released(self) -> None:
        slot: Slot[Prompt] = Slot()
        reservation = Reservation(slot)
        self.assertEqual(slot.accepted, 1)
        reservation.release()
        reservation.release()
        self.assertEqual(slot.accepted, 0)

    def test_r_acc_02_reservations_of_a_session_are_counted_independently(self) -> None:
        slot: Slot[Prompt] = Slot()
        first, _second = Reservation(slot), Reservation(slot)
        first.release()
        self.assertEqual(slot.accepted, 1)

    def test_r_acc_03_a_released_reservation_holds_no_slot(self) -> None:
        slot: Slot[Prompt] = Slot()
        reservation = Reservation(slot)
        reservation.release()
        self.assertTrue(slot.is_idle)
        reservation.release()
        self.assertTrue(slot.is_idle)


class Deciding(SynchronousTestCase):
    def test_an_idle_session_runs_the_prompt(self) -> None:
        slot: Slot[Prompt] = Slot()
        prompt = Prompt(1)
        self.assertIs(queue.decide(slot, prompt, Reservation(slot)), Decision.RUN)
        self.assertIs(slot.active, prompt)
        self.assertEqual(slot.accepted, 0)

    def test_r_disp_01_of_eight_prompts_one_runs_and_seven_queue_in_order(self) -> None:
        slot: Slot[Prompt] = Slot()
        prompts = [Prompt(seq) for seq in range(1, 9)]
        tickets = [Reservation(slot) for _ in prompts]
        decisions = [queue.decide(slot, prompt, ticket) for prompt, ticket in zip(prompts, tickets, strict=True)]
        self.assertEqual(decisions, [Decision.RUN] + [Decision.QUEUE] * 7)
        self.assertEqual([prompt.seq for prompt in slot.queue], [2, 3, 4, 5, 6, 7, 8])

    def test_an_interrupting_prompt_goes_to_the_front_of_the_queue(self) -> None:
        slot: Slot[Prompt] = Slot(active=Prompt(1), queue=deque([Prompt(2)]))
        decision = queue.decide(slot, Prompt(3, interrupts=True), Reservation(slot))
        self.assertIs(decision, Decision.INTERRUPT)
        self.assertEqual([prompt.seq for prompt in slot.queue], [3, 2])

    def test_r_disp_03_only_the_active_run_hands_off(self) -> None:
        newer = Prompt(2)
        slot: Slot[Prompt] = Slot(active=newer)
        handed = queue.hand_off(slot, Prompt(1))
        self.assertIsNone(handed.next)
        self.assertIs(slot.active, newer)


class Cancelling(SynchronousTestCase):
    def test_r_cancel_01_an_idle_session_records_nothing(self) -> None:
        slot: Slot[Prompt] = Slot()
        self.assertEqual(queue.cancel(slot, 7), [])
        self.assertEqual(slot.mark, 0)

    def test_r_cancel_02_an_accepted_prompt_is_marked(self) -> None:
        slot: Slot[Prompt] = Slot()
        Reservation(slot)
        queue.cancel(slot, 3)
        self.assertEqual(slot.mark, 3)

    def test_r_cancel_03_cancelling_again_leaves_one_mark(self) -> None:
        slot: Slot[Prompt] = Slot()
        Reservation(slot)
        queue.cancel(slot, 3)
        queue.cancel(slot, 3)
        self.assertEqual(slot.mark, 3)

    def test_r_cancel_04_a_covered_prompt_is_cancelled_on_entry_and_the_mark_goes(self) -> None:
        slot: Slot[Prompt] = Slot()
        ticket = Reservation(slot)
        queue.cancel(slot, 1)
        self.assertIs(queue.decide(slot, Prompt(1), ticket), Decision.CANCELLED)
        self.assertEqual((slot.mark, slot.accepted, slot.active), (0, 0, None))

    def test_r_cancel_08_and_r_cancel_16_the_mark_goes_with_the_last_reservation(self) -> None:
        slot: Slot[Prompt] = Slot()
        first, second = Reservation(slot), Reservation(slot)
        queue.cancel(slot, 2)
        first.release()
        self.assertEqual(slot.mark, 2)
        second.release()
        self.assertEqual(slot.mark, 0)

    def test_r_cancel_09_active_and_accepted_are_both_covered(self) -> None:
        active = Prompt(1)
        slot: Slot[Prompt] = Slot(active=active)
        Reservation(slot)
        queue.cancel(slot, 2)
        self.assertIs(slot.active, active)
        self.assertEqual(slot.mark, 2)

    def test_r_cancel_10_the_mark_is_asked_before_busy(self) -> None:
        slot: Slot[Prompt] = Slot(active=Prompt(1))
        ticket = Reservation(slot)
        queue.cancel(slot, 2)
        self.assertIs(queue.decide(slot, Prompt(2), ticket), Decision.CANCELLED)
        self.assertEqual(list(slot.queue), [])

    def test_r_cancel_11_a_drain_drops_what_is_covered_and_clears_the_mark(self) -> None:
        slot: Slot[Prompt] = Slot(active=Prompt(1), queue=deque([Prompt(2), Prompt(3)]), mark=3)
        drained = queue.drain(slot)
        self.assertEqual([prompt.seq for prompt in drained.dropped], [2, 3])
        self.assertEqual((drained.folded, list(slot.queue), slot.mark), ([], [], 0))

    def test_r_cancel_12_a_normal_end_clears_a_stale_mark(self) -> None:
        active = Prompt(1)
        slot: Slot[Prompt] = Slot(active=active, mark=5)
        queue.hand_off(slot, active)
        self.assertEqual(slot.mark, 0)

    def test_r_cancel_13_one_cancel_covers_two_accepted_prompts(self) -> None:
        slot: Slot[Prompt] = Slot()
        tickets = [Reservation(slot), Reservation(slot)]
        queue.cancel(slot, 2)
        decisions = [queue.decide(slot, Prompt(seq), tickets[seq - 1]) for seq in (1, 2)]
        self.assertEqual(decisions, [Decision.CANCELLED] * 2)
        self.assertEqual((slot.accepted, list(slot.queue)), (0, []))

    def test_r_cancel_14_an_idle_cancel_does_not_touch_the_next_prompt(self) -> None:
        slot: Slot[Prompt] = Slot()
        queue.cancel(slot, 9)
        self.assertIs(queue.decide(slot, Prompt(10), Reservation(slot)), Decision.RUN)

    def test_r_cancel_15_a_later_prompt_runs_and_uses_up_no_mark(self) -> None:
        slot: Slot[Prompt] = Slot()
        first, second = Reservation(slot), Reservation(slot)
        queue.cancel(slot, 2)
        third = Reservation(slot)
        later = Prompt(3)
        self.assertIs(queue.decide(slot, later, third), Decision.RUN)
        self.assertEqual(slot.mark, 2)
        self.assertIs(queue.decide(slot, Prompt(1), first), Decision.CANCELLED)
        self.assertIs(queue.decide(slot, Prompt(2), second), Decision.CANCELLED)
        self.assertEqual(slot.mark, 0)
        self.assertIs(slot.active, later)

    def test_r_cancel_17_an_untracked_prompt_is_covered_by_any_mark(self) -> None:
        self.assertTrue(queue.is_covered(Slot(mark=1), Prompt(UNTRACKED)))
        self.assertFalse(queue.is_covered(Slot(), Prompt(UNTRACKED)))


class Queueing(SynchronousTestCase):
    def test_r_queue_01_a_drain_takes_only_what_stands_above_the_mark(self) -> None:
        slot: Slot[Prompt] = Slot(active=Prompt(9), queue=deque(Prompt(seq) for seq in (1, 2, 3, UNTRACKED)), mark=2)
        drained = queue.drain(slot)
        self.assertEqual([prompt.seq for prompt in drained.folded], [3])
        self.assertEqual([prompt.seq for prompt in drained.dropped], [1, 2, UNTRACKED])
        self.assertEqual(list(slot.queue), [])

    def test_r_queue_02_without_a_mark_all_that_fold_are_folded(self) -> None:
        slot: Slot[Prompt] = Slot(active=Prompt(9), queue=deque([Prompt(5), Prompt(UNTRACKED), Prompt(1)]))
        self.assertEqual([prompt.seq for prompt in queue.drain(slot).folded], [5, UNTRACKED, 1])

    def test_r_queue_03_prompts_with_turns_of_their_own_stay_in_order(self) -> None:
        own = [Prompt(2, folds=False), Prompt(4, folds=False)]
        slot: Slot[Prompt] = Slot(active=Prompt(1), queue=deque([own[0], Prompt(3), own[1], Prompt(5)]))
        drained = queue.drain(slot)
        self.assertEqual([prompt.seq for prompt in drained.folded], [3, 5])
        self.assertEqual(list(slot.queue), own)

    def test_r_queue_04_covered_prompts_are_reported_whether_they_fold_or_not(self) -> None:
        slot: Slot[Prompt] = Slot(active=Prompt(1), queue=deque([Prompt(2, folds=False), Prompt(3)]), mark=3)
        self.assertEqual([prompt.seq for prompt in queue.drain(slot).dropped], [2, 3])

    def test_r_queue_10_a_hand_off_drops_only_what_is_covered(self) -> None:
        active = Prompt(1)
        slot: Slot[Prompt] = Slot(active=active, queue=deque([Prompt(2), Prompt(3)]), mark=2)
        handed = queue.hand_off(slot, active)
        self.assertEqual([prompt.seq for prompt in handed.dropped], [2])
        self.assertEqual(handed.next.seq if handed.next else None, 3)

    def test_r_queue_12_the_next_run_is_active_at_once(self) -> None:
        active, waiting = Prompt(1), Prompt(2)
        slot: Slot[Prompt] = Slot(active=active, queue=deque([waiting]))
        self.assertIs(queue.hand_off(slot, active).next, waiting)
        self.assertIs(slot.active, waiting)


class Restoring(SynchronousTestCase):
    def test_what_a_restart_finds_waiting_keeps_its_order_and_the_first_becomes_active(self) -> None:
        slot: Slot[Prompt] = Slot()
        prompts = [Prompt(1), Prompt(2), Prompt(3)]
        for prompt in prompts:
            queue.restore(slot, prompt)
        self.assertIs(queue.resume(slot), prompts[0])
        self.assertEqual((slot.active, list(slot.queue)), (prompts[0], prompts[1:]))

    def test_what_wanted_to_run_next_runs_first(self) -> None:
        slot: Slot[Prompt] = Slot()
        for prompt in (Prompt(1), Prompt(2, interrupts=True), Prompt(3)):
            queue.restore(slot, prompt)
        first = queue.resume(slot)
        assert first is not None
        self.assertEqual((first.seq, [prompt.seq for prompt in slot.queue]), (2, [1, 3]))

    def test_nothing_resumes_in_an_empty_or_busy_slot(self) -> None:
        self.assertIsNone(queue.resume(Slot()))
        busy: Slot[Prompt] = Slot(active=Prompt(1), queue=deque([Prompt(2)]))
        self.assertIsNone(queue.resume(busy))
        self.assertEqual(len(busy.queue), 1)
