"""The HTTP interface described as OpenAPI 3.1: `/v1/openapi.json`.

Theory. A route says what only it knows (`Operation`); what holds for all of them is said here once: who may ask, which
refusals come before any route, the one shape of errors, what the event stream carries. Types are the very Structs that
are decoded and encoded, so the description cannot say another thing than the server does. Their docstrings and the
first sentence of each handler's are what people read: they are written for them.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, field

from txcrush.model.errors import BadRequest, CrushError, Failed, WorkspaceNotFound
from txcrush.wire.errors import STATUS
from txcrush.wire.events_schema import EVENT, PAYLOADS, event_schemas
from txcrush.wire.json import encode_body
from txcrush.wire.parameters import PathParameters
from txcrush.wire.v1 import PARTS, ErrorBody

STREAM = "text/event-stream"
JSON = "application/json"

ABOUT = """\
A server for AI coding agents: a run belongs to the server, not to the request that started it.

Where to begin: `POST /v1/workspaces` with the path of a project opens it, `POST …/sessions` begins a conversation,
`POST …/agent` prompts, `GET …/events` tells what happens.

Bodies are JSON. In a request `null` means absent, keys match without regard to case, and fields that the server does
not know are ignored; clients should ignore what they do not know in answers and events, too. A body may have 10 MiB
and 64 levels. Every error has the one shape `Error`."""

SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of the server's token file. It is asked on TCP; the Unix socket asks for none.",
    },
    "page": {
        "type": "apiKey",
        "in": "cookie",
        "name": "txcrush-PORT",
        "description": "What a browser page gets for the token; it counts for requests of the server's own pages.",
    },
}

REFUSALS = {
    400: "The request is malformed, or holds what the server cannot use.",
    401: "No token, or a wrong one.",
    403: "The request comes from a page of another origin.",
    408: "The request took too long to arrive.",
    413: "The body is larger than 10 MiB.",
    415: "The body is not `application/json`, which it has to be on TCP.",
    421: "The server does not answer to this host name; `--host-allow` adds one.",
    429: "Too many wrong tokens came from this address.",
    431: "The head of the request is too large.",
    500: "Something failed; the message says what.",
    503: "The server stops, or has too much to do.",
}
"""What any route may answer, beside its own errors."""

WITH_BODY = (413, 415)
FIELDS = {
    401: {"WWW-Authenticate": {"description": "`Bearer`", "schema": {"type": "string"}}},
    429: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
}
ERROR = "Error"
REF = "#/components/schemas/{name}"


class Operation(Struct, frozen=True, kw_only=True):
    """A route as it is described.

    `path` has its parameters in angle brackets. `doc` is the handler's docstring. `answers` are the types of its
    successes by status, None for an empty body.
    """

    method: str
    path: str
    tag: str
    name: str
    doc: str
    body: type[Struct] | None = None
    optional_body: bool = False
    answers: dict[int, Any]
    media: str = JSON
    query: type[Struct] | None = None
    headers: type[Struct] | None = None
    labels: type[Struct] | None = None
    errors: tuple[type[CrushError], ...] = ()


class Tag(Struct, frozen=True):
    """A family of routes."""

    name: str
    description: str = field(default="")


def document(operations: Iterable[Operation], tags: Iterable[Tag], version: str) -> bytes:
    """The description as JSON, with a newline."""
    listed = list(operations)
    schemas = _Schemas(listed)
    paths: dict[str, dict[str, object]] = {}
    for operation in listed:
        at = paths.setdefault(templated(operation.path), {})
        at[operation.method.lower()] = _operation(operation, schemas)
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "txcrush", "version": version, "description": ABOUT, "license": _LICENCE},
        "servers": [{"url": "..", "description": "The server that this was read from."}],
        "security": [*({name: []} for name in SECURITY), {}],
        "tags": [{"name": tag.name, "description": tag.description} for tag in tags],
        "paths": paths,
        "components": {
            "securitySchemes": SECURITY,
            "responses": {str(status): _refusal(status, text) for status, text in REFUSALS.items()},
            "schemas": schemas.components,
        },
    }
    return encode_body(whole)


_LICENCE = {"name": "MIT", "identifier": "MIT"}


def templated(path: str) -> str:
    """The path as OpenAPI writes it: `<path:name>` becomes `{name}`."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)


def parameters_of(path: str) -> list[str]:
    return re.findall(r"{(\w+)}", templated(path))


def summary_and_rest(doc: str) -> tuple[str, str]:
    """The first sentence without its full stop, and what follows; lines are joined, paragraphs are kept."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", doc.strip())]
    summary, _, rest = paragraphs[0].partition(". ")
    return summary.removesuffix("."), "\n\n".join(part for part in (rest, *paragraphs[1:]) if part)


class _Schemas:
    """The schemas of all types that are named, in one pass: each type has one."""

    def __init__(self, operations: list[Operation]) -> None:
        self._types = [kind for operation in operations for kind in _types_of(operation) if kind is not None]
        asked = [*self._types, PathParameters, ErrorBody, *PARTS.values(), *PAYLOADS.values()]
        schemas, components = msgspec.json.schema_components(asked, schema_hook=_anything, ref_template=REF)
        self._schemas = list(schemas)
        self._all = components
        self._parameters = {"PathParameters"} | {
            kind.__name__
            for operation in operations
            for kind in (operation.query, operation.headers, operation.labels)
            if kind is not None
        }

    @property
    def components(self) -> dict[str, object]:
        """Those that bodies and events have, by name."""
        kept = {name: schema for name, schema in self._all.items() if name not in self._parameters}
        kept[ERROR] = {**kept.pop("ErrorBody"), "title": ERROR, "description": "The one shape of every error."}
        kept["PartBody"] = _part_schema(kept["PartBody"])
        return {**dict(sorted(kept.items())), **event_schemas(REF)}

    def of(self, kind: Any) -> dict[str, object]:
        """A type's schema, or the reference to it."""
        return next(schema for known, schema in zip(self._types, self._schemas, strict=False) if known is kind)

    def fields(self, kind: Any) -> list[tuple[str, dict[str, Any], bool]]:
        """Name, schema and whether it is required of each field of a Struct."""
        schema = self._all[kind.__name__]
        return [(name, dict(of), name in schema["required"]) for name, of in schema["properties"].items()]


def _types_of(operation: Operation) -> list[Any]:
    return [operation.body, *operation.answers.values(), operation.query, operation.headers, operation.labels]


def _anything(_kind: type) -> dict[str, object]:
    """Values that are free: no constraint. An empty schema is taken for none at all."""
    return {"description": "Any value."}


def _part_schema(schema: dict[str, Any]) -> dict[str, object]:
    """A part of a message: which data goes with which type."""
    kinds = [
        {
            "type": "object",
            "properties": {"type": {"const": name}, "data": {"$ref": REF.format(name=kind.__name__)}},
            "required": ["type", "data"],
        }
        for name, kind in PARTS.items()
    ]
    return {"title": schema["title"], "description": "One part of a message: its type, and what goes with it."} | {
        "oneOf": kinds
    }


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, object]:
    summary, description = summary_and_rest(operation.doc)
    described: dict[str, object] = {
        "operationId": f"{operation.tag}_{operation.name}",
        "tags": [operation.tag],
        "summary": summary,
    }
    if description:
        described["description"] = description
    parameters = _parameters(operation, schemas)
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content = {JSON: {"schema": schemas.of(operation.body)}}
        described["requestBody"] = {"required": not operation.optional_body, "content": content}
    described["responses"] = _responses(operation, schemas)
    return described


def _parameters(operation: Operation, schemas: _Schemas) -> list[dict[str, object]]:
    in_path = [
        ("path", name, schema, True)
        for name, schema, _ in schemas.fields(PathParameters)
        if name in parameters_of(operation.path)
    ]
    others = [
        (where, *described)
        for where, kind in (("query", operation.query), ("header", operation.headers))
        for described in (schemas.fields(kind) if kind is not None else ())
    ]
    return [
        {"name": name, "in": where, "required": required, **_split(schema)}
        for where, name, schema, required in (*in_path, *others)
    ]


def _split(schema: dict[str, Any]) -> dict[str, object]:
    """A field's description beside its schema, as parameters and headers have it; no default that says nothing."""
    described = {"description": schema.pop("description")} if "description" in schema else {}
    if schema.get("default") in ("", False):
        del schema["default"]
    return {**described, "schema": schema}


def _responses(operation: Operation, schemas: _Schemas) -> dict[str, object]:
    labels = {name: _split(schema) for name, schema, _ in schemas.fields(operation.labels)} if operation.labels else {}
    responses: dict[str, object] = {
        str(status): _success(status, kind, operation.media, labels, schemas)
        for status, kind in operation.answers.items()
    }
    own = _own_errors(operation)
    for status in sorted({*REFUSALS, *own}):
        if status in own:
            texts = ", ".join(f"`{text}`" for text in own[status])
            responses[str(status)] = _refusal(status, ". ".join(filter(None, (texts, REFUSALS.get(status)))))
        elif operation.body is not None or status not in WITH_BODY:
            responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return responses


def _own_errors(operation: Operation) -> dict[int, list[str]]:
    """The texts of the errors that are the route's own, by status; none for those whose text differs each time."""
    errors = [*operation.errors]
    if "workspace_id" in parameters_of(operation.path):
        errors.append(WorkspaceNotFound)
    own: dict[int, list[str]] = {}
    for error in dict.fromkeys(errors):
        texts = own.setdefault(STATUS.get(error.code, 500), [])
        texts.extend([error.default] if error not in (BadRequest, Failed) else [])
    return own


def _success(status: int, kind: Any, media: str, labels: dict[str, Any], schemas: _Schemas) -> dict[str, object]:
    success: dict[str, object] = {"description": SUCCESSES.get(status, "Done.")}
    if labels:
        success["headers"] = labels
    if media == STREAM and status == 200:
        success["content"] = {STREAM: {"schema": {"type": "string"}, "x-events": {"$ref": REF.format(name=EVENT)}}}
    elif kind is not None:
        success["content"] = {media: {"schema": schemas.of(kind)}}
    return success


SUCCESSES = {
    200: "Done.",
    202: "Accepted: what becomes of it is told on the event stream.",
    204: "There is nothing, and will be nothing: do not come back.",
}


def _refusal(status: int, text: str) -> dict[str, object]:
    refusal: dict[str, object] = {
        "description": text,
        "content": {JSON: {"schema": {"$ref": REF.format(name=ERROR)}}},
    }
    if status in FIELDS:
        refusal["headers"] = FIELDS[status]
    return refusal
