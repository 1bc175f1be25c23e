"""The page over the description of the interface, in a real browser."""

import re
from typing import Any

import pytest

PHONE = {"width": 360, "height": 740}


def expect(locator: Any) -> Any:
    from playwright.sync_api import expect as expecting

    return expecting(locator)


def docs(stage: Any, hash: str = "", **options: Any) -> Any:
    """The page, signed in by the token of its address."""
    url = f"{stage.server.origin}/v1/docs/"
    page = stage.page(url=f"{url}#token={stage.server.token}", wait=False, **options)
    expect(page.locator(".route").first).to_be_visible()
    assert page.url == url, "the token must not stay in the address"
    if hash:
        page.goto(f"{url}#{hash}")
    return page


def test_promise_64_the_docs_load_nothing_from_elsewhere_and_ask_for_the_token(
    stage: Any, record_property: Any
) -> None:
    asked: list[str] = []
    page = stage.context().new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{stage.server.origin}/v1/docs/")
    expect(page.get_by_role("heading", name="This server asks for its token")).to_be_visible()
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_have_text("This is not the token of this server.")
    page.get_by_label("Token").fill(stage.server.token)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".route").first).to_be_visible()
    for route in page.locator(".route > summary").all()[:5]:
        route.click()
    page.reload()
    expect(page.locator(".route").first).to_be_visible()
    external = [url for url in asked if not url.startswith(stage.server.origin)]
    assert external == [] and len(asked) > 10
    record_property("promise_64", f"{len(external)} of {len(asked)} loads were external")


def test_every_route_and_type_can_be_opened(stage: Any) -> None:
    page = docs(stage)
    described = stage.server.ask("GET", "openapi.json")
    routes = sum(len(methods) for methods in described["paths"].values())
    assert page.locator(".route").count() == routes
    page.evaluate("for (const one of document.querySelectorAll('.route, .type-view')) one.open = true")
    expect(page.locator(".route > .inside")).to_have_count(routes)
    submit = page.locator("#prompts_submit")
    for words in ("Prefer", "Idempotency-Key", "X-Run-Id", "session is busy", "when_busy", 'curl -X POST "http'):
        expect(submit).to_contain_text(words)
    events = page.locator("#events_events")
    events.locator(".answers .schema > summary").first.click()
    events.locator(".kinds summary").filter(has_text="run_complete").click()
    expect(events).to_contain_text("cancelled")


def test_the_search_finds_and_the_keyboard_does(stage: Any) -> None:
    page = docs(stage)
    page.keyboard.press("/")
    page.keyboard.type("cancel run")
    expect(page.locator("#runs_cancel")).to_be_visible()
    expect(page.locator("#skills_list")).to_be_hidden()
    expect(page.locator("#found")).to_have_text(re.compile(r"\d+ found"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".route[open]")).to_have_count(1)
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page.locator("#skills_list")).to_be_visible()
    page.keyboard.type("no such route")
    expect(page.get_by_text("Nothing fits.")).to_be_visible()


def test_a_link_opens_its_route(stage: Any) -> None:
    page = docs(stage, "permissions_grant")
    expect(page.locator("#permissions_grant[open]")).to_have_count(1)
    expect(page.locator("#permissions_grant")).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(stage: Any, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = docs(stage, color_scheme=scheme)
    page.evaluate(
        "for (const id of ['prompts_submit', 'events_events', 'type-Event']) document.getElementById(id).open = true"
    )
    found = Axe().run(page).response["violations"]
    serious = [
        (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_nothing_is_wider_than_a_phone(stage: Any) -> None:
    page = docs(stage, viewport=PHONE)
    page.evaluate("for (const one of document.querySelectorAll('.route, .type-view, .schema')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    expect(page.locator("#nav")).to_be_hidden()
    page.get_by_role("button", name="List of routes").click()
    page.locator("#nav").get_by_text("Answer a permission request").click()
    expect(page.locator("#nav")).to_be_hidden()
    expect(page.locator("#permissions_grant .inside").first).to_be_visible()
