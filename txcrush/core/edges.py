"""What the core needs from the edges to open workspaces."""

from collections.abc import Callable

from msgspec import Struct, field

from txcrush.core.events import EncodeApart
from txcrush.core.instructions import Facts
from txcrush.core.observations import Observations
from txcrush.core.permissions import DirectoryOf
from txcrush.core.toolbox import ParseObject, RepairObject
from txcrush.core.workbench import MakeKit
from txcrush.model.budgets import Budget
from txcrush.model.desk import Unanswered
from txcrush.ports import (
    BuildProvider,
    Clock,
    ConfigFiles,
    EncodeEvent,
    MakeProgram,
    NewId,
    OpenStore,
    Processes,
    ProjectFiles,
    Register,
    SkillFiles,
)


class Edges(Struct, frozen=True):
    """Filled in by `wiring.py`.

    `facts` are those that hold for every workspace; `graces` are the create and the detach grace in seconds;
    `unanswered` is what becomes of a request that nobody answers, where a session has no policy of its own;
    `encode_apart` encodes a big event in a thread; `redact` takes known secrets out of a text; `budget` limits each
    run; `observations` count what is done.
    """

    open_store: OpenStore
    register: Register
    config_files: ConfigFiles
    project_files: ProjectFiles
    skill_files: SkillFiles
    build_provider: BuildProvider
    make_kit: MakeKit
    processes: Processes
    make_program: MakeProgram
    directory_of: DirectoryOf
    parse_object: ParseObject
    repair_object: RepairObject
    encode_event: EncodeEvent
    frame: Callable[[bytes], bytes]
    clock: Clock
    new_id: NewId
    facts: Callable[[str], Facts]
    graces: tuple[float, float]
    unanswered: Unanswered = Unanswered()
    encode_apart: EncodeApart | None = None
    observations: Observations = field(default_factory=Observations)
    budget: Budget = Budget()
    redact: Callable[[str], str] = str
