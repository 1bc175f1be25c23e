"""Programs that the server runs for others."""

from collections.abc import Mapping

from msgspec import Struct


class Program(Struct, frozen=True, kw_only=True):
    """What to run. `mark` is put in its environment, where everything that it starts inherits it; a mark such as
    `scope/call` stands under the mark `scope`."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    mark: str


class ShellLine(Struct, frozen=True, kw_only=True):
    """A line of bash that is to be run in a directory.

    `env` is laid over the environment that every line gets; `withheld` holds names and values of variables that it must
    not see. With `blocks` the programs that an agent must not run end the line. `only_parse` runs nothing: the status
    says whether bash can read it.
    """

    command: str
    cwd: str
    mark: str
    env: Mapping[str, str] = {}
    withheld: frozenset[str] = frozenset()
    blocks: bool = True
    only_parse: bool = False
