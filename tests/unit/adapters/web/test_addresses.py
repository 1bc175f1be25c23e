"""Which addresses are reached, in whatever form a host writes them."""

import pytest

from txcrush.adapters.web.addresses import is_inside_name, literal, why_refused

LOOPBACK_IN_EVERY_DRESS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "017700000001",
    "0177.0.0.01",
    "0177.0x0.0.1",
    "127.0.0.1.",
    "::1",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::127.0.0.1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::1",
    "::ffff:0:127.0.0.1",
    "2001:0:7f00:1::",
    "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:127.0.0.1",
]
NOT_PUBLIC = [
    "0.0.0.0",
    "0",
    "0.1.2.3",
    "::",
    "10.0.0.1",
    "0xa000001",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "3232235777",
    "100.64.0.1",
    "100.127.255.255",
    "100.100.100.200",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "::ffff:169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "100::1",
    "3fff::1",
    "5f00::1",
    "4000::1",
    "2002:808:808::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "134744072", "93.184.216.34", "172.32.0.1", "100.128.0.1", "192.0.1.1", "223.255.255.1"]
PUBLIC_V6 = ["2606:4700:4700::1111", "2a00:1450:4001:830::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("host", LOOPBACK_IN_EVERY_DRESS + NOT_PUBLIC)
def test_promise_68_no_address_that_is_not_public_is_reached(host: str) -> None:
    address = literal(host)
    assert address is not None
    assert why_refused(address) != ""


@pytest.mark.parametrize("host", PUBLIC + PUBLIC_V6)
def test_a_public_address_is_reached(host: str) -> None:
    address = literal(host)
    assert address is not None
    assert why_refused(address) == ""


@pytest.mark.parametrize(
    ("host", "address"),
    [("0x7f.1", "127.0.0.1"), ("010.0.0.1", "8.0.0.1"), ("1.2.3", "1.2.0.3"), ("0x", "0.0.0.0"), ("1.256", "1.0.1.0")],
)
def test_an_address_is_read_as_a_systems_resolver_reads_it(host: str, address: str) -> None:
    assert literal(host) == address


@pytest.mark.parametrize(
    "host", ["256.1.1.1", "1.2.3.4.5", "08.1.1.1", "4294967296", "1..2", "1.2.3.0x1ffff", "::1::", "x.1"]
)
def test_a_number_that_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(ValueError):
        literal(host)


@pytest.mark.parametrize("host", ["example.com", "localhost", "1.example", "0xcafe.example", "deadbeef", "3com"])
def test_a_name_is_no_address(host: str) -> None:
    assert literal(host) is None


def test_what_is_no_address_is_refused() -> None:
    assert why_refused("example.com") == "no address"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "printer", "db.internal", "nas.local"])
def test_names_of_a_network_are_known(host: str) -> None:
    assert is_inside_name(host)


@pytest.mark.parametrize("host", ["example.com", "localhost.example.com", "local.example"])
def test_other_names_are_not(host: str) -> None:
    assert not is_inside_name(host)
