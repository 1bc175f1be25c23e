"""What ripgrep prints, read without I/O.

The plain format, not `--json`: there a match in a minified file comes with its whole line (100 MB of it, if need be),
here `--max-columns` has ripgrep cut it. A file's name ends in NUL, so it may hold anything.
"""

from collections.abc import Iterator

from txcrush.model.searches import FileMatches, LineMatch

MATCHES = ("--no-heading", "--with-filename", "--line-number", "--column", "--null")
NAMES = ("--null",)
MAX_LINE_BYTES = 4096
CUT_LINES = (f"--max-columns={MAX_LINE_BYTES}", "--max-columns-preview")

_BINARY = b": binary file matches (found "
_REGEX_ERROR = "regex parse error:"


def read_names(output: bytes) -> Iterator[str]:
    """The names of a list of files that was printed with `NAMES`; one that was cut off is left out.

    They come one after the other: a split of a million holds the interpreter for 80 ms.
    """
    at = 0
    while (end := output.find(b"\0", at)) >= 0:
        yield _name(output[at:end])
        at = end + 1


def read_matches(output: bytes) -> list[FileMatches]:
    """The matches that were printed with `MATCHES` and `CUT_LINES`, by file, in the order of printing. A file that
    turned out to be binary is left out, and so is a line that was cut off."""
    found: dict[str, list[LineMatch]] = {}
    binary: set[str] = set()
    at = 0
    while at < len(output):
        end = output.find(b"\n", at)
        notice = output.find(_BINARY, at, end)
        nul = output.find(b"\0", at)
        if end < 0:
            break
        if notice >= 0 and not at < nul < notice:
            binary.add(_name(output[at:notice]))
            at = end + 1
            continue
        end = output.find(b"\n", nul)
        if nul < 0 or end < 0:
            break
        found.setdefault(_name(output[at:nul]), []).append(_line(output[nul + 1 : end]))
        at = end + 1
    return [FileMatches(path, tuple(lines)) for path, lines in found.items() if path not in binary]


def read_error(error: str) -> str:
    """Why ripgrep refused to search, in one line: its own words without its name."""
    text = error.removeprefix("rg:").strip()
    if text.startswith(_REGEX_ERROR):
        text = text.rpartition("error:")[2].strip()
    return next(_lines(text), "unknown error")


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())


def _line(record: bytes) -> LineMatch:
    number, column, text = record.split(b":", 2)
    return LineMatch(int(number), int(column), text[:MAX_LINE_BYTES].decode("utf-8", "replace"))


def _name(raw: bytes) -> str:
    return raw.removeprefix(b"./").decode("utf-8", "surrogateescape")
