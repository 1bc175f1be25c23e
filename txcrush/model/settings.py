"""The server's own settings: flags and `TXCRUSH_*` variables, never a configuration file."""

from msgspec import Struct

from txcrush.model.budgets import Budget
from txcrush.model.desk import Unanswered


class ServerSettings(Struct, frozen=True, kw_only=True):
    """Everything that `twist crush` and `txcrush serve` can be told.

    `listen` holds Twisted endpoint strings, `host` a URL of the reference's forms (`unix:///PATH`, `tcp://HOST:PORT`).
    Durations are seconds; `idle_exit_s` None means never. Of each data directory's event log so many bytes are kept,
    for so long, whichever comes first.
    Durations are seconds; `idle_exit_s` None means never. `budget` limits each run; `provider_idle_s` is how long a
    model may send nothing new.
    """

    host: str = ""
    listen: tuple[str, ...] = ()
    state_dir: str = ""
    token_file: str = ""
    no_token: bool = False
    plaintext: bool = False
    host_allow: tuple[str, ...] = ()
    trust_projects: bool = False
    allow_private_fetch: bool = False
    replaceable: bool = False
    unanswered: Unanswered = Unanswered()
    event_log_bytes: int = 64 * 1024 * 1024
    event_log_age_s: int = 7 * 24 * 3600
    idle_exit_s: float | None = None
    detach_grace_s: float = 10.0
    create_grace_s: float = 30.0
    budget: Budget = Budget()
    provider_idle_s: float = 300.0
