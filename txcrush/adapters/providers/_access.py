"""Where a provider is, and how we are known to it."""

from collections.abc import Mapping

from msgspec import Struct
from twisted.web.http_headers import Headers

_BEARER = "Bearer "


class Access(Struct, frozen=True, kw_only=True):
    """An endpoint and the key to it, with every template expanded.

    `url` is the whole address of the endpoint; an empty `api_key` is not sent.
    """

    url: str
    api_key: str
    extra_headers: Mapping[str, str]
    user_agent: str

    def __repr__(self) -> str:
        """Nothing that could end in a log."""
        return f"Access(url={self.url!r})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, longest first, so that no half of one is left."""
        values = {self.api_key, self.api_key.removeprefix(_BEARER).strip(), *self.extra_headers.values()}
        return tuple(sorted(values, key=len, reverse=True))

    @property
    def is_bearer(self) -> bool:
        """Whether the key says itself that it goes into `Authorization`."""
        return self.api_key.startswith(_BEARER)

    def bearer(self) -> dict[str, str]:
        """The key as `Authorization`, where there is one."""
        if not self.api_key:
            return {}
        return {"Authorization": self.api_key if self.is_bearer else _BEARER + self.api_key}

    def headers(self, affinity: str, own: Mapping[str, str]) -> Headers:
        """The headers of one request, with the wire's `own`; the user's come last and win."""
        names = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
            "User-Agent": self.user_agent,
            **own,
        }
        if affinity:
            names |= {"x-session-id": affinity, "x-session-affinity": affinity}
        headers = Headers({name: [value] for name, value in names.items()})
        for name, value in self.extra_headers.items():
            headers.setRawHeaders(name, [value])
        return headers
