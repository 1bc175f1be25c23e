import { GrowingMarkdown } from "../text/growing_markdown.js";
import { blockHtml } from "../text/safe_html.js";
import { CodeBlock } from "./code.js";
import { html, useMemo } from "./html.js";
import { memo } from "./memo.js";

// Text of a person or of the model. While it grows only its last blocks are drawn again.
export function Markdown({ text }) {
  const growing = useMemo(() => new GrowingMarkdown(), []);
  return html`<div class="markdown">
    ${growing.blocks(text).map((block, at) => html`<${Block} key=${at} block=${block} raw=${block.raw} />`)}
  </div>`;
}

const Block = memo(({ block }) =>
  block.type === "code"
    ? html`<${CodeBlock} code=${block.text} language=${(block.lang ?? "").trim().split(/\s/)[0]} />`
    : html`<div class="block" dangerouslySetInnerHTML=${{ __html: blockHtml(block) }} />`,
);
