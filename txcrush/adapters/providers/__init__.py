"""Model providers: own adapters over Twisted's HTTP client, and the offline model."""

from txcrush.adapters.providers._idle_watch import Limits
from txcrush.adapters.providers.builder import ProviderBuilder
from txcrush.adapters.providers.offline import OFFLINE, offline_config

__all__ = ["OFFLINE", "Limits", "ProviderBuilder", "offline_config"]
