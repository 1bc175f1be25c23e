"""What a message has more than before."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.growth import States, growth
from txcrush.model.events import Change, MessageDelta
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Finish, FinishReason, Message, Part, Reasoning, Role, Text, ToolCall

M, S = MessageId("m"), SessionId("s")


def message(*parts: Part, role: Role = Role.ASSISTANT) -> Message:
    return Message(M, S, role, parts)


class Growth(SynchronousTestCase):
    def test_text_or_reasoning_that_grew_and_nothing_else(self) -> None:
        for before, after, expected in [
            ((Text("a"),), (Text("ab"),), (0, "b")),
            ((Reasoning("r"), Text("a")), (Reasoning("r"), Text("a\U0001f600")), (1, "\U0001f600")),
            ((Reasoning("r"),), (Reasoning("rs"),), (0, "s")),
        ]:
            self.assertEqual(growth(message(*before), message(*after)), MessageDelta(M, S, *expected))

    def test_anything_else_is_told_as_a_whole(self) -> None:
        call, other = ToolCall("c", "view"), ToolCall("c", "view", "{}", finished=True)
        for before, after in [
            ((), (Text("a"),)),
            ((Text(""),), (Text("a"),)),
            ((Text("a"),), (Text("a"),)),
            ((Text("ab"),), (Text("a"),)),
            ((Text("ab"),), (Text("xb"),)),
            ((Text("a"),), (Text("ab"), call)),
            ((Text("a"), call), (Text("ab"), other)),
            ((call,), (other,)),
            ((Reasoning("r"), Text("a")), (Reasoning("rs"), Text("ab"))),
            ((Reasoning("r"),), (Reasoning("rs", finished_at=1),)),
            ((Reasoning("r"),), (Text("rs"),)),
        ]:
            self.assertIsNone(growth(message(*before), message(*after)), (before, after))


class Numbers(SynchronousTestCase):
    def setUp(self) -> None:
        self.states = States()

    def test_growth_names_the_number_of_the_state_that_it_goes_on_from(self) -> None:
        self.assertEqual(self.states.step(1, message(Text("a")), Change.CREATED), (0, None))
        since, delta = self.states.step(5, message(Text("ab")), Change.UPDATED)
        self.assertEqual((since, delta), (1, MessageDelta(M, S, 0, "b")))
        self.assertEqual(self.states.step(6, message(Text("c")), Change.UPDATED), (5, None))

    def test_a_message_that_will_not_change_again_is_forgotten(self) -> None:
        ends = [
            (message(Text("a"), Finish(FinishReason.END_TURN, 1)), Change.UPDATED),
            (message(Text("a")), Change.DELETED),
            (message(Text("a"), role=Role.USER), Change.UPDATED),
        ]
        for last, change in ends:
            self.states.step(1, message(Text("a")), Change.CREATED)
            self.assertTrue(self.states.is_open(M))
            self.states.step(2, last, change)
            self.assertFalse(self.states.is_open(M))
            self.assertEqual(self.states._latest, {})
