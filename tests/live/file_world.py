"""A workspace on a real disk and its tools, for the tests of the file tools."""

import os
from pathlib import Path

from txcrush.testing.tool_bench import ToolBench


class FileWorld(ToolBench):
    """A workspace `work`, a directory `outside` beside it, and the tools of a session."""

    def __init__(self, top: Path, **changes: object) -> None:
        top = Path(os.path.realpath(top))
        for name in ("work", "outside", "home"):
            (top / name).mkdir()
        self.outside = top / "outside"
        self.home = top / "home"
        (self.outside / "secret.txt").write_text("secret\n")
        super().__init__(top / "work", top / "home", **changes)  # type: ignore[arg-type]

    def path(self, name: str) -> str:
        """The absolute path of a name in the workspace."""
        return str(self.root / name)

    def put(self, name: str, content: str | bytes, *, read: bool = True) -> Path:
        """A file in the workspace, which the session has read unless it says otherwise."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        if read:
            assert not self.run("view", file_path=name).is_error
        return file
