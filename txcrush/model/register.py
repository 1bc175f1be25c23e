"""What the server's register keeps of a data directory with unfinished work."""

from msgspec import Struct

from txcrush.model.ids import WorkspaceId


class Listed(Struct, frozen=True, kw_only=True):
    """A workspace that the next start opens again.

    `data_dir` is absolute and names the entry; `path` is what the workspace's creator wrote. What a creator sends
    beside these is not kept: its environment may hold secrets, and nobody's requests are skipped because they once
    were. `attempts` counts the starts in a row that began to open it and did not live to say how that went; `error` is
    what kept the last start from opening it, since `failing_since` (Unix seconds), empty and 0 where nothing did.
    """

    data_dir: str
    path: str
    workspace_id: WorkspaceId
    debug: bool = False
    channels: tuple[str, ...] = ()
    attempts: int = 0
    error: str = ""
    failing_since: int = 0
