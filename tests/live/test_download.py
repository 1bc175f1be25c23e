"""The download tool (`tools.md` 18.3), with real files."""

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from txcrush.adapters.places import Places
from txcrush.adapters.tools.download import Download
from txcrush.adapters.web import WebClient
from txcrush.adapters.web.landing import Landing
from txcrush.model.errors import Refused
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall
from txcrush.model.permissions import Ask
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.testing.model_server import ModelServer
from txcrush.testing.scripted_desk import ScriptedDesk


class Rig:
    """A workspace, a server with one file, and the tool."""

    def __init__(self, directory: Path) -> None:
        self.server = ModelServer.listen(reactor)
        self.desk = ScriptedDesk()
        self.root = directory / "ws"
        self.root.mkdir()
        self.outside = directory
        self.url = f"http://127.0.0.1:{self.server.port}/f.txt"
        web = WebClient(reactor, Clock(), {}, allow_private=True)
        self.tool = Download(web, self.desk, Places(str(self.root)), deferToThread)

    def run(self, **arguments: object) -> "Deferred[ToolOutput]":
        call = ToolCall(id="call_1", name="download", input="", finished=True)
        given: dict[str, object] = {"url": self.url, "file_path": "f.txt"} | arguments
        use = ToolUse(call=call, arguments=given, session_id=SessionId("s"), message_id=MessageId("m"))
        return self.tool.run(use)

    async def serve(self, running: "Deferred[ToolOutput]", body: bytes = b"hello", status: int = 200) -> ToolOutput:
        (await self.server.next_request()).answer(status, body, "text/plain")
        return await running

    async def refusal(self, **arguments: object) -> str:
        with pytest.raises(Refused) as refused:
            await self.run(**arguments)
        return refused.value.message

    def left(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))


@pytest_twisted.async_yield_fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    await rig.server.stop()


@pytest_twisted.ensureDeferred
async def test_a_file_is_there_and_said(rig: Rig) -> None:
    output = await rig.serve(rig.run(file_path="a/b/f.txt"))
    assert output == ToolOutput(content="Successfully downloaded 5 bytes to a/b/f.txt (Content-Type: text/plain)")
    assert (rig.root / "a/b/f.txt").read_bytes() == b"hello"
    assert rig.left() == ["a", "a/b", "a/b/f.txt"]


@pytest_twisted.ensureDeferred
async def test_an_empty_file_is_a_file(rig: Rig) -> None:
    output = await rig.serve(rig.run(), b"")
    assert output.content.startswith("Successfully downloaded 0 bytes to f.txt")
    assert (rig.root / "f.txt").read_bytes() == b""


@pytest_twisted.ensureDeferred
async def test_without_a_type_none_is_said(rig: Rig) -> None:
    running = rig.run(file_path=str(rig.outside / "o.bin"))
    (await rig.server.next_request()).send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab")
    assert (await running).content == "Successfully downloaded 2 bytes to ../o.bin"


@pytest_twisted.ensureDeferred
async def test_d_11_what_is_asked_names_the_call(rig: Rig) -> None:
    await rig.serve(rig.run(file_path="./x/../f.txt", timeout=20))
    assert rig.desk.asks == [
        Ask(
            session_id=SessionId("s"),
            tool_call_id="call_1",
            tool_name="download",
            action="download",
            description=f"Download file from URL: {rig.url} to {rig.root}/f.txt",
            path=f"{rig.root}/f.txt",
            params={"url": rig.url, "file_path": "./x/../f.txt", "timeout": 20},
        )
    ]


@pytest_twisted.ensureDeferred
async def test_d_08_a_denied_call_makes_no_directory_and_no_connection(rig: Rig) -> None:
    rig.desk.grant = False
    output = await rig.run(file_path="a/b/f.txt")
    assert (output.content, output.is_error, output.stop_turn) == ("User denied permission", True, True)
    assert (rig.left(), rig.server.connections) == ([], 0)


@pytest_twisted.ensureDeferred
async def test_wrong_arguments_are_said_and_not_asked_about(rig: Rig) -> None:
    assert await rig.refusal(url="") == "URL parameter is required"
    assert await rig.refusal(file_path="") == "file_path parameter is required"
    assert await rig.refusal(url="file:///etc/passwd") == "URL must start with http:// or https://"
    os.mkfifo(rig.root / "pipe")
    for odd in (".", "a\0b", "pipe", "/dev/null"):
        assert "path" in await rig.refusal(file_path=odd)
    assert rig.desk.asks == []


@pytest_twisted.ensureDeferred
async def test_another_status_leaves_the_old_file(rig: Rig) -> None:
    (rig.root / "f.txt").write_text("old")
    with pytest.raises(Refused, match="Request failed with status code: 404"):
        await rig.serve(rig.run(), b"not here", 404)
    assert (rig.root / "f.txt").read_text() == "old"
    assert rig.left() == ["f.txt"]


@pytest_twisted.ensureDeferred
async def test_d_14_a_broken_transfer_is_an_error_result_and_leaves_the_old_file(rig: Rig) -> None:
    (rig.root / "f.txt").write_text("old")
    running = rig.run()
    exchange = await rig.server.next_request()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 2_000_000)
    exchange.close()
    with pytest.raises(Refused, match="failed to download from URL: "):
        await running
    assert (rig.root / "f.txt").read_text() == "old"
    assert rig.left() == ["f.txt"]


@pytest_twisted.ensureDeferred
async def test_promise_67_an_existing_file_is_replaced_and_keeps_its_mode(rig: Rig) -> None:
    there = rig.root / "f.txt"
    there.write_text("old and longer")
    there.chmod(0o640)
    await rig.serve(rig.run())
    assert there.read_bytes() == b"hello"
    assert stat.S_IMODE(there.stat().st_mode) == 0o640


@pytest_twisted.ensureDeferred
async def test_a_new_file_has_the_mode_that_the_user_gives_files(rig: Rig) -> None:
    mask = os.umask(0o027)
    try:
        await rig.serve(rig.run())
    finally:
        os.umask(mask)
    assert stat.S_IMODE((rig.root / "f.txt").stat().st_mode) == 0o640


@pytest_twisted.ensureDeferred
async def test_promise_66_a_link_that_was_changed_while_it_was_asked_about_is_not_followed(rig: Rig) -> None:
    (rig.outside / "elsewhere").mkdir()
    (rig.root / "d").mkdir()
    rig.desk.grant = None
    running = rig.run(file_path="d/f.txt")
    while not rig.desk.waiting:
        await deferToThread(lambda: None)
    (rig.root / "d").rmdir()
    (rig.root / "d").symlink_to(rig.outside / "elsewhere")
    rig.desk.waiting[0].callback(True)
    with pytest.raises(Refused, match="leads elsewhere"):
        await running
    assert os.listdir(rig.outside / "elsewhere") == []
    assert rig.server.connections == 0


@pytest_twisted.ensureDeferred
async def test_promise_66_a_directory_that_becomes_a_link_during_the_transfer_is_not_followed(rig: Rig) -> None:
    (rig.outside / "elsewhere").mkdir()
    (rig.root / "d").mkdir()
    running = rig.run(file_path="d/f.txt")
    exchange = await rig.server.next_request()
    (rig.root / "d").rename(rig.root / "old")
    (rig.root / "d").symlink_to(rig.outside / "elsewhere")
    exchange.answer(200, b"hello", "text/plain")
    with pytest.raises(Refused, match="failed to write"):
        await running
    assert os.listdir(rig.outside / "elsewhere") == os.listdir(rig.root / "old") == []


def test_promise_66_a_file_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("old")
    landing = Landing(str(tmp_path / "f"))
    landing.write(b"new")
    (tmp_path / "f").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError):
        landing.commit()
    landing.discard()
    assert (tmp_path / "secret").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["f", "secret"]


@pytest_twisted.ensureDeferred
async def test_promise_66_a_link_is_followed_to_where_it_led_when_asked(rig: Rig) -> None:
    (rig.outside / "real.txt").write_text("old")
    (rig.root / "f.txt").symlink_to(rig.outside / "real.txt")
    await rig.serve(rig.run())
    assert (rig.root / "f.txt").is_symlink()
    assert (rig.outside / "real.txt").read_bytes() == b"hello"


@pytest.mark.parametrize(
    "path", [".git/hooks/pre-commit", ".git/config", "crush.json", ".crush.json", "a/../crush.json"]
)
@pytest_twisted.ensureDeferred
async def test_what_runs_by_itself_is_asked_about_whatever_is_allowed(rig: Rig, path: str) -> None:
    await rig.serve(rig.run(file_path=path))
    assert [ask.guarded for ask in rig.desk.asks] == [True]


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_written_is_an_error_result(rig: Rig) -> None:
    (rig.root / "file").write_text("")
    running = rig.run(file_path="file/below.txt")
    with pytest.raises(Refused, match="failed to write"):
        await rig.serve(running)
    assert rig.left() == ["file"]


def test_a_discarded_file_takes_nothing_more(tmp_path: Path) -> None:
    landing = Landing(str(tmp_path / "f"))
    landing.write(b"one")
    assert len(os.listdir(tmp_path)) == 1
    landing.discard()
    landing.write(b"two")
    landing.commit()
    landing.discard()
    assert os.listdir(tmp_path) == []
