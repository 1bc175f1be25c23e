"""Where the server listens: what the settings ask for, what is refused, and the ports while they are open."""

import ipaddress
import os.path
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from msgspec import Struct, structs
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import SSL4ServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorTime, IStreamServerEndpoint
from twisted.web.resource import IResource

from txcrush.http.guards import LOOPBACK_NAMES, Policy, parse_authority
from txcrush.http.limits import Limits
from txcrush.http.page_sessions import PageSessions
from txcrush.http.site import CrushSite, PeerUid
from txcrush.http.tlsfiles import TlsFiles, TlsPair
from txcrush.http.tokenfile import ensure_token
from txcrush.http.unixsocket import BACKLOG, listen_unix, peer_uid
from txcrush.model.addresses import UnixAddress, default_host, parse_host
from txcrush.model.errors import ListenFailed
from txcrush.model.settings import ServerSettings

CLOSE_S = 5.0
WEB_PORT = 8374
"""The usual port of the page: a browser keeps what it knows of a page by its port."""


class UnixPlace(Struct, frozen=True):
    """A Unix socket to listen on."""

    path: str


class TcpPlace(Struct, frozen=True):
    """A TCP port to listen on, as a Twisted endpoint string. `interface` is empty for all of them.

    With `tls`, `port` and `backlog` count instead of the string. `is_page`: the port that `--web` asked for.
    """

    endpoint: str
    interface: str
    secure: bool = False
    tls: TlsPair | None = None
    port: int = 0
    backlog: int = BACKLOG
    is_page: bool = False


class _Shape(Struct, frozen=True):
    """What the positions of an endpoint string of a kind mean, when they are not named."""

    fields: tuple[str, ...]
    default_interface: str = ""
    secure: bool = False


_SHAPES = {
    "tcp": _Shape(("port", "interface", "backlog")),
    "tcp6": _Shape(("port", "backlog", "interface"), "::"),
    "ssl": _Shape(
        ("port", "privateKey", "certKey", "sslmethod", "interface", "backlog", "extraCertChain", "dhParameters"),
        secure=True,
    ),
    "tls": _Shape(("path", "port", "backlog", "interface"), "::", secure=True),
}


class Listening:
    """The ports that are open. `addresses` are their URLs, `token` what their TCP clients need, or None.

    `page_url` is where `--web` put the page, with the token in its fragment, which browsers keep to themselves.
    """

    def __init__(self, clock: IReactorTime, token: str | None) -> None:
        self.addresses: tuple[str, ...] = ()
        self.token = token
        self.page_url: str | None = None
        self._clock = clock
        self._ports: list[IListeningPort] = []
        self._sites: list[CrushSite] = []

    @property
    def open_page_url(self) -> str:
        """The page's address, that of `--web` or of the first TCP port, with the token; empty where there is none."""
        if self.page_url is not None:
            return self.page_url
        first = next((address for address in self.addresses if address.startswith("http")), "")
        return page_address(first, self.token) if first else ""

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return sum(len(site.channels) for site in self._sites)

    def add(self, address: str, port: IListeningPort, site: CrushSite) -> None:
        """Note a port that was opened."""
        self.addresses = (*self.addresses, address)
        self._ports.append(port)
        self._sites.append(site)

    def hold(self) -> None:
        """Accept nobody for a while: who connects waits in the system's queue."""
        for port in self._ports:
            cast(Any, port).stopReading()

    def resume(self) -> None:
        """Accept again."""
        for port in self._ports:
            cast(Any, port).startReading()

    def stop_accepting(self) -> "Deferred[None]":
        """Close the ports, remove the sockets; open connections stay. Fires when nobody can connect any more."""
        ports, self._ports = self._ports, []
        closed = DeferredList([maybeDeferred(port.stopListening) for port in ports], consumeErrors=True)
        return closed.addCallback(lambda _: None)

    def close_connections(self, bound_s: float = CLOSE_S) -> "Deferred[None]":
        """Close idle connections now, each other one after its answer, and what is left after `bound_s` seconds."""
        closed = DeferredList([site.when_empty() for site in self._sites])
        for site in self._sites:
            site.close_when_idle()
        deadline = self._clock.callLater(bound_s, self._abort)
        return closed.addCallback(lambda _: deadline.cancel() if deadline.active() else None)

    def stop(self, bound_s: float = CLOSE_S) -> "Deferred[None]":
        """`stop_accepting`, then `close_connections`. May be called again."""
        return self.stop_accepting().addCallback(lambda _: self.close_connections(bound_s))

    def _abort(self) -> None:
        for site in self._sites:
            site.abort_all()


def page_address(base: str, token: str | None) -> str:
    """Where the page is below a server's address; the token in the fragment, which browsers keep to themselves."""
    return f"{base}/ui/{f'#token={token}' if token else ''}"


async def listen(
    reactor: IReactorTime,
    settings: ServerSettings,
    environ: Mapping[str, str],
    uid: int,
    resource: IResource,
    *,
    random: Callable[[int], bytes],
    now: Callable[[], float],
    limits: Limits = Limits(),  # noqa: B008  (frozen)
    public_prefixes: tuple[str, ...] = (),
    read_peer_uid: PeerUid = peer_uid,
) -> Listening:
    """Open every place that the settings name. Raises `ListenFailed` or CannotListenError; then none stays open.

    `random` returns that many unpredictable bytes, for a new token. `now` is Unix time in seconds, for the cookies of
    pages. `public_prefixes` are the paths of the web page, whose files need no token.
    """
    places = plan(settings, environ, uid)
    wants_token = not settings.no_token and any(isinstance(place, TcpPlace) for place in places)
    token = ensure_token(token_path(settings, environ), random) if wants_token else None
    trusted = trusted_names(settings)
    listening = Listening(reactor, token)
    sessions = PageSessions(token, now) if token is not None else None
    try:
        for place in places:
            if isinstance(place, UnixPlace):
                policy = Policy(kind="unix", own_uid=uid, trusted_names=trusted, limits=limits)
                site = CrushSite(resource, policy, reactor, read_peer_uid)
                listening.add(f"unix://{place.path}", listen_unix(reactor, place.path, site), site)
            else:
                policy = tcp_policy(place, token, trusted, limits, public_prefixes)
                await _open_tcp(reactor, place, CrushSite(resource, policy, reactor, None, sessions), listening)
    except BaseException:
        await listening.stop(0.0)
        raise
    return listening


async def _open_tcp(reactor: IReactorTime, place: TcpPlace, site: CrushSite, listening: Listening) -> None:
    port = await _listen_tcp(reactor, place, site)
    listening.add(_url(port, place.secure), port, site)
    if place.is_page:
        listening.page_url = page_address(_url(port, secure=False), listening.token)


def plan(settings: ServerSettings, environ: Mapping[str, str], uid: int) -> tuple[UnixPlace | TcpPlace, ...]:
    """The places that the settings name; the user's default socket when they name none. Raises `ListenFailed`."""
    host = settings.host or ("" if settings.listen else default_host(environ, uid))
    named = ([host_place(host)] if host else []) + [endpoint_place(text) for text in settings.listen]
    pair = tls_pair(settings)
    places = named if pair is None else _secured(named, pair)
    if settings.web is not None:
        places = [*places, page_place(settings.web)]
    for place in places:
        if isinstance(place, TcpPlace):
            check_tcp(place, settings)
    return tuple(places)


def tls_pair(settings: ServerSettings) -> TlsPair | None:
    """The files of `--tls-cert` and `--tls-key`; one file may hold both. Raises `ListenFailed`."""
    if settings.tls_key and not settings.tls_cert:
        raise ListenFailed("--tls-key needs --tls-cert")
    return TlsPair(settings.tls_cert, settings.tls_key or settings.tls_cert) if settings.tls_cert else None


def page_place(port: int) -> TcpPlace:
    """The place of `--web`: loopback, and plain, since it never leaves the machine."""
    return TcpPlace(f"tcp:{port}:interface=127.0.0.1:backlog={BACKLOG}", "127.0.0.1", port=port, is_page=True)


def host_place(text: str) -> UnixPlace | TcpPlace:
    """The place of a `--host` URL."""
    if text.startswith("npipe://"):
        raise ListenFailed(f"named pipes exist on Windows only: {text}")
    try:
        address = parse_host(text)
    except ValueError as error:
        raise ListenFailed(str(error)) from error
    if isinstance(address, UnixAddress):
        return UnixPlace(address.path)
    interface = "127.0.0.1" if address.host.lower() == "localhost" else address.host
    quoted = interface.replace("\\", r"\\").replace(":", r"\:")
    return TcpPlace(f"tcp:{address.port}:interface={quoted}:backlog={BACKLOG}", interface, port=address.port)


def endpoint_place(text: str) -> UnixPlace | TcpPlace:
    """The place of a `--listen` endpoint string."""
    kind, positional, named = split_endpoint(text)
    if kind == "unix":
        if len(positional) != 1 or named:
            raise ListenFailed(f"write unix:/PATH and nothing else, the socket is always private: {text}")
        return UnixPlace(os.path.abspath(positional[0]))
    shape = _SHAPES.get(kind)
    if shape is None:
        raise ListenFailed(f"write tcp:, tcp6:, ssl:, tls: or unix: in front of what to listen on: {text}")
    fields = dict(zip(shape.fields, positional, strict=False)) | named
    endpoint = text if "backlog" in fields else f"{text}:backlog={BACKLOG}"
    return TcpPlace(
        endpoint,
        fields.get("interface", shape.default_interface),
        shape.secure,
        _ssl_pair(text, fields) if kind == "ssl" else None,
        _number(text, fields.get("port", "0")),
        _number(text, fields.get("backlog", str(BACKLOG))),
    )


def _ssl_pair(text: str, fields: Mapping[str, str]) -> TlsPair:
    """The files of an `ssl:` endpoint; which versions and ciphers are spoken is not for the endpoint to say."""
    if {"sslmethod", "dhParameters"} & {name for name, value in fields.items() if value}:
        raise ListenFailed(f"TLS 1.2 and later with forward secret ciphers are spoken; leave the rest out: {text}")
    key = fields.get("privateKey", "server.pem")
    return TlsPair(fields.get("certKey") or key, key, fields.get("extraCertChain", ""))


def _secured(places: list[UnixPlace | TcpPlace], pair: TlsPair) -> list[UnixPlace | TcpPlace]:
    """The places, with TLS on those TCP ports that have none of their own."""
    if not any(isinstance(place, TcpPlace) for place in places):
        raise ListenFailed("--tls-cert is for TCP ports: name one with --listen tcp:PORT or --host tcp://HOST:PORT")
    return [
        structs.replace(place, secure=True, tls=pair) if isinstance(place, TcpPlace) and not place.secure else place
        for place in places
    ]


def _number(text: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value[:6]) <= 65535):
        raise ListenFailed(f"a port is a number up to 65535: {text}")
    return int(value)


def split_endpoint(text: str) -> tuple[str, list[str], dict[str, str]]:
    """Kind, positional and named arguments of an endpoint string; a backslash escapes `:`, `=` and itself."""
    kind, *fields = re.findall(r"(?:[^:\\]|\\.)+", text) or [""]
    positional: list[str] = []
    named: dict[str, str] = {}
    for field in fields:
        pair = re.fullmatch(r"((?:[^=\\]|\\.)+)=(.*)", field)
        if pair is None:
            positional.append(_unescape(field))
        else:
            named[pair[1]] = _unescape(pair[2])
    return kind, positional, named


def check_tcp(place: TcpPlace, settings: ServerSettings) -> None:
    """Raises `ListenFailed` where the port would be open to others without what protects it."""
    if is_loopback(place.interface):
        return
    where = place.interface or "all interfaces"
    if settings.no_token:
        raise ListenFailed(f"--no-token is for loopback addresses only, {where} can be reached by others")
    if not place.secure and not settings.plaintext:
        raise ListenFailed(
            f"{where} can be reached by others: use an ssl: endpoint with --listen, "
            "or --plaintext to send token and prompts in the clear"
        )


def is_loopback(interface: str) -> bool:
    """Whether only this machine can reach the interface. A name other than localhost counts as reachable."""
    if interface.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(interface).is_loopback
    except ValueError:
        return False


def trusted_names(settings: ServerSettings) -> frozenset[str]:
    """The names of `--host-allow` in normal form. Raises `ListenFailed`."""
    names = {text: parse_authority(text) for text in settings.host_allow}
    for text, authority in names.items():
        if authority is None:
            raise ListenFailed(f"--host-allow wants a host name or an address: {text}")
    return frozenset(authority.name for authority in names.values() if authority is not None)


def token_path(settings: ServerSettings, environ: Mapping[str, str]) -> str:
    """Where the token lies: `--token-file`, or `token` in the state directory."""
    if settings.token_file:
        return settings.token_file
    data_home = environ.get("XDG_DATA_HOME") or os.path.join(environ.get("HOME", "."), ".local", "share")
    return os.path.join(settings.state_dir or os.path.join(data_home, "txcrush"), "token")


def tcp_policy(
    place: TcpPlace, token: str | None, trusted: frozenset[str], limits: Limits, public_prefixes: tuple[str, ...]
) -> Policy:
    """The rules of a TCP port: it answers to the loopback names, to its own address and to what the user named."""
    own = parse_authority(f"[{place.interface}]" if ":" in place.interface else place.interface)
    names = LOOPBACK_NAMES if own is None or own.name in ("0.0.0.0", "::") else LOOPBACK_NAMES | {own.name}
    return Policy(
        kind="tcp", token=token, names=names, trusted_names=trusted, public_prefixes=public_prefixes, limits=limits
    )


async def _listen_tcp(reactor: IReactorTime, place: TcpPlace, site: CrushSite) -> IListeningPort:
    if place.is_page and place.port == 0:
        return await _listen_usual(reactor, place, site)
    if place.tls is not None:
        files = TlsFiles(place.tls, reactor.seconds)
        secured = SSL4ServerEndpoint(reactor, place.port, files, place.backlog, place.interface)
        return cast(IListeningPort, await secured.listen(site))
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, place.endpoint)
    except (ValueError, TypeError, LookupError, OSError) as error:
        raise ListenFailed(f"cannot listen on {place.endpoint}: {error}") from error
    port: IListeningPort = await endpoint.listen(site)
    return port


async def _listen_usual(reactor: IReactorTime, place: TcpPlace, site: CrushSite) -> IListeningPort:
    """The page's usual port, or another where that is taken."""
    try:
        return await _listen_tcp(reactor, page_place(WEB_PORT), site)
    except CannotListenError:
        return await _listen_tcp(reactor, structs.replace(place, is_page=False), site)


def _url(port: IListeningPort, secure: bool) -> str:
    address: Any = port.getHost()
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{'https' if secure else 'http'}://{host}:{address.port}"


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
