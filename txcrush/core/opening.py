"""How a workspace is opened when a client names its directory."""

from collections.abc import Callable

from txcrush.core.assembly import Assembly
from txcrush.core.edges import Edges
from txcrush.core.settings import WorkspaceSettings
from txcrush.core.workspace_request import WorkspaceRequest
from txcrush.core.workspaces import Workspace
from txcrush.model.errors import ConfigInvalid, CrushError, Failed, NoDataDirectory
from txcrush.model.ids import WorkspaceId
from txcrush.ports import Store


class Opener:
    """Opens workspaces; an `OpenWorkspace`."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges

    async def __call__(
        self, workspace_id: WorkspaceId, key: str, request: WorkspaceRequest, when_idle: Callable[[], None]
    ) -> Workspace:
        settings = await self._settings(request)
        store = await self._store(settings.data_dir)
        try:
            assembly = Assembly(self._edges, workspace_id, key, request, when_idle, settings, store)
            return await assembly.workspace()
        except BaseException:
            await store.close()
            raise

    async def _settings(self, request: WorkspaceRequest) -> WorkspaceSettings:
        files = self._edges.config_files
        try:
            loaded = await files.load(request.path, request.data_dir, request.debug)
        except ConfigInvalid as error:
            raise Failed(f"failed to initialize config: {error.message}") from error
        return WorkspaceSettings(files, request.path, request.debug, loaded)

    async def _store(self, data_dir: str) -> Store:
        try:
            return await self._edges.open_store(data_dir)
        except NoDataDirectory as error:
            raise Failed(f"failed to create data directory: {error.message}") from error
        except CrushError as error:
            raise Failed(f"failed to connect to database: {error.message}") from error
