"""The tools that look around in a workspace, put together."""

from collections.abc import Callable, Mapping

from txcrush.adapters.content_search import ContentSearch
from txcrush.adapters.file_listing import FileListing
from txcrush.adapters.ignore_files import IgnoreFiles
from txcrush.adapters.private_places import PrivatePlaces
from txcrush.adapters.ripgrep import Ripgrep
from txcrush.adapters.tools.gate import Gate
from txcrush.adapters.tools.glob import Glob
from txcrush.adapters.tools.grep import Grep
from txcrush.adapters.tools.ls import Ls
from txcrush.model.config import Config
from txcrush.ports import Clock, InThread, Permissions, Tool


def search_tools(
    path: str,
    permissions: Permissions,
    config: Callable[[], Config],
    *,
    clock: Clock,
    environ: Mapping[str, str],
    in_thread: InThread,
    private: PrivatePlaces | None = None,
) -> tuple[Tool, ...]:
    """`glob`, `grep` and `ls` of the workspace whose directory is `path`. `environ` is the server's, `private` knows
    what is not read unasked."""
    gate = Gate(path, permissions, in_thread, private)
    ripgrep = Ripgrep(clock, environ, in_thread)
    ignore_files = IgnoreFiles(environ)
    return (
        Glob(gate, FileListing(ripgrep, in_thread, ignore_files), config, in_thread),
        Grep(gate, ContentSearch(ripgrep, clock, in_thread, ignore_files, private), config, in_thread),
        Ls(gate, ignore_files, config, environ, in_thread),
    )
