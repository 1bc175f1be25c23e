"""Pages as text, HTML and Markdown."""

import pytest

from txcrush.adapters.web.documents import body_of, markdown_of, readable, text_of


def page(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"


def test_text_is_the_bodys_with_single_blanks() -> None:
    assert text_of(page("<h1>Head</h1><p>Para\n\n  <b>bold</b> &amp; more</p>", "<title>T</title>")) == (
        "HeadPara bold & more"
    )


def test_the_body_is_what_is_inside_it() -> None:
    assert (
        body_of(page("<h1>Head</h1><p>Para <b>bold</b></p>", "<title>T</title>"))
        == "<h1>Head</h1><p>Para <b>bold</b></p>"
    )


@pytest.mark.parametrize("empty", ["", "   ", "<!-- only this -->", page(""), "<html></html>", "<frameset></frameset>"])
def test_what_holds_nothing_gives_nothing(empty: str) -> None:
    assert (text_of(empty), body_of(empty), markdown_of(empty), readable(empty)) == ("", "", "", "")


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("<h1>One</h1><h3>Three</h3>", "# One\n\n### Three"),
        ("<ul><li>a<ul><li>b<ul><li>c</li></ul></li></ul></li><li>d</li></ul>", "- a\n  - b\n    - c\n- d"),
        ("<ol><li>x</li><li>y</li></ol>", "1. x\n2. y"),
        ("<p><b>bold</b> <strong>too</strong></p>", "**bold** **too**"),
        ("<p>an <i>italic</i> <em>word</em>.</p>", "an _italic_ _word_."),
        ("<p>an <i>italic <b>bold</b> <a href='/x'>link</a></i>.</p>", "an _italic **bold** [link](/x)_."),
        ("<p>a<i> spaced </i>b</p>", "a _spaced_ b"),
        ('<pre><code class="language-py">x = 1\n</code></pre>', "```py\nx = 1\n```"),
        ("<p>a</p><hr><p>b</p>", "a\n\n* * *\n\nb"),
        ('<p><a href="/rel?x=1">rel</a> <a href="http://h/">abs</a></p>', "[rel](/rel?x=1) [abs](http://h/)"),
        ('<p>see <img src="i.png" alt="al"> here</p>', "see ![al](i.png) here"),
        ("<p>snake_case 2*3</p>", "snake\\_case 2\\*3"),
        ("<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>", "A B\n\n1 2"),
        ("<p>a</p><script>var x</script><style>p{}</style><p>b</p>", "a\n\nb"),
        ("<p>\ufdd0mark\ufdd1 \ufdd2</p>", "mark"),
    ],
)
def test_markdown_is_the_references_dialect(html: str, markdown: str) -> None:
    assert markdown_of(page(html)) == markdown


def test_the_title_is_the_first_line() -> None:
    assert markdown_of(page("<h1>Head</h1><p>Para <b>bold</b></p>", "<title>T</title>")) == (
        "T\n\n# Head\n\nPara **bold**"
    )


def test_a_page_for_reading_has_no_noise_and_no_needless_space() -> None:
    noise = "".join(f"<{name}>{name}!</{name}>" for name in ("nav", "header", "footer", "aside", "noscript", "svg"))
    assert (
        readable(page(f"{noise}<p>one</p>\n\n\n<div><br></div><p>two   </p><iframe src='x'></iframe>{noise}"))
        == "one\n\ntwo"
    )


@pytest.mark.parametrize("nested", ["<div>", "<b>", "<ul><li>", "<table><tr><td>", "<blockquote>", "<i>"])
def test_promise_69_deep_nesting_ends(nested: str) -> None:
    deep = page(nested * 20_000 + "x")
    assert len(markdown_of(deep)) + len(text_of(deep)) + len(body_of(deep)) < 1_000_000


def test_what_is_no_html_stays_readable() -> None:
    assert text_of("just < words & more") == "just < words & more"
