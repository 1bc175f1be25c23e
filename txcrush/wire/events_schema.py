"""What the event stream carries, as JSON Schema: one envelope for each kind of event, with its payload's type."""

from msgspec import Struct

from txcrush.model.events import Change, ConfigChanged, EventKind, MessageDelta, Reset, RunComplete
from txcrush.model.permissions import PermissionNotification, PermissionRequest
from txcrush.model.questions import QuestionBatch, QuestionNotification
from txcrush.wire.v1 import AgentEventBody, FileBody, MessageBody, SessionBody

EVENT = "Event"

PAYLOADS: dict[EventKind, type[Struct]] = {
    EventKind.SESSION: SessionBody,
    EventKind.MESSAGE: MessageBody,
    EventKind.MESSAGE_DELTA: MessageDelta,
    EventKind.FILE: FileBody,
    EventKind.PERMISSION_REQUEST: PermissionRequest,
    EventKind.PERMISSION_NOTIFICATION: PermissionNotification,
    EventKind.QUESTION_BATCH_REQUEST: QuestionBatch,
    EventKind.QUESTION_BATCH_NOTIFICATION: QuestionNotification,
    EventKind.AGENT_EVENT: AgentEventBody,
    EventKind.RUN_COMPLETE: RunComplete,
    EventKind.CONFIG_CHANGED: ConfigChanged,
    EventKind.RESET: Reset,
}
"""The payload of each kind that this version publishes."""


def event_schemas(ref: str) -> dict[str, object]:
    """The schema `Event`; `ref` is how another one is referred to, with `{name}`."""
    kinds = [_envelope(kind, ref.format(name=payload.__name__)) for kind, payload in PAYLOADS.items()]
    return {
        EVENT: {
            "title": EVENT,
            "description": "The data of one event of the stream: what (`type`), how (`payload.type`), and the thing "
            "itself. A client passes over kinds that it does not know.",
            "oneOf": kinds,
        }
    }


def _envelope(kind: EventKind, payload: str) -> dict[str, object]:
    changes = [change.value for change in Change]
    inner = {
        "type": "object",
        "properties": {"type": {"enum": changes}, "payload": {"$ref": payload}},
        "required": ["type", "payload"],
    }
    return {
        "title": kind.value,
        "type": "object",
        "properties": {"type": {"const": kind.value}, "payload": inner},
        "required": ["type", "payload"],
    }
