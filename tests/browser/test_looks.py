"""The page for everybody: any width, no mouse, no colours, a hostile model, ten thousand messages (`web.md` 3)."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from txcrush.wire.json import encode

CORPUS = Path(__file__).parents[1] / "corpora" / "page"
MESSAGES = 10_000


def expect(locator: Any) -> Any:
    from playwright.sync_api import expect as expecting

    return expecting(locator)


def hostile() -> list[str]:
    """Texts that try to run or load something, separated by lines of dashes."""
    return (CORPUS / "hostile.md").read_text().split("\n-----\n")


def seeded(stage: Any, page: Any, messages: list[tuple[str, list[dict[str, Any]]]], title: str = "Seeded") -> str:
    """A session with these messages, written while the server is down."""
    session = str(stage.server.ask("POST", f"{stage.path}/sessions", {"title": title})["id"])
    stage.server.stop()
    with sqlite3.connect(stage.server.project / ".crush" / "txcrush.db") as base:
        rows = [
            (f"m{at}", session, role, encode(parts).decode(), "large", 1_700_000_000 + at, "scripted")
            for at, (role, parts) in enumerate(messages)
        ]
        base.executemany(
            "INSERT INTO messages (id, session_id, role, parts, model, created_at, updated_at, finished_at, provider)"
            " VALUES (?, ?, ?, ?, ?, ?, 0, 1, ?)",
            rows,
        )
    base.close()
    stage.server.start()
    stage.join()
    page.goto("about:blank")
    page.goto(f"{stage.server.url.partition('#')[0]}#/{stage.workspace['id']}/{session}")
    return session


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "data": {"text": words}}


FINISH = {"type": "finish", "data": {"reason": "end_turn", "time": 1}}


def tool_call(call_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    data = {"id": call_id, "name": name, "input": encode(arguments).decode(), "finished": True}
    return {"type": "tool_call", "data": data}


def tool_result(call_id: str, name: str, content: str, metadata: dict[str, Any]) -> dict[str, Any]:
    told = {"content": content, "metadata": encode(metadata).decode(), "is_error": False}
    return {"type": "tool_result", "data": {"tool_call_id": call_id, "name": name, **told}}


def exchange(at: int, words: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """A turn that holds the words wherever a model, a tool or a person can put them."""
    thought = {"thinking": words, "signature": "", "started_at": 1, "finished_at": 2}
    changed = {"old_content": words, "new_content": f"{words}!", "additions": 1}
    calls = [
        tool_call(f"b{at}", "bash", {"command": words, "description": words}),
        tool_call(f"e{at}", "edit", {"file_path": words, "old_string": "x", "new_string": words}),
        tool_call(f"v{at}", words[:40] or "x", {"path": words, words[:20]: words}),
    ]
    return [
        ("user", [text(words), FINISH]),
        ("assistant", [{"type": "reasoning", "data": thought}, text(words), *calls, FINISH]),
        ("tool", [tool_result(f"b{at}", "bash", words, {"output": words})]),
        ("tool", [tool_result(f"e{at}", "edit", words, changed)]),
    ]


RAN = "[window.pwned, document.querySelectorAll('script, iframe, object, embed, svg[onload]').length]"
DANGEROUS = """() => [...document.querySelectorAll('.markdown *, .terminal *, .diff *')]
    .flatMap((node) => [...node.attributes].map(({name, value}) => [node.tagName, name, value]))
    .filter(([, name, value]) => name.startsWith('on') || name === 'style' || name === 'id'
        || /^\\s*(javascript|data:text|vbscript)/i.test(value))"""


def test_promise_63_hostile_text_never_runs_and_never_loads_anything(
    stage: Any, record_property: Callable[[str, object], None]
) -> None:
    corpus = hostile()
    page = stage.page()
    seeded(stage, page, [one for at, words in enumerate(corpus) for one in exchange(at, words)], title=corpus[0])
    expect(page.locator(".message").last).to_be_visible()
    while page.locator(".earlier").count():
        page.locator(".earlier").click()
    closed = ".tool-head[aria-expanded=false], .reasoning button[aria-expanded=false]"
    page.evaluate("(closed) => document.querySelectorAll(closed).forEach((button) => button.click())", closed)
    expect(page.locator(closed)).to_have_count(0)
    assert page.evaluate(RAN) == [None, 1]  # the one script is the page's own
    assert page.evaluate(DANGEROUS) == []
    assert page.locator(".message.user").count() == len(corpus)
    record_property("promise_63", f"{len(corpus)} texts in 6 places each: 0 dialogs, 0 requests to another origin")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_fits_and_axe_finds_nothing_serious(stage: Any, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    stage.model.answers["Write"] = lambda reply: reply.call(
        "write", file_path=f"{'deep/' * 12}a_very_long_name_{'x' * 60}.py", content="print('hello')\n" * 30
    )
    page = stage.page(viewport={"width": width, "height": 740}, color_scheme=scheme, has_touch=width < 500)

    def check(view: str) -> None:
        results = Axe().run(page)
        serious = [one for one in results.response["violations"] if one["impact"] in ("serious", "critical")]
        found = [(one["id"], [node["html"][:160] for node in one["nodes"]][:3]) for one in serious]
        assert found == [], view
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{view} is {wide} pixels too wide"

    check("list")
    stage.new_session(page)
    check("empty session")
    stage.prompt(page, "Write a file please, " + "averylongwordwithoutanyspace" * 12)
    expect(page.locator(".permission")).to_be_visible()
    check("permission")
    page.get_by_role("button", name="Allow for this session").scroll_into_view_if_needed()
    expect(page.get_by_role("button", name="Allow for this session")).to_be_in_viewport()
    page.get_by_role("button", name="Deny").click()
    expect(page.locator(".tool .state").first).to_contain_text("denied")
    check("denied tool")
    page.get_by_role("button", name="Details").click()
    check("details")
    page.locator(".panel").get_by_role("button", name="Close").click()
    if width < 500:
        for button in page.locator("main button:visible").all():
            box = button.bounding_box()
            assert box["height"] >= 36, button.inner_text()
        page.get_by_role("button", name="Sessions").click()
        expect(page.get_by_role("searchbox")).to_be_in_viewport()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    check("keys")


def test_everything_can_be_done_without_a_mouse(stage: Any) -> None:
    stage.model.answers["Run"] = lambda reply: (
        reply.call("bash", command="touch by_keys", description="mark") if reply.tool_results == 0 else reply.finish()
    )
    page = stage.page()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("new session")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("n")
    expect(page.locator("#prompt")).to_be_focused()
    page.keyboard.type("Run it")
    page.keyboard.press("Enter")
    expect(page.locator(".permission")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.locator(".session-head .facts")).to_contain_text("done")
    assert (stage.server.project / "by_keys").exists()
    page.keyboard.press("n")
    expect(page.locator(".sessions li")).to_have_count(2)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator(".message.user")).to_contain_text("Run it")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.press("Escape")
    for _ in range(12):  # Tab goes through all that can be pressed, and what has the focus is seen
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("document.activeElement.tagName") in ("BODY", "TEXTAREA")


def test_without_motion_nothing_moves(stage: Any) -> None:
    page = stage.page(reduced_motion="reduce")
    moving = page.evaluate("""() => [...document.querySelectorAll('*')].filter((node) => {
        const style = getComputedStyle(node);
        return style.animationName !== 'none' || style.transitionDuration !== '0s';
    }).length""")
    assert moving == 0


def test_ten_thousand_messages_open_within_a_bounded_heap(
    stage: Any, record_property: Callable[[str, object], None]
) -> None:
    page = stage.page()
    messages = [
        ("user" if at % 2 == 0 else "assistant", [text(f"message {at} " + "word " * 40), FINISH])
        for at in range(MESSAGES)
    ]
    session = seeded(stage, page, messages)
    expect(page.locator(".message").last).to_contain_text(f"message {MESSAGES - 1} ")
    page.goto("about:blank")
    began = time.monotonic()
    page.goto(f"{stage.server.url.partition('#')[0]}#/{stage.workspace['id']}/{session}")
    expect(page.locator(".message").last).to_contain_text(f"message {MESSAGES - 1} ")
    took = time.monotonic() - began
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.collectGarbage")
    heap = devtools.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    assert heap < 150
    assert page.locator(".message").count() < 200
    record_property("web_9", f"{MESSAGES} messages open in {took:.2f} s, heap {heap:.0f} MB")
    print(f"\n{MESSAGES} messages: {took:.2f} s, heap {heap:.0f} MB")
