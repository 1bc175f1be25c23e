"""Whether what a line reads lies inside the workspace: the only part of the judgement that looks at the disk."""

import os
from collections.abc import Sequence


def leads_out(reads: Sequence[str], working_dir: str, root: str) -> bool:
    """Whether a path of `Judgement.reads`, or the working directory itself, lies outside `root` once links are
    followed. It blocks: for a thread."""
    top = os.path.realpath(root)
    here = os.path.realpath(working_dir)
    real = (here, *(os.path.realpath(os.path.join(here, path)) for path in reads))
    return any(os.path.commonpath((top, path)) != top for path in real)
