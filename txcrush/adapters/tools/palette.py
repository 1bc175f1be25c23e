"""The tools of a workspace: which there are, and what each is made of."""

from txcrush.adapters.guarded_places import OwnPlaces, guarded_paths
from txcrush.adapters.places import Places
from txcrush.adapters.skill_places import SkillPlaces
from txcrush.adapters.tools.edit import Edits
from txcrush.adapters.tools.file_changes import FileChanges
from txcrush.adapters.tools.multiedit import MultiEdits
from txcrush.adapters.tools.todos import Todos
from txcrush.adapters.tools.view import View
from txcrush.adapters.tools.write import Write
from txcrush.core.workbench import Kit, Workbench
from txcrush.ports import InThread, Tool
from txcrush.wire.json import encode_text
from txcrush.wire.large_json import encode_text_in_steps


class Palette:
    """Makes the tools of each workspace from what the whole server shares; a `MakeKit`."""

    def __init__(self, *, in_thread: InThread, own: OwnPlaces) -> None:
        self._in_thread = in_thread
        self._own = own

    def __call__(self, bench: Workbench) -> Kit:
        return Kit((Todos(bench.sessions, encode_text), *self._file_tools(bench)))

    def _file_tools(self, bench: Workbench) -> tuple[Tool, ...]:
        places = Places(bench.path, lambda: guarded_paths(bench.path, bench.data_dir, bench.config(), self._own))
        changes = FileChanges(
            places, self._in_thread, bench.permissions, bench.file_tracker, bench.file_history, encode_text_in_steps
        )
        skills = SkillPlaces(lambda: bench.config().options.skills_paths, self._own.env)
        view = View(places, skills, self._in_thread, bench.permissions, bench.file_tracker, encode_text)
        return (Edits(changes), MultiEdits(changes), view, Write(changes))
