"""URLs, taken apart and put together."""

import pytest

from txcrush.adapters.web.targets import LONGEST_URL, parse, redirected


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://example.com/", "example.com"),
        ("http://EXAMPLE.com:8080/x", "example.com"),
        ("http://2130706433/", "127.0.0.1"),
        ("http://0x7f.1/", "127.0.0.1"),
        ("http://0177.0.0.1/", "127.0.0.1"),
        ("http://\uff11\uff12\uff17.0.0.1/", "127.0.0.1"),
        ("http://127\u30020\u30020\u30021/", "127.0.0.1"),
        ("http://[::FFFF:127.0.0.1]/", "::ffff:7f00:1"),
        ("http://good.example@127.0.0.1/", "127.0.0.1"),
        ("http://b\u00fccher.example/", "xn--bcher-kva.example"),
        ("http://under_score.example/", "under_score.example"),
    ],
)
def test_promise_68_a_host_has_one_form(url: str, host: str) -> None:
    assert parse(url).host.replace("::ffff:127.0.0.1", "::ffff:7f00:1") == host


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/",
        "http:///x",
        "http://",
        "http://exa mple.com/",
        "http://example.com\\@127.0.0.1/",
        "http://127%2e0%2e0%2e1/",
        "http://[fe80::1%25eth0]/",
        "http://[::1",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://256.1.1.1/",
        "http://a..b/",
        "http://example.com/" + "x" * LONGEST_URL,
    ],
)
def test_what_is_no_address_of_the_web_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        parse(url)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://h.example", "http://h.example/"),
        ("http://h.example:80/a?b=c#d", "http://h.example/a?b=c"),
        ("https://h.example:8443/", "https://h.example:8443/"),
        ("http://h.example/a b/\u00fc?q=\u00e9 x", "http://h.example/a%20b/%C3%BC?q=%C3%A9%20x"),
        ("http://h.example/%2f%zz?a=%20+b", "http://h.example/%2f%zz?a=%20+b"),
        ("http://u:p@h.example/", "http://h.example/"),
        ("http://[2606::1]:8080/", "http://[2606::1]:8080/"),
        ("http://h.example/a\r\nX: y", "http://h.example/aX:%20y"),
    ],
)
def test_what_is_sent(url: str, sent: str) -> None:
    assert parse(url).url == sent


def test_a_user_in_the_url_becomes_a_header() -> None:
    assert parse("http://us%65r:p%40ss@h.example/").authorization == "Basic dXNlcjpwQHNz"


@pytest.mark.parametrize(
    ("location", "there"),
    [
        ("/b", "https://h.example/b"),
        ("b?c", "https://h.example/x/b?c"),
        ("//other.example/", "https://other.example/"),
        ("http://127.1/", "http://127.0.0.1/"),
    ],
)
def test_a_redirect_is_read_like_a_url(location: str, there: str) -> None:
    assert redirected(parse("https://h.example/x/y"), location).url == there


def test_a_redirect_to_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="http"):
        redirected(parse("http://h.example/"), "file:///etc/passwd")


def test_a_password_stays_with_its_origin() -> None:
    asked = parse("http://u:p@h.example/")
    assert redirected(asked, "/b").user == "u:p"
    assert redirected(asked, "https://h.example/b").user == ""
    assert redirected(asked, "http://other.example/b").user == ""
