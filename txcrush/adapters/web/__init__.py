"""Pages of the web: fetched within limits, from public addresses only, and turned into what a model can read."""

from txcrush.adapters.web.bodies import Body
from txcrush.adapters.web.client import Answer, WebClient, WebRequest
from txcrush.adapters.web.failures import AddressRefused, WebFailed

__all__ = ["AddressRefused", "Answer", "Body", "WebClient", "WebFailed", "WebRequest"]
