"""A job in words: for the model and for those who watch (`tools.md` 8.4, 9.2). Pure functions."""

from txcrush.adapters.tools.truncation import truncated
from txcrush.core.jobs import Job, JobEnd
from txcrush.core.kept_output import Parts, whole

NO_OUTPUT = "no output"
ABORTED = "Command was aborted before completion"
INLINE_BYTES = 30_000
"""Output that is shorter than this is made into words at once, more in a thread."""


def is_short(*parts: Parts) -> bool:
    """Whether making words of it holds nobody up."""
    return sum(len(head) + len(tail) for head, _, tail in parts) < INLINE_BYTES


def parts_of(job: Job) -> tuple[Parts, Parts]:
    """What there is of both streams now."""
    return job.out.parts, job.err.parts


def body(out: Parts, err: Parts, end: JobEnd) -> str:
    """What an ended command gave: standard output, what went wrong, the exit code; empty where there is nothing."""
    stdout, stderr = truncated(*out), truncated(*err)
    message = stderr or _failure(end)
    if end.killed:
        message = _on_new_line(message, ABORTED)
    elif end.status:
        message = _on_new_line(message, f"Exit code {end.status}")
    if stdout and stderr:
        stdout += "\n"
    return f"{stdout}\n{message}" if message else stdout


def with_directory(text: str, directory: str) -> str:
    """The body as the model gets it."""
    return f"{text}\n\n<cwd>{directory}</cwd>" if text else NO_OUTPUT


def output(out: Parts, err: Parts, end: JobEnd | None) -> str:
    """What a job has given so far, as one text that is cut as one."""
    pieces = [whole(out), whole(err)]
    if end is not None and end.failure:
        pieces.append(end.failure)
    if end is not None and end.status:
        pieces.append(f"Exit code {end.status}")
    return truncated("\n".join(piece for piece in pieces if piece)) or NO_OUTPUT


def _failure(end: JobEnd) -> str:
    return end.failure or (f"exit status {end.status}" if end.status else "")


def _on_new_line(text: str, line: str) -> str:
    return f"{text}\n{line}" if text else line
