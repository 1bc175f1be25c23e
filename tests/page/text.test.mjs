// Texts: terminal output, growing Markdown, diffs, exports.

import assert from "node:assert/strict";
import { test } from "node:test";

import { pieces } from "../../txcrush/web/text/ansi.js";
import { diffOf } from "../../txcrush/web/text/diff.js";
import { asMarkdown } from "../../txcrush/web/text/exported.js";
import { GrowingMarkdown } from "../../txcrush/web/text/growing_markdown.js";

const plain = (output) => pieces(output).map((piece) => piece.text).join("");

test("colours become classes, and nothing else of a terminal's language survives", () => {
  assert.deepEqual(pieces("\x1b[1;31mred\x1b[0m plain"), [{ text: "red", classes: "bold fg-1" }, { text: " plain", classes: "" }]);
  assert.deepEqual(pieces("\x1b[38;5;196mx\x1b[39my")[1], { text: "y", classes: "" });
  assert.equal(pieces("\x1b[38;2;250;10;10mx")[0].classes, "fg-9");
  assert.equal(plain("a\x1b]8;;http://evil/\x07link\x1b]8;;\x1b\\b\x1b[2J\x1b[?25l\x1b(Bc\x07\x00"), "alinkbc");
});

test("what a carriage return overwrites is not shown", () => {
  assert.equal(plain("10%\r50%\r100%\ndone\r\n"), "100%\ndone\n");
});

test("no output, whatever it holds, makes anything but pieces of text", () => {
  let seed = 7;
  const random = () => (seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  const alphabet = ["\x1b", "[", "]", "m", ";", "3", "8", "<", "\r", "\n", "\x07", "a", "\\", "P", "?"];
  for (let run = 0; run < 3000; run++) {
    const output = Array.from({ length: 30 }, () => alphabet[Math.floor(random() * alphabet.length)]).join("");
    assert.match(plain(output), /^[^\x00-\x08\x0b-\x1f\x7f]*$/);
    for (const { classes } of pieces(output)) assert.match(classes, /^[a-z0-9 -]*$/);
  }
});

const TEXT = "# A\n\npara\n===\n\n- a\n- b\n\n  more\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n```js\nlet x;\n\nlet y;\n```\n\n> q\nlazy\n\nend **b**";

test("text that grows letter by letter has the blocks of the whole text at the end", () => {
  const growing = new GrowingMarkdown();
  let blocks;
  for (let end = 1; end <= TEXT.length; end++) blocks = growing.blocks(TEXT.slice(0, end));
  const raws = (list) => list.map((block) => [block.type, block.raw.trim()]);
  assert.deepEqual(raws(blocks), raws(new GrowingMarkdown().blocks(TEXT)));
});

test("a block that cannot change any more stays the same object", () => {
  const growing = new GrowingMarkdown();
  const before = growing.blocks("one\n\ntwo\n\nthree\n\nfour");
  const after = growing.blocks("one\n\ntwo\n\nthree\n\nfour and more");
  assert.equal(after[0], before[0]);
  assert.equal(after[1], before[1]);
  assert.notEqual(after[3], before[3]);
});

test("text that is replaced is read anew", () => {
  const growing = new GrowingMarkdown();
  growing.blocks("one\n\ntwo\n\nthree\n\nfour");
  assert.deepEqual(growing.blocks("other\n\ntext").map((block) => block.raw), ["other", "text"]);
});

test("diffs count and number their lines", () => {
  const { hunks, added, removed } = diffOf("a\nb\nc\n", "a\nB\nc\nd\n");
  assert.deepEqual([added, removed, hunks.length], [2, 1, 1]);
  assert.deepEqual(hunks[0].lines.map((line) => [line.kind, line.before, line.after, line.text]), [
    ["same", 1, 1, "a"], ["removed", 2, null, "b"], ["added", null, 2, "B"], ["same", 3, 3, "c"], ["added", null, 4, "d"],
  ]);
  assert.deepEqual(diffOf("x", "x").hunks, []);
  assert.equal(diffOf("a".repeat(300_000), "b".repeat(300_000)).isTooLong, true);
});

test("an export cannot be broken out of by what is in it", () => {
  const call = { type: "tool_call", data: { id: "c", name: "bash", input: "```\n# not a title" } };
  const list = [{ role: "assistant", model: "m", parts: [call] }, { role: "tool", parts: [{ type: "tool_result", data: { tool_call_id: "c", content: "````" } }] }];
  const text = asMarkdown({ title: "T" }, list);
  assert.match(text, /````\n```\n# not a title\n````/);
  assert.match(text, /`````\n````\n`````/);
});
