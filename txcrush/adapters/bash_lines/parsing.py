"""What tree-sitter's grammar of bash says about a line: a second opinion, and the commands hidden inside a line."""

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from txcrush.adapters.bash_lines.scanning import PlainLine

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Parser, Tree

_LITERAL = frozenset({"word", "number", "raw_string", "string", "concatenation"})
_SHOWN = 30
"""Characters of the offending text in an error."""

MOST_CHARACTERS = 16 * 1024
_MOST = (("|", 200), ("(", 200), ("<<", 100))
"""The parser's time grows with the square of these, and worse: 30,000 pipes take 154 seconds. Within the bounds a line
takes at most about 50 ms, an ordinary one far below 1 ms."""

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_EXTENDED_GLOB = re.compile(r"[?*+@!]\(")


class Parsed(Struct, frozen=True):
    """A line and its tree; positions in the tree count characters."""

    tree: "Tree"
    line: str


def parse(line: str) -> Parsed:
    """The tree of a line. A parser is made for each, as tree-sitter's are not for two threads.

    The grammar's scanner reads beyond a table, and the process dies, on some characters beyond ASCII (tried: `{` and
    then one beyond U+FFFF). All of them are letters to bash, so the parser is shown a letter for each.
    """
    return Parsed(_parser().parse(_BEYOND_ASCII.sub("X", line).encode()), line)


def _parser() -> "Parser":
    from tree_sitter import Parser

    return Parser(_language())


@cache
def _language() -> "Language":
    """The grammar, loaded on first use: the server starts without it."""
    import tree_sitter_bash
    from tree_sitter import Language

    return Language(tree_sitter_bash.language())


def is_parsable(line: str) -> bool:
    """Whether the parser can be asked at all: the line is not longer, nor deeper, than it deals with in time."""
    return len(line) <= MOST_CHARACTERS and all(line.count(mark) <= most for mark, most in _MOST)


def syntax_error(parsed: Parsed) -> str:
    """Where the line cannot be parsed, in words, or nothing.

    The grammar does not know extended globs, nor a backslash at the very end, both of which bash takes: of such lines
    it says nothing.
    """
    if not parsed.tree.root_node.has_error or _beyond_the_grammar(parsed.line):
        return ""
    for node in nodes(parsed.tree.root_node):
        if node.is_missing:
            return f"missing `{node.type}` at position {node.start_byte + 1}"
        if node.is_error:
            shown = parsed.line[node.start_byte : node.end_byte][:_SHOWN]
            return f"syntax error near `{shown}` at position {node.start_byte + 1}"
    return "syntax error"


def _beyond_the_grammar(line: str) -> bool:
    return line.rstrip().endswith("\\") or _EXTENDED_GLOB.search(line) is not None


def nodes(top: "Node") -> Iterator["Node"]:
    """Every node below `top` in the order of the text, itself first; no recursion, however deep they nest."""
    cursor = top.walk()
    while True:
        if cursor.node is not None:
            yield cursor.node
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def literal_commands(parsed: Parsed) -> Iterator[list[str]]:
    """The leading literal words of every simple command, also inside substitutions, functions and loops."""
    for node in nodes(parsed.tree.root_node):
        if node.type == "command":
            yield _leading_words(node)


def _leading_words(command: "Node") -> list[str]:
    words: list[str] = []
    for child in command.named_children:
        if child.type in ("variable_assignment", "file_redirect", "herestring_redirect"):
            continue
        node = child.named_children[0] if child.type == "command_name" and child.named_children else child
        word = _literal(node)
        if word is None:
            break
        words.append(word)
    return words


def _literal(node: "Node") -> str | None:
    """The value of a word without expansions, or None."""
    text = (node.text or b"").decode()
    if node.type in ("word", "number"):
        return text.replace("\\", "")
    if node.type == "raw_string":
        return text[1:-1]
    if node.type == "string":
        plain = all(child.type == "string_content" for child in node.named_children)
        return text[1:-1].replace("\\", "") if plain else None
    if node.type == "concatenation":
        parts = [_literal(child) for child in node.named_children]
        return None if None in parts else "".join(part for part in parts if part is not None)
    return None


def agrees(parsed: Parsed, plain: PlainLine) -> bool:
    """Whether the tree has the same simple commands with the same words at the same places, and nothing else."""
    if parsed.tree.root_node.has_error:
        return False
    seen: list[list[tuple[int, int]]] = []
    stack = [parsed.tree.root_node]
    while stack:
        node = stack.pop()
        if node.type == "command":
            spans = _spans(node)
            if spans is None:
                return False
            seen.append(spans)
        elif node.type in ("program", "list", "pipeline"):
            stack.extend(reversed(node.named_children))
        else:
            return False
    return seen == [[(word.start, word.end) for word in command] for command in plain.commands]


def _spans(command: "Node") -> list[tuple[int, int]] | None:
    spans = []
    for child in command.named_children:
        inner = child.named_children[0] if child.type == "command_name" and child.named_children else child
        if inner.type not in _LITERAL:
            return None
        spans.append((child.start_byte, child.end_byte))
    return spans
