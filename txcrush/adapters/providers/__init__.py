"""Model providers: own adapters over Twisted's HTTP client, and the offline model.

The client is imported for whoever asks for `ProviderBuilder`: a server is started before it needs one.
"""

from typing import TYPE_CHECKING, Any

from txcrush.adapters.providers._idle_watch import Limits
from txcrush.adapters.providers.offline import OFFLINE, offline_config

if TYPE_CHECKING:
    from txcrush.adapters.providers.builder import ProviderBuilder

__all__ = ["OFFLINE", "Limits", "ProviderBuilder", "offline_config"]


def __getattr__(name: str) -> Any:
    if name == "ProviderBuilder":
        from txcrush.adapters.providers.builder import ProviderBuilder

        return ProviderBuilder
    raise AttributeError(name)
