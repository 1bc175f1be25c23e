"""Who may ask, before anything is routed: decisions on plain values, no I/O.

`judge` is asked once a request's header block is complete and before its body is read, on every path, known or not.
A browser is the enemy to think of here: a page of a stranger can make it send requests to loopback addresses, by name
(DNS rebinding: `Host` gives it away) or from another origin (`Origin` gives it away, and a form cannot say
`application/json`). What a browser page can never send is our token.
"""

import hmac
import ipaddress
import re
from typing import Literal

from msgspec import Struct

from txcrush.http.limits import Limits
from txcrush.http.page_sessions import Standing
from txcrush.model.errors import BodyTooLarge

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SOCKET_NAMES = frozenset({"crush.localhost", "api.crush.localhost"})
"""What the reference client writes into `Host` on a Unix socket."""

DEFAULT_PORTS = {"http": 80, "https": 443}


class Policy(Struct, frozen=True, kw_only=True):
    """The rules of one listening port.

    `token` None asks for none. `names` are the hosts that we answer to (as `normal_name` writes them), `trusted_names`
    those that the user named: a page that they serve may call us from any port. `public_prefixes` are paths that can be
    read without a token: the web page's own files, which a browser cannot ask for with a header.
    """

    kind: Literal["unix", "tcp"]
    own_uid: int = -1
    token: str | None = None
    names: frozenset[str] = LOOPBACK_NAMES
    trusted_names: frozenset[str] = frozenset()
    public_prefixes: tuple[str, ...] = ()
    limits: Limits = Limits()


class Refusal(Struct, frozen=True):
    """An answer that ends the connection. `guessed`: a token was there and was wrong."""

    status: int
    message: str
    headers: tuple[tuple[str, str], ...] = ()
    guessed: bool = False


class Authority(Struct, frozen=True):
    """A host and a port as a URL names them; the name in normal form, without brackets."""

    name: str
    port: int | None = None


class Target(Struct, frozen=True):
    """Where a request goes: path and query as sent, and the authority of an absolute-form target."""

    path: str
    authority: str | None = None


class Head(Struct, frozen=True, kw_only=True):
    """A request without its body. Header fields as the values that were sent, in order.

    `body_length` is the announced length, None when the body is chunked. `local_address` is the address that the
    client connected to, empty on a Unix socket.
    """

    method: str
    target: str
    version: str
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    fetch_sites: tuple[str, ...] = ()
    fetch_modes: tuple[str, ...] = ()
    authorizations: tuple[str, ...] = ()
    content_types: tuple[str, ...] = ()
    page_session: Standing = "none"
    body_length: int | None = 0
    local_address: str = ""


BAD_REQUEST = Refusal(400, "bad request")
HEADERS_TOO_LARGE = Refusal(431, "request header block is too large")
TOO_SLOW = Refusal(408, "request took too long to arrive")
TOO_LARGE = Refusal(413, BodyTooLarge.default)
TOO_MANY = Refusal(503, "too many connections are open", (("Retry-After", "1"),))
NO_HOST = Refusal(400, "exactly one Host header is needed")
WRONG_HOST = Refusal(421, "this server does not answer to that host name; --host-allow NAME adds one")
WRONG_ORIGIN = Refusal(403, "requests from pages of another origin are refused")
NO_TOKEN = Refusal(401, "a bearer token is needed", (("WWW-Authenticate", "Bearer"),))
WRONG_TOKEN = Refusal(401, "the bearer token is wrong", (("WWW-Authenticate", "Bearer"),), guessed=True)
SESSION_ENDED = Refusal(401, "the page's session has ended", (("WWW-Authenticate", "Bearer"),))
WRONG_SESSION = Refusal(401, "the page's session is not known", (("WWW-Authenticate", "Bearer"),), guessed=True)
WRONG_TYPE = Refusal(415, "the request body must be application/json")

_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_.-]+))(?::(?P<port>[0-9]{0,5}))?")
_ABSOLUTE = re.compile(r"(?i:https?)://(?P<authority>[^/?#]*)(?P<rest>.*)")
_DOTS = re.compile(r"(?i:\.|%2e){1,2}")
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def too_many_guesses(retry_after_s: int) -> Refusal:
    """The answer to a wrong token from an address that sent too many of them."""
    return Refusal(429, "too many wrong tokens", (("Retry-After", str(retry_after_s)),))


def parse_authority(text: str) -> Authority | None:
    """A host with or without a port; None where the text is not one (user information, blanks, empty labels)."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    name = normal_name(match["v6"] or match["name"], is_v6=match["v6"] is not None)
    return None if name is None or (port is not None and port > 65535) else Authority(name, port)


def normal_name(text: str, *, is_v6: bool = False) -> str | None:
    """A host name in the one form that is compared: lower case, no trailing dot, IPv6 in its short form."""
    if is_v6:
        try:
            return str(ipaddress.IPv6Address(text))
        except ValueError:
            return None
    name = text.lower().removesuffix(".")
    return name if len(name) <= 253 and all(0 < len(label) <= 63 for label in name.split(".")) else None


def parse_target(method: str, target: str) -> Target | None:
    """Split a request target; None where it is neither a path, nor a http URL, nor the `*` of OPTIONS."""
    if any(not 0x20 < ord(character) < 0x7F for character in target):
        return None
    if target.startswith("/") or (target == "*" and method == "OPTIONS"):
        return Target(target)
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        return None
    rest = match["rest"]
    return Target(rest if rest.startswith("/") else f"/{rest}", match["authority"])


def clean_path(path: str) -> str:
    """The path without empty, `.` and `..` segments; a trailing slash stays.

    `%2e` counts as a dot, as it does for browsers. A backslash is escaped, because browsers read it as a slash: the
    result is a redirect's target and has to stay on this server.
    """
    if not path.startswith("/"):
        return path
    *inner, last = path[1:].split("/")
    kept: list[str] = []
    for segment in (*inner, last):
        if segment and not _DOTS.fullmatch(segment):
            kept.append(segment.replace("\\", "%5C"))
        elif len(re.sub("(?i)%2e", ".", segment)) == 2:
            del kept[-1:]
    cleaned = "/" + "/".join(kept)
    return cleaned + "/" if not last and kept else cleaned


def is_clean(path: str) -> bool:
    """Whether no segment of the path is empty (but the last), `.` or `..`."""
    *inner, last = path[1:].split("/")
    return all(inner) and not any(_DOTS.fullmatch(segment) for segment in (*inner, last))


def field_problem(line: bytes) -> Refusal | None:
    """What is wrong with a header line that Twisted's own parser lets pass.

    Tried with Twisted 26.10: control characters other than NUL, CR and LF, `Transfer-Encoding: identity`, a
    Content-Length with leading zeros (octal to some parsers) and one of thousands of digits (which int() refuses with
    an exception nobody catches).
    """
    name, _, value = line.partition(b":")
    name, value = name.lower(), value.strip(b" \t")
    if _CONTROLS.search(line) or (name == b"transfer-encoding" and value.lower() != b"chunked"):
        return BAD_REQUEST
    if name == b"content-length" and value.isdigit() and value[:1] == b"0" and value != b"0":
        return BAD_REQUEST
    if name == b"content-length" and value.isdigit() and len(value) > 18:
        return TOO_LARGE
    return None


def trailer_problem(line: bytes) -> bool:
    """Whether a line after the last chunk is not a header field."""
    return re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*", line) is None


def judge(policy: Policy, head: Head) -> Refusal | None:
    """The refusal that a request deserves, or None when it may be read and routed."""
    target = parse_target(head.method, head.target)
    if target is None:
        return BAD_REQUEST
    host = judge_host(policy, head, target.authority)
    if isinstance(host, Refusal):
        return host
    return (
        judge_origin(policy, head, host)
        or judge_fetch(policy, head)
        or judge_token(policy, head, target.path, host)
        or judge_body(policy, head)
    )


def judge_host(policy: Policy, head: Head, authority: str | None) -> Authority | Refusal:
    """The one host that the request names: of an absolute-form target its authority, else the Host header."""
    if not head.hosts and head.version == "HTTP/1.0" and policy.kind == "unix":
        return Authority("localhost")
    if len(head.hosts) != 1 or not head.hosts[0]:
        return NO_HOST
    host = parse_authority(head.hosts[0] if authority is None else authority)
    if host is None:
        return NO_HOST
    return host if policy.kind == "unix" or _is_ours(policy, head, host.name) else WRONG_HOST


def judge_origin(policy: Policy, head: Head, host: Authority) -> Refusal | None:
    """A page may call us when we served it ourselves or when the user named its host."""
    if not head.origins:
        return None
    scheme, _, rest = head.origins[0].partition("://")
    origin = parse_authority(rest)
    if len(head.origins) != 1 or origin is None or scheme not in DEFAULT_PORTS:
        return WRONG_ORIGIN
    if origin.name in policy.trusted_names:
        return None
    default = DEFAULT_PORTS[scheme]
    same_port = (origin.port or default) == (host.port or default)
    return None if same_port and _is_ours(policy, head, origin.name) else WRONG_ORIGIN


def judge_fetch(policy: Policy, head: Head) -> Refusal | None:
    """Refuse what a foreign page loads without an Origin header: images, scripts, styles.

    A link that a person follows (`navigate`) passes; it carries no token and changes nothing.
    """
    if policy.kind == "unix" or head.origins or set(head.fetch_sites) <= {"same-origin", "none"}:
        return None
    return None if head.method == "GET" and head.fetch_modes == ("navigate",) else WRONG_ORIGIN


def judge_token(policy: Policy, head: Head, path: str, host: Authority) -> Refusal | None:
    """Compare the bearer token in constant time; without one, a page's cookie may do."""
    if policy.token is None or _is_public(policy, head.method, path):
        return None
    if not head.authorizations and head.page_session != "none":
        return judge_page(head, host)
    if not head.authorizations:
        return NO_TOKEN
    scheme, _, given = head.authorizations[0].partition(" ")
    if len(head.authorizations) != 1 or scheme.lower() != "bearer":
        return NO_TOKEN
    same = hmac.compare_digest(given.strip().encode(), policy.token.encode())
    return None if same else WRONG_TOKEN


def judge_page(head: Head, host: Authority) -> Refusal | None:
    """A cookie counts for what our own page asks.

    Browsers send it along with requests of any page on the same host, whatever its port, and `SameSite` does not stop
    them. So what changes something has to say where it comes from. A `Host` that a proxy has rewritten is no hindrance
    where the browser itself says `same-origin`.
    """
    if head.page_session != "valid":
        return SESSION_ENDED if head.page_session == "expired" else WRONG_SESSION
    if head.fetch_sites == ("same-origin",):
        return None
    if head.origins and not head.fetch_sites:
        return None if _is_same(head.origins[0], host) else WRONG_ORIGIN
    is_safe = head.method in ("GET", "HEAD", "OPTIONS")
    return None if is_safe and not head.origins and head.fetch_sites in ((), ("none",)) else WRONG_ORIGIN


def shows_token(policy: Policy, head: Head) -> bool:
    """Whether a request that passed did so by a token, or where none is asked."""
    return policy.token is None or bool(head.authorizations) or head.page_session == "valid"


def judge_body(policy: Policy, head: Head) -> Refusal | None:
    """On TCP a body has to say that it is JSON: no form and no `fetch` without preflight can."""
    if head.body_length == 0:
        return None
    if policy.kind == "tcp" and not _is_json(head.content_types):
        return WRONG_TYPE
    return TOO_LARGE if (head.body_length or 0) > policy.limits.max_body else None


def _is_ours(policy: Policy, head: Head, name: str) -> bool:
    known = name in policy.names or name in policy.trusted_names
    return known or name == head.local_address or (policy.kind == "unix" and name in SOCKET_NAMES)


def _is_same(origin: str, host: Authority) -> bool:
    """Whether an origin is the very host and port that the request names."""
    scheme, _, rest = origin.partition("://")
    authority, default = parse_authority(rest), DEFAULT_PORTS.get(scheme)
    return authority is not None and (authority.name, authority.port or default) == (host.name, host.port or default)


def _is_public(policy: Policy, method: str, path: str) -> bool:
    path = path.partition("?")[0]
    return method in ("GET", "HEAD") and is_clean(path) and path.startswith(policy.public_prefixes)


def _is_json(content_types: tuple[str, ...]) -> bool:
    return len(content_types) == 1 and content_types[0].partition(";")[0].strip().lower() == "application/json"
