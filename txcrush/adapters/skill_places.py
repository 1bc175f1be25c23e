"""Which files lie in a skills directory: those are read without a question, whole (`tools.md` 14)."""

import os
from collections.abc import Callable, Iterable, Mapping

from txcrush.adapters.config_paths import located, places
from txcrush.adapters.places import Place, lies_in


class SkillPlaces:
    """The skills paths of a configuration, as it is now. `env` is the server's environment."""

    def __init__(self, paths: Callable[[], Iterable[str]], env: Mapping[str, str]) -> None:
        self._paths = paths
        self._env = env

    def hold(self, place: Place) -> bool:
        """Whether the file really lies below one of them, links resolved on both sides. Blocks: for a thread."""
        home = places(self._env).home
        roots = (located(path, home, self._env) for path in self._paths())
        return any(lies_in(place.real, os.path.realpath(root)) for root in roots if _is_usable(root))


def _is_usable(root: str) -> bool:
    return os.path.isabs(root) and "\0" not in root
