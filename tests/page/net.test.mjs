// The stream: its framing, and how it comes back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { SseParser } from "../../txcrush/web/net/sse.js";
import { Stream } from "../../txcrush/web/net/stream.js";

const FRAMES = 'retry: 900\nid: 1-7\n\nid: 1-8\r\ndata: {"a":1}\r\n\r\n: hb\n\nid: 1-9\rdata: x\rdata: y\r\r';

test("the framing is the standard's, wherever it is cut", () => {
  for (let size = 1; size <= FRAMES.length; size++) {
    const parser = new SseParser();
    const events = [];
    for (let at = 0; at < FRAMES.length; at += size) events.push(...parser.push(FRAMES.slice(at, at + size)));
    events.push(...parser.push("\n")); // the last carriage return may have been half of a line end
    assert.deepEqual(events, [{ id: "1-8", data: '{"a":1}' }, { id: "1-9", data: "x\ny" }], `pieces of ${size}`);
    assert.deepEqual([parser.lastId, parser.retry], ["1-9", 900]);
  }
});

test("an id with NUL is ignored, and an event without its blank line is no event", () => {
  const parser = new SseParser();
  assert.deepEqual(parser.push("id: a\0b\ndata: 1\n\ndata: half"), [{ id: "", data: "1" }]);
});

// A stream over scripted answers, with timers that fire when they are asked for.
function scripted(answers) {
  const heard = { states: [], events: [], opens: [], asked: [], waits: [] };
  const timers = {
    setTimeout: (call, ms) => (ms < 20_000 ? (heard.waits.push(ms), queueMicrotask(call)) : null),
    clearTimeout: () => {},
  };
  const stream = new Stream({
    open: async (lastId) => {
      heard.asked.push(lastId);
      const answer = answers.shift();
      if (answer === undefined) {
        stream.end();
        throw new TypeError("network");
      }
      if (answer instanceof Error) throw answer;
      return answer;
    },
    onOpen: (isResumed) => heard.opens.push(isResumed),
    onEvents: (events) => heard.events.push(...events.map(({ event }) => event.n)),
    onState: (state) => heard.states.push(state),
    random: () => 1,
    timers,
  });
  return { stream, heard };
}

const sse = (body) => new Response(body, { status: 200 });

test("a cut stream goes on behind the last event, without loss and without repeating", async () => {
  const { stream, heard } = scripted([sse('id: 1-0\n\nid: 1-1\ndata: {"n":1}\n\nid: 1-2\ndata: {"n":2}\n\ndata: {"n":'), sse('id: 1-3\ndata: {"n":3}\n\n')]);
  await stream.run();
  assert.deepEqual(heard.events, [1, 2, 3]);
  assert.deepEqual(heard.asked, ["", "1-2", "1-3"]);
  assert.deepEqual(heard.opens, [false, true]);
});

test("it waits longer each time, at most 15 seconds, and not at all long once it has heard something", async () => {
  const { stream, heard } = scripted([...Array.from({ length: 8 }, () => new TypeError("network")), sse('id: 1-1\ndata: {"n":1}\n\n')]);
  await stream.run();
  assert.deepEqual(heard.waits.slice(0, 9), [400, 800, 1600, 3200, 6400, 12800, 15000, 15000, 400]);
});

test("a workspace that is gone and a missing sign-in end it", async () => {
  for (const [status, outcome] of [[204, "gone"], [404, "gone"], [401, "unauthorised"]]) {
    const { stream, heard } = scripted([new Response(null, { status })]);
    await stream.run();
    assert.deepEqual([heard.states, heard.asked.length], [["connecting", outcome], 1]);
  }
});

test("a server that is starting is tried again", async () => {
  const { stream, heard } = scripted([new Response("", { status: 503 }), sse('id: 1-1\ndata: {"n":1}\n\n')]);
  await stream.run();
  assert.deepEqual(heard.events, [1]);
});
