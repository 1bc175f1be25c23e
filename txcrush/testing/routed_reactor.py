"""A reactor whose names a test gives, and whose connections to any address end at one port of the loopback."""

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IResolutionReceiver,
)
from zope.interface import implementer


@implementer(IReactorPluggableNameResolver, IReactorTCP, IHostnameResolver)
class RoutedReactor:
    """The given reactor but for names and TCP connections.

    `names` maps a name to the answers that it gets, one after the other; the last one stays. `connected` holds the
    addresses that somebody connected to, `asked` the names that somebody looked up.
    """

    def __init__(self, reactor: Any, port: int, names: Mapping[str, Sequence[Sequence[str]]] = {}) -> None:
        self._reactor = reactor
        self._port = port
        self._names = {name: list(answers) for name, answers in names.items()}
        self.connected: list[str] = []
        self.asked: list[str] = []

    @property
    def nameResolver(self) -> "RoutedReactor":
        return self

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """The names are the test's."""
        return resolver

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        """Answers at once, with no address for a name that the test did not give."""
        self.asked.append(hostName)
        answers = self._names.get(hostName, [[hostName] if _is_address(hostName) else []])
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        for address in addresses:
            kind = IPv6Address if ":" in address else IPv4Address
            resolutionReceiver.addressResolved(kind("TCP", address, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution

    def connectTCP(self, host: Any, port: int, factory: Any, timeout: Any = 30, bindAddress: Any = None) -> Any:
        """Connects to the loopback, whatever the address."""
        self.connected.append(host)
        return self._reactor.connectTCP("127.0.0.1", self._port, factory, timeout=timeout)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        return self._reactor.listenTCP(port, factory, backlog, interface)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


def _is_address(host: str) -> bool:
    return isIPAddress(host) or isIPv6Address(host)


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """It is over already."""
