"""Canaries in every place where a secret lies, and a search of everything that the server shows or writes."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.threads import deferToThread

from txcrush.testing.live_client import LiveClient
from txcrush.testing.live_server import UNIX_ORIGIN, PromptsModel
from txcrush.testing.server_process import ServerProcess
from txcrush.testing.two_wires import ChatVoice
from txcrush.wire.json import encode, encode_text

BOUND_S = 60
CANARIES = {
    "key in the environment": "sk-canary-environment-0001",
    "key in the file": "sk-canary-file-0002",
    "header": "canary-header-0003",
    "mcp variable": "canary-mcp-0004",
    "setting of ours": "canary-txcrush-0005",
    "key set over HTTP": "sk-canary-set-0006",
}
READABLE = (
    "", "/config", "/providers", "/sessions", "/agent", "/agent/sessions", "/mcp/states", "/lsps", "/skills",
    "/permissions/skip", "/permissions/pending", "/permissions/audit", "/questions/pending", "/runs", "/clients",
)  # fmt: skip


@pytest_twisted.async_yield_fixture
async def model() -> AsyncIterator[PromptsModel]:
    model = PromptsModel.listen(reactor)
    yield model  # type: ignore[misc]
    await model.stop()


@pytest_twisted.async_yield_fixture
async def server(short_path: Path, model: PromptsModel) -> AsyncIterator[ServerProcess]:
    provider = {
        "id": "scripted", "type": "openai-compat", "base_url": model.base_url, "api_key": "$CANARY_API_KEY",
        "extra_headers": {"X-Canary": CANARIES["header"]},
        "models": [{"id": "m", "name": "M", "context_window": 100_000, "default_max_tokens": 1000}],
    }  # fmt: skip
    other = provider | {"id": "other", "api_key": CANARIES["key in the file"]}
    config = {
        "providers": {"scripted": provider, "other": other},
        "models": {slot: {"provider": "scripted", "model": "m"} for slot in ("large", "small")},
        "mcp": {"m": {"type": "stdio", "command": "false", "env": {"M": CANARIES["mcp variable"]}, "disabled": True}},
    }
    (short_path / "project").mkdir()
    (short_path / "project" / "crush.json").write_bytes(encode(config))
    flags = ["--trust-projects", "--unanswered", "allow", "--log-level=debug", "--listen=tcp:0:interface=127.0.0.1"]
    environ = {
        "CANARY_API_KEY": CANARIES["key in the environment"],
        "TXCRUSH_CANARY": CANARIES["setting of ours"],
    }
    started = await deferToThread(ServerProcess, short_path, flags, **environ)
    yield started
    await deferToThread(started.stop)


@pytest_twisted.ensureDeferred
async def test_promise_24_no_secret_is_shown_or_written_anywhere(
    server: ServerProcess, model: PromptsModel, short_path: Path, record_property: Callable[[str, object], None]
) -> None:
    local = LiveClient(reactor, UNIXClientEndpoint(reactor, server.socket), UNIX_ORIGIN)
    port = server.tcp_port
    remote = LiveClient(
        reactor, TCP4ClientEndpoint(reactor, "127.0.0.1", port), f"http://127.0.0.1:{port}", server.token
    )
    workspace = await local.join(str(short_path / "project"))
    session = await local.session(workspace)
    stream = await remote.stream(workspace)

    held = local.prompt(workspace, session, "show me the environment").addTimeout(BOUND_S, reactor)
    exchange = await model.next_request()
    assert exchange.headers["authorization"] == f"Bearer {CANARIES['key in the environment']}"
    assert exchange.headers["x-canary"] == CANARIES["header"]
    voice = ChatVoice(exchange)
    voice.begin()
    lines = "env; cat /proc/self/environ; echo shown"
    voice.call("c1", "bash", encode_text({"command": lines, "description": "look"}))
    voice.end()
    exchange = await model.next_request()
    result = exchange.json()["messages"][-1]["content"]
    assert "shown" in result
    exchange.reply("done")
    answers = [(await held).body]

    key = CANARIES["key set over HTTP"]
    set_key = {"scope": 1, "provider_id": "other", "kind": "string", "api_key": key}
    kept = await local.post(f"/v1/workspaces/{workspace}/config/provider-key", set_key)
    assert kept.status == 200
    answers.append(kept.body)
    held = local.prompt(workspace, session, "fail").addTimeout(BOUND_S, reactor)
    quoted = f"{CANARIES['key in the environment']} {CANARIES['header']}".encode()
    (await model.next_request()).answer(401, b'{"error":{"message":"bad key ' + quoted + b'"}}')
    failed = await held
    assert failed.status == 500
    for each in READABLE:
        answers.append((await remote.get(f"/v1/workspaces/{workspace}{each}")).body)
    answers.append((await remote.get(f"/v1/workspaces/{workspace}/sessions/{session}/messages")).body)
    answers.append((await remote.get("/v1/workspaces")).body)

    shown = b"\n".join([*answers, stream.raw, result.encode()])
    assert await deferToThread(server.stop) == 0
    written = {
        str(path.relative_to(short_path)): path.read_bytes()
        for path in short_path.rglob("*")
        if path.is_file() and path.name not in ("crush.json", "token")
    }
    places = {"answers": shown, "failure": failed.body, **written}
    hits = [
        (name, place)
        for name, value in CANARIES.items()
        for place, content in places.items()
        if value.encode() in content
    ]
    assert hits == []
    assert server.token.encode() not in shown + b"".join(written.values())
    assert any(place.endswith(".db") for place in written)
    record_property("promise_24", f"{len(CANARIES) + 1} canaries, {len(places)} places, 0 hits")
