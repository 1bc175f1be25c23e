"""The files that a configuration was read from, as they were then."""

from typing import TypeAlias

from msgspec import Struct

from txcrush.model.config import Config, ProviderConfig

Fingerprint: TypeAlias = tuple[int, int]
"""Size in bytes, and the time of the last change in nanoseconds."""


class ConfigSource(Struct, frozen=True):
    """A file that counts for a configuration; `seen` is None where there was none. Paths are absolute."""

    path: str
    seen: Fingerprint | None


class LoadedConfig(Struct, frozen=True):
    """A configuration, and every file that it was or could have been read from, lowest priority first. `left_out` are
    the providers that the files name and that cannot be asked."""

    config: Config
    sources: tuple[ConfigSource, ...] = ()
    left_out: tuple[ProviderConfig, ...] = ()


class ConfigReport(Struct, frozen=True, kw_only=True):
    """What has become of the files of a configuration since they were read.

    `files` were read; `changed` have another content by now or are new, `missing` are gone, `errors` say which cannot
    be looked at and why.
    """

    files: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def dirty(self) -> bool:
        """Whether the configuration in force is not what the files say now, as far as can be told."""
        return bool(self.changed or self.missing or self.errors)
