"""Errors on the wire: one table from code to status, one shape of body."""

from txcrush.model.errors import CrushError
from txcrush.wire.json import encode_body
from txcrush.wire.v1 import ErrorBody

STATUS = {
    "decode_failed": 400,
    "bad_request": 400,
    "agent_not_initialized": 400,
    "token_needed": 401,
    "workspace_not_found": 404,
    "not_found": 404,
    "run_not_found": 404,
    "session_busy": 409,
    "run_id_reused": 409,
    "run_folded": 409,
    "workspace_closing": 409,
    "client_not_attached": 409,
    "client_retired": 409,
    "hosting_live_workspaces": 409,
    "body_too_large": 413,
    "unsupported": 501,
    "shutting_down": 503,
    "storage_busy": 503,
}
"""Codes that are not here are 500: the reference answers its own errors so, `prompt is empty` among them."""


def status_of(error: CrushError) -> int:
    return STATUS.get(error.code, 500)


def error_body(message: str) -> bytes:
    """`{"message": ...}` and a newline."""
    return encode_body(ErrorBody(message))
