import { changedFiles, shortPath } from "../state/derived.js";
import { conversation } from "../state/conversation.js";
import { asJson, asMarkdown } from "../text/exported.js";
import { diffOf } from "../text/diff.js";
import { Counts, Diff } from "./diff.js";
import { html, useEffect, useMemo, useState } from "./html.js";
import { ContextPlot } from "./session_head.js";
import { Todos } from "./tool.js";
import { count, dollars } from "./words.js";

// What stands beside a conversation: the files that it changed, or its details.
export function Panel({ app, state, session, actions, kind }) {
  return html`<aside class="panel" aria-label=${kind === "files" ? "Files changed" : "Details"}>
    <header><h2>${kind === "files" ? "Files changed" : "Details"}</h2>
      <button type="button" class="quiet" onClick=${() => actions.showPanel("")} aria-label="Close">×</button></header>
    ${kind === "files" ? html`<${Files} app=${app} state=${state} session=${session} actions=${actions} />`
      : html`<${Details} app=${app} state=${state} session=${session} actions=${actions} />`}
  </aside>`;
}

function Files({ app, state, session, actions }) {
  const versions = state.files.get(session.id);
  useEffect(() => void actions.loadFiles(session.id), [session.id]);
  const files = useMemo(() => changedFiles(versions ? [...versions.values()] : []), [versions]);
  const [open, setOpen] = useState("");
  if (files.length === 0) return html`<p class="hint">Nothing has been changed in this session.</p>`;
  return html`<ul class="files">${files.map((file) => html`<${ChangedFile} key=${file.path} file=${file} root=${app.workspace.path}
    isOpen=${open === file.path} toggle=${() => setOpen(open === file.path ? "" : file.path)} />`)}</ul>`;
}

function ChangedFile({ file, root, isOpen, toggle }) {
  const diff = useMemo(() => diffOf(file.before, file.after), [file.before, file.after]);
  return html`<li><button type="button" class="file" aria-expanded=${String(isOpen)} onClick=${toggle}>
      <span class="path">${shortPath(file.path, root)}</span><${Counts} added=${diff.added} removed=${diff.removed} /></button>
    ${isOpen && html`<${Diff} before=${file.before} after=${file.after} />`}</li>`;
}

function Details({ app, state, session, actions }) {
  const { list } = conversation(state, session.id);
  const save = (name, type, text) => download(`${fileName(session.title)}.${name}`, type, text);
  return html`<div class="details">
    <dl>
      <dt>Model</dt><dd><${ModelChoice} app=${app} actions=${actions} /></dd>
      <dt>Context</dt><dd>${count(session.prompt_tokens + session.completion_tokens)} tokens
        ${app.model?.context_window > 0 && html` of ${count(app.model.context_window)}`}
        <${ContextPlot} shares=${app.shares.get(session.id) ?? []} /></dd>
      <dt>Tokens of the last step</dt><dd>${count(session.prompt_tokens)} in, ${count(session.completion_tokens)} out</dd>
      <dt>Cost</dt><dd>${dollars(session.cost) || "nothing so far"}</dd>
      <dt>Messages</dt><dd>${session.message_count}</dd>
    </dl>
    ${session.todos?.length > 0 && html`<h3>To do</h3><${Todos} todos=${session.todos} />`}
    <${Clients} app=${app} />
    <div class="buttons">
      <button type="button" onClick=${() => actions.summarise(session)} disabled=${state.working.has(session.id) || list.length === 0}>Summarise</button>
      <button type="button" onClick=${() => save("md", "text/markdown", asMarkdown(session, list))}>Export as Markdown</button>
      <button type="button" onClick=${() => save("json", "application/json", asJson(session, list))}>Export as JSON</button>
    </div>
  </div>`;
}

function ModelChoice({ app, actions }) {
  const chosen = app.chosen ? `${app.chosen.provider}/${app.chosen.model}` : "";
  if (app.models.length === 0) return html`<span>${chosen || "none"}</span>`;
  const pick = (event) => {
    const found = app.models.find((one) => one.key === event.currentTarget.value);
    if (found) actions.chooseModel(found);
  };
  return html`<select aria-label="Model" value=${chosen} onChange=${pick}>
    ${!app.models.some((one) => one.key === chosen) && html`<option value=${chosen}>${chosen}</option>`}
    ${app.models.map((one) => html`<option key=${one.key} value=${one.key}>${one.name} · ${one.providerName}</option>`)}</select>`;
}

function Clients({ app }) {
  if (app.clients.length === 0) return null;
  return html`<h3>Attached</h3><ul class="clients">${app.clients.map((client) => html`<li key=${client.client_id}>
    <span>${client.client_id === app.clientId ? "this browser" : client.user_agent || "a client"}</span>
    <span class="hint">${client.via ?? ""} ${client.client_id.slice(0, 8)}</span></li>`)}</ul>`;
}

function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const fileName = (title) => title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60).toLowerCase() || "session";
