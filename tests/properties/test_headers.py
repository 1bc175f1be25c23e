"""Whatever clients write into titles, paths, names and headers, no header line of ours begins with their text."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from txcrush.testing.harness import CLIENT
from txcrush.testing.http_harness import HttpHarness
from txcrush.wire.json import encode

BREAKS = [
    "\r\n",
    "\n",
    "\r",
    "\r\nX-Evil: 1\r\n\r\nevil",
    "\0",
    "\u2028",
    "\x85",
    "\x0b",
    "\u560d\u560a",
    "%0d%0a",
    "é",
    "/",
]
OURS = frozenset(
    {
        "allow", "cache-control", "connection", "content-length", "content-type", "date", "location",
        "preference-applied", "retry-after", "set-cookie", "transfer-encoding", "www-authenticate",
        "x-content-type-options", "x-run-id", "x-run-state",
    }
)  # fmt: skip
hostile = st.lists(st.one_of(st.sampled_from(BREAKS), st.text(max_size=5)), max_size=6).map("".join)
LINE = re.compile(rb"([A-Za-z-]+): [^\r\n\0]*")


def check_heads(raw: bytes) -> None:
    """Every answer's head is whole lines of names that we use."""
    head = raw.partition(b"\r\n\r\n")[0]
    status, *lines = head.split(b"\r\n")
    assert re.fullmatch(rb"HTTP/1\.1 \d{3} [A-Za-z -]+", status), status
    for line in lines:
        match = LINE.fullmatch(line)
        assert match is not None, line
        assert match[1].decode().lower() in OURS, line


def percent(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "replace"))


@settings(max_examples=60)
@given(hostile)
def test_promise_58_no_title_path_or_name_gets_into_a_header(text: str) -> None:
    harness = HttpHarness()
    harness.processes.story = lambda child: child.exit()
    ask = harness.client.ask
    clean = text.encode("utf-8", "replace").decode()
    workspace = harness.join("/project")
    at = f"/v1/workspaces/{workspace}"
    harness.provider.add("ok")
    for method, path, body in (
        ("POST", "/v1/workspaces", {"path": "/" + clean, "client_id": CLIENT}),
        ("POST", f"{at}/sessions", {"title": clean}),
        ("POST", f"{at}/agent", {"session_id": clean, "prompt": "x", "run_id": clean}),
        ("POST", f"{at}/agent", {"session_id": harness.session(workspace), "prompt": clean, "when_busy": clean}),
        ("POST", f"{at}/filetracker/read", {"session_id": clean, "path": clean}),
        ("POST", f"{at}/permissions/grant", {"permission": {"id": clean}, "action": clean}),
        ("POST", "/v1/control", {"command": clean}),
        ("GET", f"{at}/sessions/{percent(clean)}", None),
        ("GET", f"/v1/{percent(clean)}//x?q={percent(clean)}", None),
        ("GET", f"//{percent(clean)}/../..?{percent(clean)}", None),
        ("DELETE", f"/v1/clients/{percent(clean)}", None),
        ("BREW", f"/{percent(clean)}", None),
    ):
        check_heads(ask(method, path, raw=b"" if body is None else encode(body)).raw)


@settings(max_examples=30)
@given(hostile)
def test_promise_58_no_header_or_target_of_a_client_comes_back_as_one_of_ours(text: str) -> None:
    for harness in (HttpHarness(), HttpHarness(kind="tcp", token="t" * 43)):
        clean = text.encode("utf-8", "replace").decode()
        for method, path, headers in (
            ("GET", f"/v1/{clean}", {}),
            ("GET", f"//{clean}", {}),
            ("GET", "/v1/version", {"Host": clean}),
            ("GET", "/v1/version", {"Origin": clean}),
            ("GET", "/v1/version", {"Cookie": f"txcrush-8080={clean}"}),
            ("POST", "/v1/auth/session", {"Authorization": clean}),
            ("POST", "/v1/workspaces/x/agent", {"Idempotency-Key": clean, "Prefer": clean}),
        ):
            connection = harness.client.ask(method, path, **headers)
            if connection.raw:  # an unfinished head has no answer yet
                check_heads(connection.raw)
