import { diffOf } from "../text/diff.js";
import { html, useMemo } from "./html.js";

const MOST_LINES = 600;

export function Counts({ added, removed }) {
  return html`<span class="counts"><span class="plus" aria-label="${added} lines added">+${added}</span>${" "}<span
    class="minus" aria-label="${removed} lines removed">−${removed}</span></span>`;
}

// A unified diff of two texts.
export function Diff({ before, after }) {
  const diff = useMemo(() => diffOf(before, after), [before, after]);
  if (diff.isTooLong) return html`<p class="hint">Too long to compare here: ${diff.removed} lines before, ${diff.added} after.</p>`;
  if (diff.hunks.length === 0) return html`<p class="hint">No difference.</p>`;
  let left = MOST_LINES;
  const shown = [];
  for (const hunk of diff.hunks) {
    if (left <= 0) break;
    shown.push(hunk.lines.slice(0, left));
    left -= hunk.lines.length;
  }
  return html`<div class="diff" tabindex="0" role="group" aria-label="Changes">
    <table><tbody>${shown.map((lines, at) => [
      at > 0 && html`<tr class="gap" key="gap${at}"><td colspan="4">⋯</td></tr>`,
      ...lines.map((line, row) => html`<${Line} key="${at}.${row}" line=${line} />`),
    ])}</tbody></table>
    ${left < 0 && html`<p class="hint">${-left} more lines are not shown.</p>`}
  </div>`;
}

const SIGNS = { same: " ", added: "+", removed: "−" };

function Line({ line }) {
  return html`<tr class=${line.kind}>
    <td class="number">${line.before ?? ""}</td><td class="number">${line.after ?? ""}</td>
    <td class="sign">${SIGNS[line.kind]}</td><td class="text">${line.text}</td>
  </tr>`;
}
