import { languageOfPath } from "../text/highlight.js";
import { diffOf } from "../text/diff.js";
import { shortPath } from "../state/derived.js";
import { CopyButton, Code, TerminalOutput } from "./code.js";
import { Counts, Diff } from "./diff.js";
import { html, useEffect, useMemo, useState } from "./html.js";
import { Markdown } from "./markdown.js";
import { memo } from "./memo.js";

const EDITS = new Set(["edit", "multiedit", "write", "lsp_replace_symbol"]);
const COMMANDS = new Set(["bash", "job_output", "job_kill"]);
const LIVE_MS = 1000;
const AGENTS = new Set(["agent", "agentic_fetch"]);

// One tool call as a card: what it does in a line, and inside what it was given and gave. `outcome` is "waiting" (for a
// permission), "granted", "denied" or empty; `openChild` shows the session of a sub-agent.
export const ToolCard = memo(({ call, result, outcome, isLive, root, openChild, liveOutput }) => {
  const input = useMemo(() => parsed(call.input), [call.input]);
  const metadata = useMemo(() => parsed(result?.metadata), [result?.metadata]);
  const state = stateOf(call, result, outcome, isLive);
  const [isOpen, setOpen] = useState(null);
  const isRunning = state === "running" && COMMANDS.has(call.name);
  const shown = isOpen ?? (EDITS.has(call.name) || call.name === "todos" || state === "failed" || isRunning);
  return html`<section class="tool ${state}" aria-label="Tool ${call.name}, ${STATES[state]}">
    <button type="button" class="tool-head" aria-expanded=${String(shown)} onClick=${() => setOpen(!shown)}>
      <span class="dot ${state}" aria-hidden="true"></span>
      <strong>${call.name}</strong>
      <span class="summary">${summary(call.name, input, root)}</span>
      <${Badge} name=${call.name} metadata=${metadata} result=${result} />
      <span class="state">${STATES[state]}</span>
    </button>
    ${shown && html`<div class="tool-body">
      ${isRunning && liveOutput && html`<${LiveOutput} callId=${call.id} liveOutput=${liveOutput} />`}
      <${Body} name=${call.name} input=${input} raw=${call.input} result=${result} metadata=${metadata} root=${root} />
      ${AGENTS.has(call.name) && openChild && html`<button type="button" class="quiet" onClick=${() => openChild(call.id)}>
        Show what this agent did</button>`}
    </div>`}
  </section>`;
});

const STATES = {
  writing: "being written", waiting: "waits for you", running: "running", done: "done", failed: "failed",
  denied: "denied", open: "no result",
};

function stateOf(call, result, outcome, isLive) {
  if (outcome === "denied") return "denied";
  if (result) return result.is_error ? "failed" : "done";
  if (!isLive) return "open";
  if (outcome === "waiting") return "waiting";
  return call.finished ? "running" : "writing";
}

function Badge({ name, metadata, result }) {
  if (!result || !EDITS.has(name)) return null;
  if (Number.isInteger(metadata.additions)) return html`<${Counts} added=${metadata.additions} removed=${metadata.removals ?? 0} />`;
  return null;
}

function summary(name, input, root) {
  const path = input.file_path ?? input.path;
  if (COMMANDS.has(name)) return input.command ?? input.shell_id ?? "";
  if (typeof path === "string") return [shortPath(path, root), input.pattern].filter(Boolean).join(" · ");
  const first = input.pattern ?? input.url ?? input.query ?? input.prompt ?? input.description;
  if (typeof first === "string") return first.split("\n")[0];
  return name === "todos" ? `${(input.todos ?? []).length} items` : "";
}

function Body({ name, input, raw, result, metadata, root }) {
  if (COMMANDS.has(name)) return html`<${Command} input=${input} result=${result} metadata=${metadata} />`;
  if (EDITS.has(name)) return html`<${Edit} name=${name} input=${input} result=${result} metadata=${metadata} />`;
  if (name === "view" && result && !result.is_error && typeof metadata.content === "string") {
    return html`<${Code} code=${metadata.content} language=${languageOfPath(metadata.file_path ?? "")} />`;
  }
  if (name === "todos") return html`<${Todos} todos=${input.todos ?? []} />`;
  if (AGENTS.has(name)) {
    return html`<div class="given"><${Markdown} text=${String(input.prompt ?? "")} /></div>
      ${result && html`<${Markdown} text=${result.content} />`}`;
  }
  return html`<${Given} raw=${raw} input=${input} root=${root} /><${Result} result=${result} />`;
}

function Command({ input, result, metadata }) {
  const output = result ? (typeof metadata.output === "string" && metadata.output !== "" ? metadata.output : result.content) : "";
  return html`${input.command && html`<pre class="command" tabindex="0"><span aria-hidden="true">$ </span>${input.command}</pre>`}
    ${result && html`<div class="with-copy"><${CopyButton} text=${output} /><${TerminalOutput} text=${output} /></div>`}`;
}

// What a command has written so far, asked for while it runs and is looked at.
function LiveOutput({ callId, liveOutput }) {
  const [text, setText] = useState("");
  useEffect(() => {
    let isHere = true;
    const look = async () => {
      const written = document.hidden ? null : await liveOutput(callId);
      if (isHere && written !== null) setText(written);
      if (isHere) timer = setTimeout(look, LIVE_MS);
    };
    let timer = setTimeout(look, LIVE_MS / 4);
    return () => {
      isHere = false;
      clearTimeout(timer);
    };
  }, [callId]);
  return text && html`<${TerminalOutput} text=${text} />`;
}

function Edit({ name, input, result, metadata }) {
  const before = metadata.old_content ?? (name === "edit" ? input.old_string ?? "" : "");
  const after = metadata.new_content ?? (name === "edit" ? input.new_string ?? "" : input.content ?? "");
  const failed = result?.is_error && html`<p class="error-text">${result.content}</p>`;
  return html`${failed}${typeof before === "string" && typeof after === "string" && (before || after) !== "" &&
    html`<${Diff} before=${before} after=${after} />`}`;
}

export function Todos({ todos }) {
  return html`<ul class="todos">${todos.map((todo) => html`<li class=${todo.status}>
    <span aria-hidden="true">${{ completed: "✓", in_progress: "▸" }[todo.status] ?? "○"}</span>
    <span>${todo.status === "in_progress" ? todo.active_form || todo.content : todo.content}</span>
    <span class="visually-hidden">${String(todo.status).replace("_", " ")}</span></li>`)}</ul>`;
}

function Given({ raw, input }) {
  const entries = Object.entries(input);
  if (entries.length === 0) return raw ? html`<pre class="code" tabindex="0">${raw}</pre>` : null;
  return html`<dl class="given">${entries.map(([name, value]) => html`<div key=${name}><dt>${name}</dt>
    <dd>${typeof value === "string" ? value : JSON.stringify(value)}</dd></div>`)}</dl>`;
}

function Result({ result }) {
  if (!result) return null;
  if (result.data && /^image\/(?:png|jpeg|gif|webp)$/.test(result.mime_type ?? "")) {
    return html`<img class="picture" alt="Picture that the tool gave" src="data:${result.mime_type};base64,${result.data}" />`;
  }
  return html`<div class="with-copy"><${CopyButton} text=${result.content} /><${TerminalOutput} text=${result.content} /></div>`;
}

// What a permission request would change or run.
export function Wanted({ request }) {
  const params = typeof request.params === "object" && request.params ? request.params : {};
  if (typeof params.command === "string") {
    return html`<pre class="command" tabindex="0"><span aria-hidden="true">$ </span>${params.command}</pre>
      ${params.working_dir && html`<p class="hint">in ${params.working_dir}</p>`}`;
  }
  if (typeof params.new_content === "string" || typeof params.old_content === "string") {
    return html`<${WantedEdit} before=${params.old_content ?? ""} after=${params.new_content ?? ""} />`;
  }
  return html`<${Given} input=${params} raw=${typeof request.params === "string" ? request.params : ""} />`;
}

function WantedEdit({ before, after }) {
  const { added, removed } = useMemo(() => diffOf(before, after), [before, after]);
  return html`<${Counts} added=${added} removed=${removed} /><${Diff} before=${before} after=${after} />`;
}

function parsed(text) {
  if (!text) return {};
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {}; // a call that is still being written
  }
}
