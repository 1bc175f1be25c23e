"""The page in use: prompt, stream, answer, stop (`web.md` 3, points 1 to 5)."""

from threading import Event
from typing import Any

ANSWER = "Here:\n\n```python\nprint('<b>hi</b>')\n```\n\nand a [link](https://example.com/).\n"


def expect(locator: Any) -> Any:
    from playwright.sync_api import expect as expecting

    return expecting(locator)


def test_a_prompt_is_answered_live_and_marked_done(stage: Any, gate: Event) -> None:
    def answer(reply: Any) -> None:
        reply.text("First words, ")
        gate.wait(30)
        reply.text("then the rest.\n\n" + ANSWER)
        reply.finish()

    stage.model.answers["Tell"] = answer
    page = stage.page()
    session = stage.new_session(page)
    stage.prompt(page, "Tell me")
    expect(page.locator(".message.assistant")).to_contain_text("First words,")
    expect(page.get_by_role("status").first).to_have_text("working")
    gate.set()
    expect(page.locator(".message.assistant")).to_contain_text("then the rest.")
    expect(page.locator(".session-head .facts")).to_contain_text("done")
    expect(page.locator(".code-block .hljs-string, .code-block .hljs-built_in").first).to_be_visible()
    assert page.locator(".code-block code").inner_text() == "print('<b>hi</b>')"
    link = page.get_by_role("link", name="link")
    assert (link.get_attribute("rel"), link.get_attribute("target")) == ("noopener noreferrer", "_blank")
    stored = stage.server.ask("GET", f"{stage.path}/sessions/{session}/messages")
    assert stored[-1]["parts"][0]["data"]["text"] == "First words, then the rest.\n\n" + ANSWER


def test_stop_ends_the_run_and_says_so(stage: Any, gate: Event) -> None:
    stage.model.answers["Go"] = lambda reply: (reply.text("working"), gate.wait(30))
    page = stage.page()
    stage.new_session(page)
    stage.prompt(page, "Go on")
    expect(page.locator(".message.assistant")).to_contain_text("working")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".message.assistant")).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)


def test_a_permission_is_shown_with_its_diff_and_answered(stage: Any) -> None:
    def answer(reply: Any) -> None:
        if reply.tool_results == 0:
            reply.call("write", file_path="new.txt", content="one\ntwo\n")
        else:
            reply.text("Written.")
            reply.finish()

    stage.model.answers["Write"] = answer
    page = stage.page()
    stage.new_session(page)
    stage.prompt(page, "Write it")
    card = page.locator(".permission")
    expect(card).to_contain_text("write asks to write")
    expect(card.locator("tr.added")).to_have_count(2)
    assert page.title() == "(1) txcrush"
    page.get_by_role("button", name="Allow once").click()
    expect(page.locator(".message.assistant").last).to_contain_text("Written.")
    expect(card).to_have_count(0)
    assert (stage.server.project / "new.txt").read_text() == "one\ntwo\n"
    page.locator(".session-head").get_by_role("button", name="Files").click()
    expect(page.locator(".panel .files")).to_contain_text("new.txt")
    expect(page.locator(".panel .counts")).to_have_text("+2 \u22120")


def test_of_two_browsers_the_slower_learns_who_answered(stage: Any) -> None:
    stage.model.answers["Run"] = lambda reply: (
        reply.call("bash", command="touch done", description="mark") if reply.tool_results == 0 else reply.finish()
    )
    first, second = stage.page(), stage.page()
    stage.new_session(first)
    second.get_by_role("link").filter(has_text="New session").first.click()
    stage.prompt(first, "Run it")
    expect(first.locator(".permission")).to_be_visible()
    expect(second.locator(".permission")).to_be_visible()
    second.route("**/permissions/grant*", lambda route: held.append(route))
    held: list[Any] = []
    second.get_by_role("button", name="Deny").click()
    first.get_by_role("button", name="Allow once").click()
    expect(second.locator(".permission")).to_have_count(0)
    while not held:
        second.wait_for_timeout(20)
    held[0].continue_()
    expect(second.locator(".toasts")).to_contain_text("This was allowed already, by the client")
    assert (stage.server.project / "done").exists()


def test_questions_of_every_kind_are_answered(stage: Any) -> None:
    questions = [
        {"type": "yes_no", "question": "Go on?", "description": "d"},
        {
            "type": "single_choice",
            "question": "Which?",
            "description": "d",
            "choices": [{"id": "a", "label": "First"}, {"id": "b", "label": "Second"}],
        },
        {
            "type": "multi_choice",
            "question": "Which ones?",
            "description": "d",
            "choices": [{"id": "x", "label": "Red"}, {"id": "y", "label": "Green"}],
        },
        {"type": "free_text", "question": "Why?", "description": "d"},
    ]
    told: list[str] = []

    def answer(reply: Any) -> None:
        if reply.tool_results == 0:
            reply.call("question", questions=questions)
        else:
            told.append(reply.request["messages"][-1]["content"])
            reply.finish()

    stage.model.answers["Ask"] = answer
    page = stage.page()
    stage.new_session(page)
    stage.prompt(page, "Ask me")
    page.get_by_label("Yes").check()
    page.get_by_label("Second").check()
    page.get_by_label("Red").check()
    page.get_by_label("Green").check()
    page.get_by_label("Your answer").fill("because")
    page.get_by_role("button", name="Answer", exact=True).click()
    expect(page.locator(".question")).to_have_count(0)
    expect(page.locator(".session-head .facts")).to_contain_text("done")
    for word in ("yes", '["b"]', '["x","y"]', "because"):
        assert word in told[0].replace('", "', '","'), told


def test_eight_tabs_share_one_stream_and_a_new_leader_loses_nothing(stage: Any, gate: Event) -> None:
    def answer(reply: Any) -> None:
        reply.text("one ")
        gate.wait(30)
        reply.text("two")
        reply.finish()

    stage.model.answers["Count"] = answer
    context = stage.context()
    first = stage.page(context)
    session = stage.new_session(first)
    tabs = [first] + [stage.page(context, url=first.url) for _ in range(7)]
    stage.prompt(tabs[3], "Count")
    for tab in tabs:
        expect(tab.locator(".message.assistant")).to_contain_text("one")
    assert [one["attached_clients"] for one in stage.server.ask("GET", f"{stage.path}/sessions")] == [1]
    first.close()  # the tab that led
    gate.set()
    for tab in tabs[1:]:
        expect(tab.locator(".message.assistant")).to_contain_text("one two")
        expect(tab.locator(".session-head .facts")).to_contain_text("done")
    assert (
        stage.server.ask("GET", f"{stage.path}/sessions/{session}/messages")[-1]["parts"][0]["data"]["text"]
        == "one two"
    )


def test_a_killed_server_is_said_to_be_out_of_reach_and_the_page_catches_up(stage: Any, gate: Event) -> None:
    def answer(reply: Any) -> None:
        reply.text("partial text ")
        gate.wait(30)

    stage.model.answers["Begin"] = answer
    page = stage.page()
    session = stage.new_session(page)
    stage.prompt(page, "Begin")
    expect(page.locator(".message.assistant")).to_contain_text("partial text")
    stage.server.kill()
    expect(page.locator(".banner")).to_contain_text("Disconnected")
    stage.server.start()
    expect(page.locator(".message.assistant")).to_contain_text("Interrupted by a server restart")
    expect(page.locator(".banner")).to_have_count(0)
    shown = page.locator(".message.assistant .markdown").inner_text()
    stored = stage.server.ask("GET", f"{stage.path}/sessions/{session}/messages")[-1]
    assert shown == stored["parts"][0]["data"]["text"].strip() == "partial text"
    stage.prompt(page, "Again")
    expect(page.locator(".message.assistant").last).to_contain_text("You said: Again")


def test_what_stands_in_line_is_seen_taken_back_and_removed(stage: Any, gate: Event) -> None:
    stage.model.answers["Long"] = lambda reply: (reply.text("busy"), gate.wait(30), reply.finish())
    page = stage.page()
    stage.new_session(page)
    stage.prompt(page, "Long work")
    expect(page.locator(".message.assistant")).to_contain_text("busy")
    page.locator(".busy select").select_option("queue")
    for text in ("second", "third", "fourth"):
        stage.prompt(page, text)
        expect(page.locator(".queue")).to_contain_text(text)
    rows = page.locator(".queue li")
    rows.filter(has_text="third").get_by_role("button", name="Remove").click()
    expect(page.locator(".queue")).not_to_contain_text("third")
    rows.filter(has_text="fourth").get_by_role("button", name="Edit").click()
    expect(page.locator("#prompt")).to_have_value("fourth")
    gate.set()
    expect(page.locator(".message.assistant").last).to_contain_text("You said: second")
    assert stage.model.prompts == ["Long work", "second"]
