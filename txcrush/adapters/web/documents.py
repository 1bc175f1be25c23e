"""Pages as a model reads them: text, HTML or Markdown. Everything here is work for a thread.

The Markdown is the reference's dialect as far as the converter can be told: `-` bullets, `_italic_`, `* * *` rules,
tables as plain rows. What it has no option for is done on the document before and, by characters that no document may
hold, on the text behind.
"""

import re
from collections.abc import Iterable

from html_to_markdown import ConversionOptions, PreprocessingOptions, convert
from lxml import etree, html

from txcrush.adapters.web.failures import WebFailed

NOISY = ("script", "style", "nav", "header", "footer", "aside", "noscript", "iframe", "svg")
_UNSEEN = ("script", "style", "svg", "template", "iframe")

_ITALIC_BEGINS, _ITALIC_ENDS, _RULE = "\ufdd0", "\ufdd1", "\ufdd2"
_MARKS = str.maketrans({_ITALIC_BEGINS: "_", _ITALIC_ENDS: "_", _RULE: "* * *"})
_WITHOUT_MARKS = str.maketrans("", "", _ITALIC_BEGINS + _ITALIC_ENDS + _RULE + "\0")

_OPTIONS = ConversionOptions(
    bullets="-",
    escape_asterisks=True,
    escape_underscores=True,
    extract_metadata=False,
    autolinks=False,
    hidden_content="all",
    preprocessing=PreprocessingOptions(enabled=False),
)

_BLANK_LINES = re.compile(r"\n{3,}")
_LINE_ENDS = re.compile(r"[ \t]+$", re.MULTILINE)


def text_of(page: str) -> str:
    """The text of the body, each run of white space one blank."""
    body = _body(_document(page))
    return "" if body is None else " ".join(str(body.text_content()).split())


def body_of(page: str) -> str:
    """The HTML inside the body; empty where there is none."""
    body = _body(_document(page))
    if body is None:
        return ""
    return _inner(body).strip()


def markdown_of(page: str, leave_out: Iterable[str] = ()) -> str:
    """The document as Markdown, its title first, without the elements of these names."""
    document = _document(page.translate(_WITHOUT_MARKS))
    if document is None:
        return ""
    etree.strip_elements(document, etree.Comment, etree.ProcessingInstruction, *_UNSEEN, *leave_out, with_tail=False)
    _show_title(document)
    _flatten_tables(document)
    _mark(document)
    return _converted(_html(document)).translate(_MARKS).strip("\n")


def readable(page: str) -> str:
    """The document as Markdown without what surrounds its content, and without needless space."""
    tidy = _LINE_ENDS.sub("", markdown_of(page, NOISY))
    return _BLANK_LINES.sub("\n\n", tidy).strip()


def _document(page: str) -> html.HtmlElement | None:
    """The parsed page; None where it holds nothing."""
    parser = html.HTMLParser(encoding="utf-8", huge_tree=True)
    try:
        return html.document_fromstring(page.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return None


def _body(document: html.HtmlElement | None) -> html.HtmlElement | None:
    return None if document is None else document.find("body")


def _html(element: html.HtmlElement) -> str:
    return str(etree.tostring(element, encoding="unicode", method="html", with_tail=False))


def _inner(element: html.HtmlElement) -> str:
    whole = _html(element)
    return whole[whole.index(">") + 1 : whole.rindex("<")]


def _show_title(document: html.HtmlElement) -> None:
    """The reference's converter sees the title as a line of the text."""
    title, body = document.find("head/title"), document.find("body")
    if title is None or body is None:
        return
    line = html.Element("p")
    line.text = title.text
    line.tail, body.text = body.text, None
    body.insert(0, line)


def _flatten_tables(document: html.HtmlElement) -> None:
    """A line for each row, its cells beside each other."""
    for cell in document.iter("td", "th"):
        cell.tag = "span"
        cell.tail = " "
    for row in document.iter("tr", "caption"):
        row.tag = "p"
    etree.strip_tags(document, "table", "thead", "tbody", "tfoot")
    etree.strip_elements(document, "colgroup", with_tail=False)


def _mark(document: html.HtmlElement) -> None:
    for rule in list(document.iter("hr")):
        rule.tag = "p"
        rule.text = _RULE
    for italic in document.iter("em", "i"):
        if (italic.text_content() or "").strip():
            _mark_italic(italic)


def _mark_italic(element: html.HtmlElement) -> None:
    """Marks right at the words: Markdown takes none beside a blank."""
    element.tag = "span"
    text = element.text or ""
    words = text.lstrip()
    element.text = text[: len(text) - len(words)] + _ITALIC_BEGINS + words
    children = list(element)
    if children:
        children[-1].tail = _before_blanks(children[-1].tail or "")
    else:
        element.text = _before_blanks(element.text)


def _before_blanks(text: str) -> str:
    words = text.rstrip()
    return words + _ITALIC_ENDS + text[len(words) :]


def _converted(page: str) -> str:
    try:
        return convert(page, _OPTIONS).content or ""
    except Exception as error:  # the library's own errors share no class
        raise WebFailed(f"the page cannot be converted to Markdown: {error}") from error
