"""Who has shown no token yet."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcrush.http.strangers import Strangers


class Crowds(SynchronousTestCase):
    def test_promise_35_the_oldest_of_the_same_address_makes_room(self) -> None:
        strangers: Strangers[str] = Strangers(2)
        self.assertEqual([strangers.add(name, "a") for name in ("a1", "a2")], [None, None])
        self.assertEqual(strangers.add("b1", "b"), None)
        self.assertEqual(strangers.add("a3", "a"), "a1")
        strangers.forget("a1")
        strangers.forget("a2")
        self.assertEqual(strangers.add("a4", "a"), None)
        self.assertEqual(strangers.oldest(), "b1")

    def test_without_a_bound_nobody_has_to_go(self) -> None:
        strangers: Strangers[int] = Strangers(None)
        self.assertEqual({strangers.add(number, "") for number in range(5000)}, {None})

    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.sampled_from("abc"))))
    def test_nothing_is_kept_of_who_is_gone(self, steps: list[tuple[bool, int, str]]) -> None:
        strangers: Strangers[int] = Strangers(3)
        there: dict[int, str] = {}
        for comes, number, address in steps:
            if not comes:
                strangers.forget(number)
                there.pop(number, None)
            elif number not in there:
                crowding = strangers.add(number, address)
                there[number] = address
                if crowding is not None:
                    self.assertEqual(there.pop(crowding), address)
                    strangers.forget(crowding)
            self.assertEqual(len(strangers), len(there))
            self.assertLessEqual(max((list(there.values()).count(a) for a in "abc"), default=0), 3)
        for number in list(there):
            strangers.forget(number)
        self.assertEqual((strangers.oldest(), strangers._of_address), (None, {}))
