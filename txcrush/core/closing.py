"""The last words of a turn: what ends it in the transcript."""

from msgspec import Struct

from txcrush.model.errors import BudgetExhausted, CrushError, ProviderError
from txcrush.model.events import Event
from txcrush.model.ids import MessageId
from txcrush.model.storage import StoreChange

CANCELLED_TOOL = "Error: user cancelled assistant tool calling"
FAILED_TOOL = "There was an error while executing the tool"


class Closing(Struct, frozen=True):
    """The last words of a turn: what to write, what to publish, and what the run's end says."""

    changes: tuple[StoreChange, ...] = ()
    events: tuple[Event, ...] = ()
    message_id: MessageId = MessageId("")
    text: str = ""


def describe(error: Exception) -> tuple[str, str]:
    """Title and details of a failure, for the finish part (`agent.md` 8.3)."""
    if isinstance(error, ProviderError):
        return error.title or "Provider Error", error.message
    if isinstance(error, BudgetExhausted):
        return error.title, error.message
    return "Provider Error", error.message if isinstance(error, CrushError) else str(error) or type(error).__name__
