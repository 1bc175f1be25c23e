"""Lines typed at a terminal; a pipe stands for it."""

import os

from twisted.trial.unittest import SynchronousTestCase

from txcrush.cli._keyboard import Keyboard
from txcrush.testing.typed_keyboard import TypedReactor


class Typing(SynchronousTestCase):
    def setUp(self) -> None:
        self.reads, self.writes = os.pipe()
        self.addCleanup(os.close, self.reads)
        self.reactor = TypedReactor()
        self.keyboard = Keyboard(self.reactor, self.reads)
        self.heard: list[str | None] = []

    def type(self, data: str) -> None:
        os.write(self.writes, data.encode())
        self.keyboard.doRead()

    def end(self) -> None:
        os.close(self.writes)
        self.keyboard.doRead()

    def test_lines_go_to_those_who_asked_in_order(self) -> None:
        first, second = self.keyboard.line(), self.keyboard.line()
        self.type("one\ntw")
        self.assertEqual(self.successResultOf(first), "one")
        self.assertNoResult(second)
        self.type("o\r\n")
        self.assertEqual(self.successResultOf(second), "two")
        self.end()

    def test_an_asker_that_is_gone_leaves_the_line_to_the_next(self) -> None:
        gone, next_one = self.keyboard.line(), self.keyboard.line()
        gone.cancel()
        gone.addErrback(lambda _: None)
        self.type("one\n")
        self.assertEqual(self.successResultOf(next_one), "one")
        self.end()

    def test_without_an_asker_lines_go_to_the_listener_or_wait(self) -> None:
        self.type("early\n")
        self.keyboard.listener = self.heard.append
        self.type("late\n")
        self.assertEqual(self.heard, ["early", "late"])
        self.end()
        self.assertEqual(self.heard[-1], None)

    def test_what_was_typed_before_anybody_asked_can_be_forgotten(self) -> None:
        self.type("y\n")
        self.keyboard.forget()
        asked = self.keyboard.line()
        self.assertNoResult(asked)
        self.end()
        self.assertIsNone(self.successResultOf(asked))

    def test_at_the_end_everybody_is_told_and_nothing_is_read_any_more(self) -> None:
        asked = self.keyboard.line()
        self.end()
        self.assertIsNone(self.successResultOf(asked))
        self.assertIsNone(self.successResultOf(self.keyboard.line()))
        self.assertEqual(self.reactor.readers, [])
