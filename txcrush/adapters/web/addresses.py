"""Which addresses the web tools reach: public ones, and how a host may write one.

The tables are our own: what Python calls global changes with its version and holds multicast. IPv6 is an allow list,
because what is not handed out today may lead anywhere tomorrow.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

_PRIVATE, _RESERVED = "a private address", "a reserved address"

_REFUSED_V4 = [
    (ip_network(network), kind)
    for network, kind in (
        ("127.0.0.0/8", "a loopback address"),
        ("0.0.0.0/8", "an unspecified address"),
        ("10.0.0.0/8", _PRIVATE),
        ("172.16.0.0/12", _PRIVATE),
        ("192.168.0.0/16", _PRIVATE),
        ("100.64.0.0/10", "an address inside a carrier's network"),
        ("169.254.0.0/16", "a link-local address"),
        ("168.63.129.16/32", "a metadata address"),
        ("192.0.0.0/24", _RESERVED),
        ("192.0.2.0/24", _RESERVED),
        ("192.88.99.0/24", _RESERVED),
        ("198.18.0.0/15", _RESERVED),
        ("198.51.100.0/24", _RESERVED),
        ("203.0.113.0/24", _RESERVED),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", _RESERVED),
    )
]

_REFUSED_V6 = [
    (IPv6Network(network), kind)
    for network, kind in (
        ("::1/128", "a loopback address"),
        ("::/128", "an unspecified address"),
        ("fc00::/7", _PRIVATE),
        ("fec0::/10", _PRIVATE),
        ("fe80::/10", "a link-local address"),
        ("ff00::/8", "a multicast address"),
        ("2001::/23", _RESERVED),
        ("2001:db8::/32", _RESERVED),
        ("2002::/16", _RESERVED),
        ("3fff::/20", _RESERVED),
    )
]
_HANDED_OUT = IPv6Network("2000::/3")
_LAST_32_BITS_ARE_V4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
_ISATAP = (0x00005EFE, 0x02005EFE)

_INSIDE = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "localdomain")


def why_refused(address: str) -> str:
    """What kind of address it is that is not reached; empty for a public one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "no address"
    if isinstance(parsed, IPv4Address):
        return next((kind for network, kind in _REFUSED_V4 if parsed in network), "")
    if parsed.scope_id:
        return "an address with a zone"
    return _why_refused_v6(parsed)


def _why_refused_v6(address: IPv6Address) -> str:
    embedded = IPv4Address(int(address) & 0xFFFFFFFF)
    if any(address in network for network in _LAST_32_BITS_ARE_V4):
        return why_refused(str(embedded))
    refused = next((kind for network, kind in _REFUSED_V6 if address in network), "")
    if refused:
        return refused
    if address not in _HANDED_OUT:
        return _RESERVED
    is_isatap = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    return why_refused(str(embedded)) if is_isatap else ""


def is_inside_name(host: str) -> bool:
    """Whether the name means something on this machine or in its network only: `localhost`, `printer`, `x.internal`."""
    name = host.lower().rstrip(".")
    return "." not in name or any(name.endswith(f".{suffix}") for suffix in _INSIDE)


def literal(host: str) -> str | None:
    """The address that a host writes, in any form that a system's resolver takes (decimal, octal, hex, fewer parts), in
    its usual form; None for a name. Raises ValueError for a number that is no address."""
    text = host.removesuffix(".")
    try:
        return str(ip_address(text))
    except ValueError:
        if ":" in text:
            raise
    *_, last = text.split(".")
    return _numeric(text) if _number(last) is not None else None


def _numeric(text: str) -> str:
    parts = [_number(part) for part in text.split(".")]
    if len(parts) > 4 or None in parts:
        raise ValueError(f"{text!r} is not an address")
    *first, last = (part or 0 for part in parts)
    if any(part > 255 for part in first) or last >= 256 ** (4 - len(first)):
        raise ValueError(f"{text!r} is not an address")
    value = sum(part << (24 - 8 * place) for place, part in enumerate(first)) + last
    return str(IPv4Address(value))


def _number(part: str) -> int | None:
    """The value of one part; None for what is no number. Raises ValueError for what begins like one and is none."""
    if not part.isascii() or not part[:1].isdigit():
        return None
    if part[:2].lower() == "0x":
        digits, radix = part[2:] or "0", 16
    else:
        digits, radix = part, 8 if part[0] == "0" else 10
    if not digits.isalnum():
        return None
    try:
        return int(digits, radix)
    except ValueError:
        if part.isdigit():
            raise
        return None
