"""The tools that read and change files, put together."""

from txcrush.adapters.guarded_places import OwnPlaces, guarded_paths
from txcrush.adapters.places import Places
from txcrush.adapters.private_places import PrivatePlaces
from txcrush.adapters.skill_places import SkillPlaces
from txcrush.adapters.tools.edit import Edits
from txcrush.adapters.tools.file_changes import FileChanges
from txcrush.adapters.tools.multiedit import MultiEdits
from txcrush.adapters.tools.view import View
from txcrush.adapters.tools.write import Write
from txcrush.core.workbench import Workbench
from txcrush.ports import InThread, Tool
from txcrush.wire.json import encode_text
from txcrush.wire.large_json import encode_text_in_steps


def places_of(bench: Workbench, directory: str, own: OwnPlaces) -> Places:
    """The places of a workspace, with relative paths taken from the directory."""
    return Places(
        directory,
        lambda: guarded_paths(bench.path, bench.data_dir, bench.config(), own),
        private_places_of(bench, own),
    )


def private_places_of(bench: Workbench, own: OwnPlaces) -> PrivatePlaces:
    """What of a workspace is not read unasked."""
    return PrivatePlaces(bench.path, bench.data_dir, own)


def file_tools(bench: Workbench, own: OwnPlaces, in_thread: InThread) -> tuple[Tool, ...]:
    """`edit`, `multiedit`, `view` and `write` of a workspace."""
    places = places_of(bench, bench.path, own)
    changes = FileChanges(
        places, in_thread, bench.permissions, bench.file_tracker, bench.file_history, encode_text_in_steps
    )
    return (Edits(changes), MultiEdits(changes), view_tool(bench, places, own, in_thread), Write(changes))


def view_tool(bench: Workbench, places: Places, own: OwnPlaces, in_thread: InThread) -> View:
    """`view` alone, at home in the places."""
    skills = SkillPlaces(lambda: bench.config().options.skills_paths, own.env)
    return View(places, skills, in_thread, bench.permissions, bench.file_tracker, encode_text)
