"""Every route of the server, by family."""

from collections.abc import Callable

from twisted.internet.address import UNIXAddress
from twisted.web.iweb import IRequest

from txcrush.core.observatory import Observatory
from txcrush.core.workspaces import Workspaces
from txcrush.http.agent import AgentRoutes
from txcrush.http.auth import AuthRoutes
from txcrush.http.callers import Callers
from txcrush.http.config import ConfigRoutes
from txcrush.http.docs import DocsRoutes
from txcrush.http.events import EventRoutes
from txcrush.http.extensions import ExtensionRoutes
from txcrush.http.generations import Generations
from txcrush.http.jobs import JobRoutes
from txcrush.http.metrics import MetricsRoutes
from txcrush.http.page import PageRoutes
from txcrush.http.permissions import PermissionRoutes
from txcrush.http.project import ProjectRoutes
from txcrush.http.prompts import PromptRoutes
from txcrush.http.runs import RunRoutes
from txcrush.http.sessions import SessionRoutes
from txcrush.http.skills import SkillRoutes
from txcrush.http.system import SystemRoutes
from txcrush.http.workspaces import WorkspaceRoutes
from txcrush.model.config import Config
from txcrush.ports import Clock, FindFileNames, ProjectFiles, SkillFiles
from txcrush.wire.config import redacted


def route_families(
    workspaces: Workspaces,
    clock: Clock,
    observatory: Observatory,
    *,
    project_files: ProjectFiles,
    file_names: FindFileNames,
    skill_files: SkillFiles,
    page: PageRoutes,
    page_url: Callable[[], str] = str,
    replaceable: bool = False,
) -> list[object]:
    """Every route of the server, by family; `http.routing.build_app` makes an application of them."""
    generations = Generations()
    callers = Callers()
    families: list[object] = [
        SystemRoutes(workspaces, replaceable=replaceable),
        AuthRoutes(page_url),
        MetricsRoutes(observatory),
        WorkspaceRoutes(workspaces, _visible, _is_local),
        SessionRoutes(workspaces),
        PromptRoutes(workspaces, clock, generations, callers),
        AgentRoutes(workspaces, generations),
        EventRoutes(workspaces, clock, callers),
        RunRoutes(workspaces, clock, callers),
        PermissionRoutes(workspaces, callers),
        ConfigRoutes(workspaces, _visible),
        ProjectRoutes(workspaces, project_files, file_names),
        SkillRoutes(workspaces, skill_files),
        ExtensionRoutes(workspaces),
        JobRoutes(workspaces),
        page,
    ]
    families.append(DocsRoutes(families, page.files))
    return families


def _is_local(request: IRequest) -> bool:
    """Whether the request came over the Unix socket, whose peers are the user's own processes."""
    return isinstance(request.getHost(), UNIXAddress)


def _visible(request: IRequest, config: Config) -> Config:
    return config if _is_local(request) else redacted(config)
