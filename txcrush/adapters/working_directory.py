"""What is seen of the directory that somebody works in."""

import platform
from datetime import datetime
from os import path as paths

from txcrush.core.instructions import Facts


def directory_of(path: str) -> str:
    """What clients are shown of a path: a file's directory, anything else as it is. Asks the disk."""
    return paths.dirname(path) if paths.exists(path) and not paths.isdir(path) else path


def facts(path: str) -> Facts:
    """What a model is told of the directory, and of today. Asks the disk."""
    now = datetime.now()
    return Facts(
        working_dir=path,
        platform=platform.system().lower(),
        date=f"{now.month}/{now.day}/{now.year}",
        is_git_repo=paths.exists(paths.join(path, ".git")),
    )
