"""What a message has more than in its state before. Pure."""

from dataclasses import dataclass, field

from txcrush.model.events import Change, MessageDelta
from txcrush.model.ids import MessageId
from txcrush.model.messages import Message, Part, Reasoning, Role, Text


@dataclass
class States:
    """The latest state, and its number, of every assistant message that has no finish yet: so many as are written."""

    _latest: dict[MessageId, tuple[int, Message]] = field(default_factory=dict)

    def step(self, seq: int, message: Message, change: Change) -> tuple[int, MessageDelta | None]:
        """Note the state of that number. Returns the number of the one before, 0 where none is known, and what has
        grown since, where it is one part's text and nothing else."""
        since, before = self._latest.pop(message.id, (0, None))
        if message.role == Role.ASSISTANT and message.finish is None and change != Change.DELETED:
            self._latest[message.id] = (seq, message)
        return since, None if before is None or change == Change.DELETED else growth(before, message)

    def is_open(self, message_id: MessageId) -> bool:
        """Whether the message will change again."""
        return message_id in self._latest


def growth(before: Message, after: Message) -> MessageDelta | None:
    """What one text or reasoning part has more, where that is all that has changed; else None. A part that was empty
    begins, which the whole state tells."""
    if len(before.parts) != len(after.parts):
        return None
    pairs = zip(before.parts, after.parts, strict=True)
    changed = [(number, old, new) for number, (old, new) in enumerate(pairs) if old != new]
    if len(changed) != 1:
        return None
    number, old, new = changed[0]
    text = _added(old, new)
    return MessageDelta(after.id, after.session_id, number, text) if text else None


def _added(old: Part, new: Part) -> str:
    match old, new:
        case Text(), Text():
            was, now = old.text, new.text
        case Reasoning(), Reasoning() if _seal(old) == _seal(new):
            was, now = old.thinking, new.thinking
        case _:
            return ""
    return now[len(was) :] if was and now.startswith(was) else ""


def _seal(part: Reasoning) -> tuple[str, int, int]:
    return part.signature, part.started_at, part.finished_at
