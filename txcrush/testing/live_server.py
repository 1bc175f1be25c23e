"""A real server in this process: real sockets, a real database, a scripted model.

Everything lies in one directory, the user's home among it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint

from txcrush.core.instructions import TITLE
from txcrush.model.settings import ServerSettings
from txcrush.testing.live_client import LiveClient
from txcrush.testing.model_server import Exchange, ModelServer
from txcrush.wire.json import encode
from txcrush.wiring import Server, build_server

UNIX_ORIGIN = "http://api.crush.localhost"


class LiveServer:
    """A server that answers, in a directory of its own; `start` makes one, `stop` ends it.

    `client` asks over the Unix socket. `model` is the provider of its one configured project, `project`. `leaving`
    fires when the server wants the process to end.
    """

    def __init__(self, reactor: Any, directory: Path, model: ModelServer | None, settings: Mapping[str, Any]) -> None:
        self._reactor = reactor
        self._directory = directory
        self.project = str(directory / "project")
        self.socket = str(directory / "s")
        self.leaving: Deferred[None] = Deferred()
        self._server: Server | None = None
        self._settings = ServerSettings(
            **{
                "host": f"unix://{self.socket}",
                "trust_projects": True,
                "state_dir": str(directory / "state"),
                **settings,
            }
        )
        self.client = LiveClient(reactor, UNIXClientEndpoint(reactor, self.socket), UNIX_ORIGIN)
        (directory / "project").mkdir(exist_ok=True)
        if model is not None:
            self.configure(self.project, model)

    @classmethod
    async def start(
        cls, reactor: Any, directory: Path, model: ModelServer | None = None, **settings: Any
    ) -> "LiveServer":
        """A server that is ready. `settings` are fields of `ServerSettings`."""
        live = cls(reactor, directory, model, settings)
        environ = {"HOME": str(directory), "XDG_RUNTIME_DIR": str(directory), "PATH": os.defpath}
        live._server = build_server(reactor, live._settings, environ, live._leave)
        live._server.startService()
        await live._server.when_started()
        return live

    async def stop(self) -> None:
        """Stop the server as a signal would; a second time changes nothing."""
        server, self._server = self._server, None
        if server is not None:
            await server.stopService()

    def configure(self, project: str, model: ModelServer) -> None:
        """Write a project's configuration: one provider, whose models `large` and `small` the model server plays."""
        row = {"context_window": 100_000, "default_max_tokens": 1000}
        provider = {
            "id": "scripted",
            "type": "openai-compat",
            "base_url": model.base_url,
            "api_key": "sk-canary",
            "models": [{"id": "large", "name": "Large", **row}, {"id": "small", "name": "Small", **row}],
        }
        choices = {name: {"provider": "scripted", "model": name} for name in ("large", "small")}
        Path(project).mkdir(parents=True, exist_ok=True)
        (Path(project) / "crush.json").write_bytes(encode({"providers": {"scripted": provider}, "models": choices}))

    def tcp_client(self) -> LiveClient:
        """A client of the TCP port that `listen` asked for, with the server's token."""
        port = self.tcp_port
        endpoint = TCP4ClientEndpoint(self._reactor, "127.0.0.1", port)
        return LiveClient(self._reactor, endpoint, f"http://127.0.0.1:{port}", self.token)

    @property
    def token(self) -> str | None:
        assert self._server is not None
        return self._server.listening.token

    @property
    def tcp_port(self) -> int:
        assert self._server is not None
        urls = [url for url in self._server.listening.addresses if url.startswith("http")]
        return int(urls[0].rpartition(":")[2])

    def _leave(self) -> None:
        if not self.leaving.called:
            self.leaving.callback(None)


class PromptsModel(ModelServer):
    """A model server that names sessions by itself, so that a test sees the requests for prompts only."""

    def asked(self, exchange: Exchange) -> None:
        """Answer a request for a title, hand out any other."""
        if exchange.json()["messages"][0]["content"] == TITLE:
            exchange.reply("A Title")
        else:
            super().asked(exchange)


def prompt_of(exchange: Exchange) -> str:
    """The text of the newest user turn that a request holds."""
    content = [turn["content"] for turn in exchange.json()["messages"] if turn["role"] == "user"][-1]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
