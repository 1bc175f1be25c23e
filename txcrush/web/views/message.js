import { finishOf, textOf } from "../state/derived.js";
import { CopyButton, TerminalOutput } from "./code.js";
import { html, useState } from "./html.js";
import { Markdown } from "./markdown.js";
import { memo } from "./memo.js";
import { ToolCard } from "./tool.js";
import { clock } from "./words.js";

export const UserMessage = memo(({ message }) => {
  const shell = message.parts.find((part) => part.type === "shell_command")?.data;
  if (shell) return html`<article class="message shell" aria-label="Command">
    <pre class="command" tabindex="0"><span aria-hidden="true">$ </span>${shell.command}</pre>
    <${TerminalOutput} text=${shell.output} />
    ${shell.exit_code !== 0 && html`<p class="error-text">exit ${shell.exit_code}</p>`}
  </article>`;
  const files = message.parts.filter((part) => part.type === "binary").map((part) => part.data);
  return html`<article class="message user" aria-label="Prompt">
    <${Markdown} text=${textOf(message)} />
    ${files.length > 0 && html`<div class="attachments">${files.map((file) => html`<${Attachment} file=${file} />`)}</div>`}
    <footer><time datetime=${new Date(message.created_at * 1000).toISOString()}>${clock(message.created_at)}</time></footer>
  </article>`;
});

function Attachment({ file }) {
  const name = (file.Path ?? "").split("/").at(-1) || "file";
  if (/^image\/(?:png|jpeg|gif|webp)$/.test(file.MIMEType) && file.Data) {
    return html`<img class="picture" alt=${name} src="data:${file.MIMEType};base64,${file.Data}" />`;
  }
  return html`<span class="chip">${name}</span>`;
}

// `results` is read by call id; `seen` changes with it, so that a message is drawn again only for its own calls.
export const AssistantMessage = memo(({ message, results, outcomes, isLive, root, openChild, liveOutput }) => {
  const finish = finishOf(message);
  return html`<article class="message assistant" aria-label="Answer" aria-busy=${String(isLive && !finish)}>
    ${message.is_summary_message && html`<p class="hint">Summary of what came before</p>`}
    ${message.parts.map((part, at) => html`<${Part} key=${at} part=${part} message=${message} isLive=${isLive && !finish}
      result=${results[part.data.id]} outcome=${outcomes[part.data.id] ?? ""} isTurnLive=${isLive} root=${root} openChild=${openChild} liveOutput=${liveOutput} />`)}
    ${isLive && !finish && message.parts.length === 0 && html`<p class="thinking">Thinking…</p>`}
    <${Finish} finish=${finish} />
    ${finish && finish.reason !== "tool_use" && html`<footer>
      <span>${message.model}</span><time datetime=${new Date(message.created_at * 1000).toISOString()}>${clock(message.created_at)}</time>
      ${textOf(message) !== "" && html`<${CopyButton} text=${textOf(message)} label="Copy answer" />`}
    </footer>`}
  </article>`;
});

function Part({ part, message, isLive, isTurnLive, result, outcome, root, openChild, liveOutput }) {
  const { type, data } = part;
  if (type === "text") return html`<${Markdown} text=${data.text} />`;
  if (type === "reasoning") return html`<${Reasoning} data=${data} isLive=${isLive && !data.finished_at} />`;
  if (type === "tool_call") {
    return html`<${ToolCard} call=${data} result=${result} outcome=${outcome} isLive=${isTurnLive} root=${root} liveOutput=${liveOutput}
      openChild=${openChild && ((callId) => openChild(`${message.id}$$${callId}`))} />`;
  }
  return null;
}

function Reasoning({ data, isLive }) {
  const [isOpen, setOpen] = useState(false);
  if (!data.thinking) return null;
  const lasted = data.finished_at && data.started_at ? ` for ${Math.max(1, data.finished_at - data.started_at)} s` : "";
  return html`<section class="reasoning">
    <button type="button" class="quiet" aria-expanded=${String(isOpen)} onClick=${() => setOpen(!isOpen)}>
      ${isLive ? "Thinking…" : `Thought${lasted}`}</button>
    ${isOpen && html`<${Markdown} text=${data.thinking} />`}
  </section>`;
}

const FINISHES = { canceled: "Stopped", max_tokens: "The answer was cut off: it reached the model's limit", content_filter: "Filtered by the provider" };

function Finish({ finish }) {
  if (!finish) return null;
  if (finish.reason === "error") {
    return html`<div class="failure" role="alert"><strong>${finish.message || "Failed"}</strong>
      ${finish.details && html`<p>${finish.details}</p>`}</div>`;
  }
  const words = FINISHES[finish.reason];
  return words ? html`<p class="notice">${words}${finish.message && finish.message !== "User canceled request" ? `: ${finish.message}` : ""}</p>` : null;
}
