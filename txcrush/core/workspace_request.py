"""What a client asks for when it creates or joins a workspace."""

from msgspec import Struct

from txcrush.model.ids import ClientId


class WorkspaceRequest(Struct, frozen=True, kw_only=True):
    """`path` is as the client wrote it; `env` holds NAME=VALUE lines."""

    path: str
    client_id: ClientId
    data_dir: str = ""
    debug: bool = False
    yolo: bool = False
    env: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
