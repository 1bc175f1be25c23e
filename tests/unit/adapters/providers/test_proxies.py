"""Which proxy the environment names for an address."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.providers.proxies import Proxy, proxy_for
from txcrush.model.errors import ConfigInvalid

PROXY = Proxy("http", "proxy.test", 3128)


def chosen(scheme: str = "https", host: str = "api.example.com", port: int = 443, **environ: str) -> Proxy | None:
    return proxy_for(scheme, host, port, environ)


class ProxyTests(SynchronousTestCase):
    def test_without_variables_there_is_none(self) -> None:
        self.assertIsNone(chosen())
        self.assertIsNone(chosen(HTTPS_PROXY=""))

    def test_each_scheme_has_its_variable_in_either_case_and_one_is_for_all(self) -> None:
        address = "http://proxy.test:3128"
        self.assertEqual(chosen(HTTPS_PROXY=address), PROXY)
        self.assertEqual(chosen(https_proxy=address), PROXY)
        self.assertEqual(chosen(ALL_PROXY=address), PROXY)
        self.assertEqual(chosen(scheme="http", http_proxy=address), PROXY)
        self.assertIsNone(chosen(scheme="http", HTTPS_PROXY=address))

    def test_an_address_without_a_scheme_is_http(self) -> None:
        self.assertEqual(chosen(HTTPS_PROXY="proxy.test:3128"), PROXY)

    def test_a_user_becomes_an_authorization(self) -> None:
        proxy = chosen(HTTPS_PROXY="https://me:pass%21word@proxy.test")
        self.assertEqual(proxy, Proxy("https", "proxy.test", 443, "Basic bWU6cGFzcyF3b3Jk"))

    def test_no_proxy_exempts(self) -> None:
        cases = {
            "*": True,
            "example.com": True,
            ".example.com": True,
            "*.example.com": True,
            "other.test, API.example.com": True,
            "api.example.com:443": True,
            "api.example.com:80": False,
            "ample.com": False,
            "other.test": False,
            "": False,
        }
        exempt = {value: chosen(HTTPS_PROXY="proxy.test:3128", NO_PROXY=value) is None for value in cases}
        self.assertEqual(exempt, cases)

    def test_no_proxy_takes_addresses_and_networks(self) -> None:
        for value, exempt in (
            ("10.0.0.0/8", True),
            ("10.1.2.3", True),
            ("10.1.2.3:443", True),
            ("192.168.0.0/16", False),
        ):
            found = chosen(host="10.1.2.3", HTTPS_PROXY="proxy.test:3128", no_proxy=value)
            self.assertEqual(found is None, exempt, value)

    def test_the_loopback_is_always_exempt(self) -> None:
        for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1"):
            self.assertIsNone(chosen(host=host, HTTPS_PROXY="proxy.test:3128"))

    def test_promise_24_a_proxy_that_cannot_be_used_is_named_without_its_password(self) -> None:
        for value in ("socks5://me:secret@proxy.test", "http://me:secret@:1", "http://me:secret@proxy.test:port"):
            error = self.assertRaises(ConfigInvalid, chosen, HTTPS_PROXY=value)
            self.assertIn("HTTPS_PROXY", error.message)
            self.assertNotIn("secret", error.message)
