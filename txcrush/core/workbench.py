"""What a workspace gives its tools, and what they give back."""

from collections.abc import Callable

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed

from txcrush.core.events import EventLog
from txcrush.core.file_records import FileHistory, FileTracker
from txcrush.core.instructions import Facts
from txcrush.core.permissions import Desk
from txcrush.core.questions import Questions
from txcrush.core.sessions import Sessions
from txcrush.core.skills import Skills
from txcrush.core.subagents import SubAgents
from txcrush.model.config import Config
from txcrush.model.config_sources import ConfigReport
from txcrush.ports import Store, Tool


class Workbench(Struct, frozen=True, kw_only=True):
    """The services and facts that the tools of one workspace work with. `path` is the workspace's directory, which
    relative paths are resolved against; `data_dir` holds its database; `facts` gives those of a working directory;
    `withheld` names and values of variables that no command may see."""

    path: str
    data_dir: str
    config: Callable[[], Config]
    config_report: Callable[[], "Deferred[ConfigReport]"]
    skills: Skills
    store: Store
    events: EventLog
    sessions: Sessions
    permissions: Desk
    subagents: SubAgents
    facts: Callable[[str], Facts]
    questions: Questions
    file_tracker: FileTracker
    file_history: FileHistory
    withheld: Callable[[], frozenset[str]]


class Kit(Struct, frozen=True):
    """The tools of one workspace. `close` ends what they left running; it is called once the last run has ended."""

    tools: tuple[Tool, ...]
    close: Callable[[], Deferred[None]] = lambda: succeed(None)


MakeKit = Callable[[Workbench], Kit]
