"""Line ends around an edit: LF while the text is edited, then what they were (`tools.md` 4.5, D-23)."""

from msgspec import Struct

from txcrush.core.editing.line_diff import opcodes

LF, CRLF = "\n", "\r\n"


class Edited(Struct, frozen=True):
    """A text with LF line ends, made of `raw`."""

    raw: str
    lf: str

    @property
    def is_mixed(self) -> bool:
        """Whether some lines of the file ended with CRLF and others with LF."""
        crlf = self.raw.count(CRLF)
        return 0 < crlf < self.raw.count(LF)


def to_lf(raw: str) -> Edited:
    """The text with every CRLF made LF; a lone CR stays."""
    return Edited(raw, raw.replace(CRLF, LF))


def restored(edited: Edited, new: str) -> str:
    """The new text as it goes to the disk. In a file with CRLF every line of it ends so; in a mixed one each line that
    was there keeps its end, and a new one ends as the line before it (the first as the line it replaces)."""
    if CRLF not in edited.raw:
        return new
    plain = new.replace(CRLF, LF)
    if not edited.is_mixed:
        return plain.replace(LF, CRLF)
    return _line_by_line(edited, plain)


def _line_by_line(edited: Edited, new: str) -> str:
    old_lines, new_lines = edited.lf.split(LF), new.split(LF)
    ends = [CRLF if line.endswith("\r") else LF for line in edited.raw.split(LF)[:-1]]
    ends += ends[-1:]  # the last line has none; what is put behind it goes on as the text did
    kept: list[str] = []
    for tag, i, j, k, m in opcodes(old_lines, new_lines):
        if tag == "equal":
            kept += ends[i:j]
        else:
            same = min(j - i, m - k)
            kept += ends[i : i + same]
            kept += [kept[-1] if kept else ends[0]] * (m - k - same)
    return "".join(line + end for line, end in zip(new_lines[:-1], kept, strict=False)) + new_lines[-1]
