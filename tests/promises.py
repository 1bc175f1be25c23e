"""Makes `PROMISES.md`: every promise, the tests that show it, what they measured last, and what is not shown.

    python -m tests.promises                      tests and texts anew, figures as they were
    pytest --junitxml=run.xml && python -m tests.promises run.xml    with the figures of that run

A test shows promise 31 when its name holds `promise_31` (or, as older ones do, begins with `test_p31_`). It records a
figure with `record_property("promise_31", "200 stalled readers, +12 MiB")`.
"""

import ast
import re
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "PROMISES.md"

_NUMBERS = re.compile(r"promise_(\d{1,2})(?!\d)|(?:^test|seed_f)_p(\d{2})(?=_)")
_PROPERTY = re.compile(r"promise_(\d{1,2})")
_LISTED = re.compile(r"- `([^`]+)`: (.+)")
_SECTION = re.compile(r"## (\d+)\. ")

Figures = dict[tuple[int, str], str]
"""What was measured for a promise by a test, `file::name`."""


@dataclass(frozen=True)
class Promise:
    """One promise and the tests that show it; `later` and `weaker` as in `promises.toml`."""

    number: int
    text: str
    tests: tuple[str, ...] = ()
    later: str = ""
    weaker: str = ""

    @property
    def state(self) -> str:
        if self.later:
            return f"needs a later feature: {self.later}" + (", shown in part" if self.tests else "")
        if not self.tests:
            return f"not shown: {self.weaker}" if self.weaker else "not shown yet"
        return f"weaker: {self.weaker}" if self.weaker else "shown"


def shown_by(name: str) -> set[int]:
    """The promises that a test of this name shows."""
    return {int(first or second) for first, second in _NUMBERS.findall(name)}


def collected(root: Path = ROOT) -> dict[int, list[str]]:
    """The tests of each promise, sorted."""
    tests = defaultdict(set)
    for path in sorted((root / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for number in shown_by(node.name):
                    tests[number].add(f"{path.relative_to(root).as_posix()}::{node.name}")
    return {number: sorted(named) for number, named in tests.items()}


def promises(root: Path = ROOT) -> list[Promise]:
    """All of them, in order. Raises ValueError for a test whose promise has no text."""
    texts = tomllib.loads((root / "tests" / "promises.toml").read_text())
    tests = collected(root)
    unknown = sorted(set(tests) - set(map(int, texts)))
    if unknown:
        raise ValueError(f"promises.toml has no text for {unknown}, which tests name")
    return [Promise(int(number), **entry, tests=tuple(tests.get(int(number), ()))) for number, entry in texts.items()]


def measured(junit: str) -> Figures:
    """What the tests of a run recorded, from pytest's XML; of a test that failed nothing."""
    found = defaultdict(list)
    for case in ElementTree.fromstring(junit).iter("testcase"):
        if case.find("failure") is None and case.find("error") is None:
            for number, figure in _recorded(case):
                test = f"{_file_of(case)}::{case.get('name', '').partition('[')[0]}"
                found[number, test].append(figure)
    return {key: "; ".join(dict.fromkeys(figures)) for key, figures in found.items()}


def _recorded(case: ElementTree.Element) -> Iterator[tuple[int, str]]:
    for entry in case.iter("property"):
        number = _PROPERTY.fullmatch(entry.get("name", ""))
        if number is not None:
            yield int(number[1]), " ".join(entry.get("value", "").split())


def _file_of(case: ElementTree.Element) -> str:
    """The test's file; some forms of the XML have but its dotted name, with the class behind."""
    if case.get("file"):
        return case.get("file", "")
    parts = case.get("classname", "").split(".")
    modules = [index for index, part in enumerate(parts) if part.startswith("test_")]
    return "/".join(parts[: modules[-1] + 1] if modules else parts) + ".py"


def remembered(page: str) -> Figures:
    """The figures that a page holds."""
    figures, number = {}, 0
    for line in page.splitlines():
        section, listed = _SECTION.match(line), _LISTED.fullmatch(line)
        number = int(section[1]) if section else number
        if listed is not None:
            figures[number, listed[1]] = listed[2]
    return figures


def page_of(all_of_them: list[Promise], figures: Mapping[tuple[int, str], str]) -> str:
    """The page."""
    counts = [sum(one.state == "shown" for one in all_of_them), sum(bool(one.tests) for one in all_of_them)]
    return "\n".join(
        [
            "# Promises",
            "",
            f"What the server promises, and how it is shown: {counts[0]} of {len(all_of_them)} are shown by tests,",
            f"{counts[1] - counts[0]} more in part. Made by `python -m tests.promises`, never by hand; figures are",
            "those of the last run that recorded them, in the short form of the suite unless they say so.",
            "",
            "| # | promise | tests | last figure | state |",
            "|---|---|---|---|---|",
            *(_row(one, figures) for one in all_of_them),
            *(line for one in all_of_them if one.tests for line in _section(one, figures)),
            "",
        ]
    )


def _row(promise: Promise, figures: Mapping[tuple[int, str], str]) -> str:
    told = dict.fromkeys(figures[promise.number, test] for test in promise.tests if (promise.number, test) in figures)
    tests = f"[{len(promise.tests)}](#{promise.number}-{_anchor(promise.text)})" if promise.tests else ""
    return f"| {promise.number} | {promise.text} | {tests} | {_cell('; '.join(told))} | {_cell(promise.state)} |"


def _section(promise: Promise, figures: Mapping[tuple[int, str], str]) -> list[str]:
    lines = [f"- `{test}`" + _behind(figures.get((promise.number, test), "")) for test in promise.tests]
    return ["", f"## {promise.number}. {promise.text}", "", *lines]


def _behind(figure: str) -> str:
    return f": {figure}" if figure else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _anchor(text: str) -> str:
    """As Markdown pages name a heading."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def without_figures(page: str) -> str:
    """The page as it would be if nothing had been measured."""
    lines = []
    for line in page.splitlines():
        listed = _LISTED.fullmatch(line)
        cells = re.split(r"(?<!\\)\|", line)
        if len(cells) == 7 and cells[1].strip().isdigit():
            cells[4] = "  "
        lines.append(f"- `{listed[1]}`" if listed else "|".join(cells))
    return "\n".join(lines)


def main(runs: list[str]) -> None:
    """Write the page; `runs` are pytest's XML files, the later ones count."""
    figures = remembered(PAGE.read_text()) if PAGE.exists() else {}
    for run in runs:
        figures |= measured(Path(run).read_text())
    PAGE.write_text(page_of(promises(), figures))


if __name__ == "__main__":
    main(sys.argv[1:])
