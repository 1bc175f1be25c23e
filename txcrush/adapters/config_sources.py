"""Whether the files of a configuration are still what they were when it was read. Everything here blocks."""

import os
from collections.abc import Iterable, Sequence

from txcrush.model.config_sources import ConfigReport, ConfigSource, Fingerprint


class SeenFiles:
    """The files that one load looks at, each noted before it is read: what changes meanwhile counts as changed."""

    def __init__(self) -> None:
        self._seen: dict[str, Fingerprint | None] = {}
        self._unseen: set[str] = set()

    def note(self, file: str) -> None:
        """This file counts. Of one that was noted before, the first look counts."""
        if file in self._seen or file in self._unseen:
            return
        try:
            self._seen[file] = fingerprint(file)
        except OSError:
            self._unseen.add(file)

    def pass_over(self, files: Iterable[str]) -> None:
        """These are there but do not count."""
        for file in files:
            self._seen.pop(file, None)

    @property
    def present(self) -> list[str]:
        """Those that were there."""
        return [file for file, seen in self._seen.items() if seen is not None]

    @property
    def sources(self) -> tuple[ConfigSource, ...]:
        return tuple(ConfigSource(file, seen) for file, seen in self._seen.items())


def fingerprint(file: str) -> Fingerprint | None:
    """What tells one state of the file from another; None where there is none. Raises OSError."""
    try:
        found = os.stat(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size, found.st_mtime_ns


def report(sources: Sequence[ConfigSource]) -> ConfigReport:
    """What has become of the files since."""
    changed: list[str] = []
    missing: list[str] = []
    errors: list[str] = []
    for source in sources:
        try:
            now = fingerprint(source.path)
        except OSError as error:
            errors.append(f"{source.path}: {error.strerror}")
            continue
        if now != source.seen:
            (missing if now is None else changed).append(source.path)
    return ConfigReport(
        files=tuple(source.path for source in sources if source.seen is not None),
        changed=tuple(sorted(changed)),
        missing=tuple(sorted(missing)),
        errors=tuple(sorted(errors)),
    )
