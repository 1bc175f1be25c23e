import { sessionList, STATE_WORDS } from "../state/derived.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { ago } from "./words.js";

// Workspaces, and the sessions of the one that is open.
export function Sidebar({ app, state, actions, isOpen }) {
  const [wanted, setWanted] = useState("");
  const sessions = sessionList(state, wanted);
  return html`<nav class="sidebar ${isOpen ? "open" : ""}" aria-label="Sessions">
    <div class="top">
      <${WorkspacePicker} app=${app} actions=${actions} />
      <button type="button" class="primary" onClick=${actions.newSession} disabled=${!app.workspace}>New session</button>
      <label class="visually-hidden" for="search">Search sessions</label>
      <input id="search" type="search" placeholder="Search sessions" value=${wanted} onInput=${(event) => setWanted(event.currentTarget.value)} />
    </div>
    <ul class="sessions">
      ${sessions.map(({ session, state: at }) => html`<${SessionRow} key=${session.id} session=${session} at=${at}
        isCurrent=${session.id === app.sessionId} isUnread=${actions.isUnread(session)} actions=${actions} />`)}
    </ul>
    ${app.workspace && state.sessionsLoaded && sessions.length === 0 &&
      html`<p class="hint centred">${wanted ? "No session has these words in its title." : "No sessions yet."}</p>`}
    <div class="bottom"><button type="button" class="quiet" onClick=${actions.showKeys}>Keys</button>
      <button type="button" class="quiet" onClick=${actions.askNotify} hidden=${!app.canAskNotify}>Notify me</button></div>
  </nav>`;
}

function WorkspacePicker({ app, actions }) {
  const name = (workspace) => workspace.path.split("/").filter(Boolean).at(-1) ?? "/";
  const pick = (event) => (event.currentTarget.value === "+" ? actions.openFolder() : actions.openWorkspace(event.currentTarget.value));
  return html`<label class="workspace"><span class="visually-hidden">Workspace</span>
    <select value=${app.workspace?.id ?? ""} onChange=${pick} title=${app.workspace?.path}>
      ${!app.workspace && html`<option value="">No workspace</option>`}
      ${app.workspaces.map((workspace) => html`<option key=${workspace.id} value=${workspace.id}>
        ${name(workspace)}${app.elsewhere.get(workspace.id) ? ` (${app.elsewhere.get(workspace.id)})` : ""}</option>`)}
      <option value="+">Open a folder…</option>
    </select></label>`;
}

function SessionRow({ session, at, isCurrent, isUnread, actions }) {
  const [isRenaming, setRenaming] = useState(false);
  const title = session.title || "Untitled";
  if (isRenaming) return html`<li><${Rename} session=${session} done=${() => setRenaming(false)} actions=${actions} /></li>`;
  return html`<li class="${isCurrent ? "current" : ""} ${at}">
    <a href=${actions.linkTo(session.id)} aria-current=${isCurrent ? "page" : undefined}>
      <span class="dot ${at}" aria-hidden="true"></span>
      <span class="title">${isUnread && html`<span class="unread" role="img" aria-label="unread"></span>`}${title}</span>
      <span class="meta">${at === "idle" || at === "done" ? ago(session.updated_at) : STATE_WORDS[at]}
        ${session.attached_clients > 1 && html` · ${session.attached_clients} here`}</span>
    </a>
    <details class="menu"><summary aria-label="More about ${title}">⋯</summary>
      <div class="menu-list">
        <button type="button" onClick=${() => setRenaming(true)}>Rename</button>
        <button type="button" class="danger" onClick=${() => actions.deleteSession(session)}>Delete</button>
      </div></details>
  </li>`;
}

function Rename({ session, done, actions }) {
  const field = useRef(null);
  useEffect(() => field.current.select(), []);
  const save = async (event) => {
    event.preventDefault();
    const title = field.current.value.trim();
    if (title && title !== session.title) await actions.rename(session, title);
    done();
  };
  return html`<form class="rename" onSubmit=${save}><label class="visually-hidden" for="title">Title</label>
    <input id="title" ref=${field} value=${session.title} onKeyDown=${(event) => event.key === "Escape" && (event.stopPropagation(), done())} onBlur=${save} /></form>`;
}
