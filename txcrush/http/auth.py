"""How a page trades the token for a cookie, and gives it back.

`guards` has let the request in before it comes here: an `Authorization` header that is there is right.
"""

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.address import UNIXAddress

from txcrush.http import page_sessions
from txcrush.http.page_sessions import PageSessions
from txcrush.http.routing import Call, Reply, json_reply, route
from txcrush.model.errors import NotFound, TokenNeeded
from txcrush.wire.answers import PageAddress, PageSession
from txcrush.wire.parameters import NewCookie


class AuthRoutes:
    """The session of a browser page. `page_url` gives the address that opens it, token and all, empty where no TCP port
    is open."""

    def __init__(self, page_url: Callable[[], str]) -> None:
        self._page_url = page_url

    @route("GET", "/v1/auth/page", answers=PageAddress, errors=(NotFound, TokenNeeded))
    def page(self, call: Call) -> Reply:
        """Read the address that opens the page in a browser, with the token in its fragment. It is for those who could
        read the token anyway: a page's cookie is not enough, or a script in the page could."""
        if not isinstance(call.request.getHost(), UNIXAddress) and not call.header("Authorization"):
            raise TokenNeeded
        url = self._page_url()
        if not url:
            raise NotFound("no page is served: start the server with --web, or with a TCP address")
        return json_reply(PageAddress(url))

    @route("POST", "/v1/auth/session", answers=PageSession, labels=NewCookie, errors=(TokenNeeded,))
    def begin(self, call: Call) -> Reply:
        """Trade the token for a page's cookie. Where no token is asked, none is needed, and `expires_at` is null.

        A cookie cannot prolong itself: one that was stolen would never end.
        """
        sessions = _sessions(call)
        if sessions is None:
            return json_reply(PageSession(None))
        if not call.header("Authorization"):
            raise TokenNeeded
        cookie, ends_at = sessions.begin(call.request.getHost().port, secure=call.request.isSecure())
        reply = json_reply(PageSession(ends_at))
        return Reply(body=reply.body, headers={"Set-Cookie": cookie, "Cache-Control": "no-store"})

    @route("DELETE", "/v1/auth/session", answers=None, labels=NewCookie)
    def finish(self, call: Call) -> Reply:
        """Make the browser forget the cookie."""
        if _sessions(call) is None:
            return Reply()
        cookie = page_sessions.end(call.request.getHost().port, secure=call.request.isSecure())
        return Reply(headers={"Set-Cookie": cookie})


def _sessions(call: Call) -> PageSessions | None:
    return cast(PageSessions | None, cast(Any, call.request).channel.site.page_sessions)
