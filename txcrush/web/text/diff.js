// Unified diffs as data: hunks of lines, with numbers, for the views to draw.

import { structuredPatch } from "../vendor/diff-9.0.0/libesm/patch/create.js";

const LONGEST = 400_000; // characters of both sides together, beyond which lines are not matched
const MOST_MS = 500;

// {hunks: [{lines: [{kind: "same" | "added" | "removed", before, after, text}]}], added, removed, isTooLong}
export function diffOf(before, after) {
  if (before.length + after.length > LONGEST) return tooLong(before, after);
  const patch = structuredPatch("", "", before, after, "", "", { context: 3, timeout: MOST_MS });
  if (!patch) return tooLong(before, after);
  const hunks = patch.hunks.map(numbered);
  const count = (kind) => hunks.reduce((sum, hunk) => sum + hunk.lines.filter((line) => line.kind === kind).length, 0);
  return { hunks, added: count("added"), removed: count("removed"), isTooLong: false };
}

function numbered(hunk) {
  let before = hunk.oldStart;
  let after = hunk.newStart;
  const lines = [];
  for (const line of hunk.lines) {
    const text = line.slice(1);
    if (line[0] === " ") lines.push({ kind: "same", before: before++, after: after++, text });
    else if (line[0] === "-") lines.push({ kind: "removed", before: before++, after: null, text });
    else if (line[0] === "+") lines.push({ kind: "added", before: null, after: after++, text });
  }
  return { lines };
}

function tooLong(before, after) {
  const lines = (text) => (text === "" ? 0 : text.split("\n").length);
  return { hunks: [], added: lines(after), removed: lines(before), isTooLong: true };
}
