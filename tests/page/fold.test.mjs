// What the page makes of the server's events: pure, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { asked, changedFiles, contextShare, rootOf, sessionList, sessionState } from "../../txcrush/web/state/derived.js";
import { EMPTY, answered, fold, opened, prompted, withFiles, withMessages, withSessions } from "../../txcrush/web/state/fold.js";

const event = (type, payload, change = "updated") => ({ type, payload: { type: change, payload } });
const session = (id, more = {}) => ({ id, title: id, parent_session_id: "", updated_at: 1, is_busy: false, ...more });
const text = (words) => ({ type: "text", data: { text: words } });
const finish = (reason) => ({ type: "finish", data: { reason, time: 1 } });
const message = (id, role, parts, more = {}) => ({ id, role, parts, session_id: "s", created_at: 1, ...more });
const folded = (...events) => events.reduce(fold, withSessions(EMPTY, [session("s")]));
const texts = (state) => state.conversations.get("s").list.map((one) => one.parts.map((part) => part.data.text ?? part.type).join("|"));

test("a prompt makes the session work until its run is complete", () => {
  const begun = folded(event("message", message("u", "user", [text("hi"), finish("stop")]), "created"));
  assert.equal(sessionState(begun, "s"), "working");
  const growing = fold(begun, event("message", message("a", "assistant", [text("he")])));
  const done = fold(growing, event("run_complete", { session_id: "s", message_id: "a", text: "hello" }));
  assert.equal(sessionState(done, "s"), "done");
});

test("a cancelled run is stopped, not failed; an error is a failure", () => {
  const stopped = folded(event("run_complete", { session_id: "s", message_id: "", error: "context canceled", cancelled: true }));
  assert.equal(sessionState(stopped, "s"), "canceled");
  assert.equal(sessionState(folded(event("run_complete", { session_id: "s", message_id: "", error: "boom" })), "s"), "failed");
});

test("a state is never changed in place, and what did not change stays the same object", () => {
  const before = folded(event("message", message("u", "user", [text("hi")]), "created"));
  const conversations = before.conversations;
  const after = fold(before, event("session", session("t"), "created"));
  assert.equal(before.sessions.has("t"), false);
  assert.equal(after.conversations, conversations);
  assert.equal(fold(after, { type: "of_tomorrow", payload: {} }), after);
});

test("promise_89: what a newer server says more is passed over", () => {
  const state = folded(event("of_tomorrow", { session_id: "s" }), event("agent_event", { session_id: "s", type: "of_tomorrow" }));
  const odd = { type: "of_tomorrow", data: { x: 1 } };
  const after = fold(state, { v: 2, ...event("message", message("a", "assistant", [text("hi"), odd], { of_tomorrow: [1] }), "renamed") });
  assert.deepEqual(texts(after), ["hi|of_tomorrow"]);
});

test("deltas make the text grow, of a message that came by the stream only", () => {
  const delta = (words, part = 0) => event("message_delta", { message_id: "a", session_id: "s", part, text: words });
  const loaded = withMessages(folded(), "s", [message("a", "assistant", [text("old")])]);
  assert.deepEqual(texts(fold(loaded, delta("!"))), ["old"]);
  const fresh = fold(loaded, event("message", message("a", "assistant", [text("new")])));
  assert.deepEqual(texts([delta(" te"), delta("xt")].reduce(fold, fresh)), ["new text"]);
  assert.deepEqual(texts(fold(fresh, delta("x", 7))), ["new"]);
});

test("reasoning grows too", () => {
  const thinking = { type: "reasoning", data: { thinking: "hm", signature: "" } };
  const state = folded(event("message", message("a", "assistant", [thinking])), event("message_delta", { message_id: "a", session_id: "s", part: 0, text: "m" }));
  assert.equal(state.conversations.get("s").list[0].parts[0].data.thinking, "hmm");
});

test("a GET that comes late does not take the stream's words back", () => {
  const live = folded(event("message", message("a", "assistant", [text("newer")])), event("message", message("b", "assistant", [text("later")]), "created"));
  const merged = withMessages(live, "s", [message("u", "user", [text("hi")]), message("a", "assistant", [text("old")])]);
  assert.deepEqual(texts(merged), ["hi", "newer", "later"]);
});

test("after a new stream the GET is believed again", () => {
  const live = folded(event("message", message("a", "assistant", [text("cut")])));
  const merged = withMessages(opened(live, false), "s", [message("a", "assistant", [text("whole")])]);
  assert.deepEqual(texts(merged), ["whole"]);
  assert.equal(opened(live, true), live);
});

test("a reset drops what waits: it is sent again", () => {
  const state = folded(event("permission_request", { id: "p", session_id: "s", tool_call_id: "c" }, "created"), event("reset", { reason: "too_old" }, "created"));
  assert.equal(state.permissions.size, 0);
  assert.equal(state.resets, 1);
});

test("a request waits until it is settled, by whomever", () => {
  const request = { id: "p", session_id: "s", tool_call_id: "c", tool_name: "bash" };
  const waiting = folded(event("permission_request", request, "created"));
  assert.equal(sessionState(waiting, "s"), "needs-you");
  const asking = fold(waiting, event("permission_notification", { tool_call_id: "c", granted: false, denied: false }, "created"));
  assert.equal(asking.permissions.size, 1);
  const settled = fold(asking, event("permission_notification", { tool_call_id: "c", granted: true, denied: false }, "created"));
  assert.equal(settled.permissions.size, 0);
  assert.equal(settled.settled.get("c"), "granted");
  assert.equal(answered(waiting, "p").permissions.size, 0);
});

test("what a sub-agent asks is asked in the session at the top", () => {
  const child = session("a$$c", { parent_session_id: "s" });
  const request = { id: "p", session_id: "a$$c", tool_call_id: "c" };
  const state = folded(event("session", child, "created"), event("permission_request", request, "created"));
  assert.equal(rootOf(state, "a$$c"), "s");
  assert.deepEqual(asked(state, "s").permissions, [request]);
  assert.deepEqual(sessionList(state).map((row) => [row.session.id, row.state]), [["s", "needs-you"]]);
});

test("the list: what needs you, what works, then the newest; search by words", () => {
  let state = withSessions(EMPTY, [session("old"), session("new page", { updated_at: 9 }), session("busy", { is_busy: true }), session("asks")]);
  state = fold(state, event("question_batch_request", { id: "q", session_id: "asks", questions: [] }, "created"));
  assert.deepEqual(sessionList(state).map((row) => row.session.id), ["asks", "busy", "new page", "old"]);
  assert.deepEqual(sessionList(state, "PAGE new").map((row) => row.session.id), ["new page"]);
});

test("a deleted session takes along what it asked and said", () => {
  const state = folded(
    event("message", message("u", "user", [text("hi")]), "created"),
    event("permission_request", { id: "p", session_id: "s", tool_call_id: "c" }, "created"),
    event("session", session("s"), "deleted"),
  );
  assert.deepEqual([state.sessions.size, state.conversations.size, state.permissions.size, state.working.size], [0, 0, 0, 0]);
});

test("a deleted message is gone", () => {
  const state = folded(event("message", message("a", "assistant", [text("x")]), "created"), event("message", message("a", "assistant", []), "deleted"));
  assert.deepEqual(texts(state), []);
});

test("files changed: the first version against the last", () => {
  const rows = [["1", "a", "old", 0], ["2", "a", "new", 1], ["3", "b", "", 0], ["4", "b", "x", 1], ["5", "c", "same", 0]];
  const state = withFiles(folded(), "s", rows.map(([ID, Path, Content, Version]) => ({ ID, Path, Content, Version, CreatedAt: 1 })));
  const later = fold(state, event("file", { id: "6", session_id: "s", path: "a", content: "newest", version: 2, created_at: 2 }, "created"));
  assert.deepEqual(changedFiles([...later.files.get("s").values()]), [
    { path: "a", before: "old", after: "newest" }, { path: "b", before: "", after: "x" },
  ]);
});

test("we work as soon as we have prompted", () => {
  assert.equal(sessionState(prompted(folded(), "s"), "s"), "working");
});

test("the context's share", () => {
  assert.equal(contextShare({ prompt_tokens: 30, completion_tokens: 20 }, { context_window: 100 }), 0.5);
  assert.equal(contextShare({ prompt_tokens: 0, completion_tokens: 0 }, { context_window: 100 }), null);
  assert.equal(contextShare({ prompt_tokens: 9 }, null), null);
});
