"""Several edits of one text, each on what the ones before it left (`tools.md` 12)."""

from collections.abc import Sequence

from msgspec import Struct

from txcrush.core.editing.matching import NoReplacement, replaced

EMPTY_OLD = "old_string must not be empty: only the first edit may create a file"


class Edit(Struct, frozen=True, omit_defaults=True):
    """One replacement, as a model writes it."""

    old_string: str
    new_string: str
    replace_all: bool = False


class FailedEdit(Struct, frozen=True):
    """An edit that was left out, and why; `index` counts from 1 in the list as it was given."""

    index: int
    error: str
    edit: Edit


class Series(Struct, frozen=True):
    """What a series of edits came to."""

    text: str
    applied: int
    failed: tuple[FailedEdit, ...] = ()
    corrected: bool = False


def applied(text: str, edits: Sequence[Edit], first_index: int = 1) -> Series:
    """The text after all edits that could be made; an edit of nothing by nothing succeeds and does nothing."""
    failed: list[FailedEdit] = []
    corrected = False
    for index, edit in enumerate(edits, first_index):
        try:
            step = _one(text, edit)
        except NoReplacement as error:
            failed.append(FailedEdit(index, error.shown, edit))
            continue
        text, corrected = step[0], corrected or step[1]
    return Series(text, len(edits) - len(failed), tuple(failed), corrected)


def _one(text: str, edit: Edit) -> tuple[str, bool]:
    if not edit.old_string and not edit.new_string:
        return text, False
    if not edit.old_string:
        raise NoReplacement(EMPTY_OLD)
    done = replaced(text, edit.old_string, edit.new_string, replace_all=edit.replace_all)
    return done.text, done.corrected
