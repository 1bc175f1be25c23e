"""`PROMISES.md` is what the tests say, and nothing else."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent


def _loaded() -> ModuleType:
    """`tests.promises`, which is no package's for whoever starts pytest elsewhere."""
    spec = importlib.util.spec_from_file_location("txcrush_tests_promises", HERE / "promises.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


made = _loaded()


def test_the_page_is_the_one_that_the_tests_make() -> None:
    told = "PROMISES.md is not what the tests say: make it anew with `python -m tests.promises`"
    expected = made.page_of(made.promises(), {})
    assert made.without_figures(made.PAGE.read_text()).splitlines() == expected.splitlines(), told


def test_every_figure_of_the_page_is_of_a_test_that_there_is() -> None:
    tests = {(one.number, test) for one in made.promises() for test in one.tests}
    assert set(made.remembered(made.PAGE.read_text())) - tests == set()


def test_every_promise_has_its_text() -> None:
    assert [one.number for one in made.promises()] == list(range(1, 90))


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("test_promise_31_a_reader", {31}),
        ("test_promise_4_a_kill", {4}),
        ("test_t_perm_06_promise_40_and_promise_41", {40, 41}),
        ("test_p84_the_stop", {84}),
        ("test_seed_f_p06_fifty", {6}),
        ("test_p612_the_list", set()),
        ("test_http_p2_x", set()),
        ("test_a_compromise_is_none", set()),
    ],
)
def test_a_name_says_what_it_shows(name: str, numbers: set[int]) -> None:
    assert made.shown_by(name) == numbers


RUN = """<testsuites><testsuite>
<testcase classname="tests.live.test_a.Class" name="test_promise_01_x[unix]"><properties>
  <property name="promise_01" value="100/100 | well"/><property name="other" value="no"/></properties></testcase>
<testcase classname="tests.live.test_a" name="test_promise_01_x[tcp]"><properties>
  <property name="promise_01" value="99/100"/></properties></testcase>
<testcase file="tests/live/test_a.py" classname="a" name="test_promise_02_y"><properties>
  <property name="promise_2" value="bad"/></properties><failure/></testcase>
</testsuite></testsuites>"""


def test_figures_come_from_a_run_and_are_remembered() -> None:
    test = "tests/live/test_a.py::test_promise_01_x"
    figures = made.measured(RUN)
    assert figures == {(1, test): "100/100 | well; 99/100"}
    of_one = [made.Promise(1, "It is so", (test,))]
    page = made.page_of(of_one, figures)
    assert made.remembered(page) == figures
    assert "| 100/100 \\| well; 99/100 | shown |" in page
    assert made.without_figures(page) == made.without_figures(made.page_of(of_one, {}))


def test_a_test_that_goes_or_comes_is_seen(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "promises.toml").write_text('[1]\ntext = "It is so"\n[2]\ntext = "And so"\nlater = "more"\n')
    file = tmp_path / "tests" / "test_a.py"
    file.write_text("def test_promise_01_x(): ...\n")
    before = made.page_of(made.promises(tmp_path), {})
    assert [one.state for one in made.promises(tmp_path)] == ["shown", "needs a later feature: more"]
    file.write_text("class A:\n    async def test_promise_01_y(self): ...\n")
    assert made.page_of(made.promises(tmp_path), {}) != before
    file.write_text("def test_promise_03_x(): ...\n")
    with pytest.raises(ValueError, match="no text for"):
        made.promises(tmp_path)
