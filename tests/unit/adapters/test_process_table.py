"""Which processes belong to what was started: decided on tables that are made up."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.process_table import Root, Seen, belonging, covers, descendants

SERVER = 10


def table(*rows: Seen) -> dict[int, Seen]:
    return {row.pid: row for row in rows}


def seen(pid: int, parent: int = 1, session: int = 0, mark: str = "", **more: object) -> Seen:
    return Seen(pid=pid, parent=parent, group=session, session=session, mark=mark, **{"started_at": 5.0, **more})  # type: ignore[arg-type]


def root(pid: int, mark: str, *, is_alive: bool = True, alone: tuple[float, float] = (0.0, 0.0)) -> Root:
    return Root(pid=pid, mark=mark, is_alive=is_alive, strays_from=alone[0], strays_until=alone[1])


class Belonging(SynchronousTestCase):
    def found(self, rows: dict[int, Seen], *roots: Root, mark: str = "w/1", children: tuple[int, ...] = ()) -> set[int]:
        return belonging(rows, mark, roots, SERVER, children)

    def test_what_carries_the_mark_or_one_under_it(self) -> None:
        rows = table(seen(20, mark="w/1"), seen(21, mark="w/2"), seen(22, mark="w/11"), seen(23, mark="x"))
        self.assertEqual(self.found(rows), {20})
        self.assertEqual(self.found(rows, mark="w"), {20, 21, 22})

    def test_the_session_of_a_living_root(self) -> None:
        rows = table(seen(20, SERVER, 20), seen(21, 20, 20), seen(22, 1, 20))
        self.assertEqual(self.found(rows, root(20, "w/1"), children=(20,)), {20, 21, 22})

    def test_a_number_that_somebody_else_has_now_is_not_touched(self) -> None:
        rows = table(seen(20, 1, 20), seen(21, 20, 20))
        self.assertEqual(self.found(rows, root(20, "w/1", is_alive=False)), set())

    def test_whatever_is_below_one_that_belongs(self) -> None:
        rows = table(seen(20, SERVER, 20, "w/1"), seen(21, 20, 21), seen(22, 21, 22), seen(23, SERVER, 23))
        self.assertEqual(self.found(rows, children=(20, 23)), {20, 21, 22})

    def test_the_dead_are_no_more(self) -> None:
        rows = table(seen(20, SERVER, 20, is_zombie=True), seen(21, 20, 20))
        self.assertEqual(self.found(rows, root(20, "w/1"), children=(20,)), {21})

    def test_an_adopted_orphan_that_is_still_in_the_session(self) -> None:
        rows = table(seen(21, SERVER, 20), seen(22, SERVER, 99))
        self.assertEqual(self.found(rows, root(20, "w/1", is_alive=False)), {21})

    def test_a_bare_orphan_that_began_while_nothing_else_ran(self) -> None:
        bare = table(seen(21, SERVER, 21, is_bare=True))
        self.assertEqual(self.found(bare, root(20, "w/1", alone=(4.0, 6.0))), {21})
        self.assertEqual(self.found(bare, root(20, "w/1", alone=(5.5, 6.0))), set())
        self.assertEqual(self.found(bare, root(20, "w/2", alone=(4.0, 6.0))), set())
        self.assertEqual(self.found(bare, root(20, "w/1")), set())

    def test_a_child_of_another_part_of_the_server_is_nobodys_orphan(self) -> None:
        with_our_environment = table(seen(21, SERVER, 21))
        self.assertEqual(self.found(with_our_environment, root(20, "w/1", alone=(4.0, 6.0))), set())
        known = table(seen(21, SERVER, 21, is_bare=True))
        self.assertEqual(self.found(known, root(20, "w/1", alone=(4.0, 6.0)), children=(21,)), set())

    def test_the_server_itself_never(self) -> None:
        rows = table(seen(SERVER, 1, SERVER, "w/1"))
        self.assertEqual(self.found(rows), set())

    def test_descendants_are_the_living_below_in_sessions_of_their_own(self) -> None:
        below = (seen(20, SERVER, 20), seen(21, 20, 20), seen(22, 21, 20, is_zombie=True), seen(23, SERVER, SERVER))
        rows = table(seen(SERVER, 1, SERVER), *below, seen(30, 1, 30))
        self.assertEqual(descendants(rows, SERVER), {20, 21})

    def test_a_mark_covers_itself_and_what_stands_under_it(self) -> None:
        self.assertTrue(covers("a", "a") and covers("a", "a/1"))
        self.assertFalse(covers("a", "ab") or covers("a/1", "a"))
