import { asked } from "../state/derived.js";
import { Asked } from "./asked.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { ConfirmDialog, Dialog, FolderDialog, KeysDialog } from "./dialogs.js";
import { html } from "./html.js";
import { Panel } from "./panel.js";
import { SessionHead } from "./session_head.js";
import { Sidebar } from "./sidebar.js";

// The whole page, from what is known of the server (`state`) and of the page itself (`app`).
export function App({ app, state, actions }) {
  if (app.connection === "unauthorised") return html`<${Login} actions=${actions} app=${app} />`;
  const session = state.sessions.get(app.sessionId);
  return html`<div class="layout ${session ? "in-session" : "in-list"} ${app.panel ? "with-panel" : ""}">
    <a class="skip" href="#prompt" onClick=${(event) => (event.preventDefault(), document.getElementById("prompt")?.focus())}>To the prompt</a>
    <${Sidebar} app=${app} state=${state} actions=${actions} isOpen=${app.isSidebarOpen} />
    ${app.isSidebarOpen && html`<div class="shade" onClick=${actions.toggleSidebar}></div>`}
    <main>
      <${Connection} app=${app} state=${state} actions=${actions} />
      ${session ? html`<${Session} app=${app} state=${state} session=${session} actions=${actions} />` : html`<${Welcome} app=${app} actions=${actions} />`}
    </main>
    ${session && app.panel && html`<${Panel} app=${app} state=${state} session=${session} actions=${actions} kind=${app.panel} />`}
    <div class="toasts" role="status" aria-live="polite">${app.notices.map((notice) => html`<p key=${notice.id} class="toast">${notice.text}
      <button type="button" class="quiet" aria-label="Close" onClick=${() => actions.dismiss(notice.id)}>×</button></p>`)}</div>
    <${Modal} app=${app} state=${state} actions=${actions} />
  </div>`;
}

function Session({ app, state, session, actions }) {
  const isWorking = state.working.has(session.id);
  const waiting = asked(state, session.id);
  const failure = state.ends.get(session.id);
  return html`<${SessionHead} app=${app} state=${state} session=${session} actions=${actions} panel=${app.panel} />
    <${Conversation} state=${state} sessionId=${session.id} root=${app.workspace.path} isWorking=${isWorking} openChild=${actions.openChild} liveOutput=${actions.liveOutput} />
    <div class="foot">
      ${!isWorking && failure?.outcome === "failed" && failure.error && html`<p class="failure" role="alert">${failure.error}</p>`}
      <${Asked} ...${waiting} actions=${actions} sessionId=${session.id} />
      <${Composer} key=${session.id} sessionId=${session.id} isWorking=${isWorking} queue=${app.queue} history=${app.history}
        actions=${actions} isOffline=${app.connection === "lost"} />
    </div>`;
}

// The truth about the connection. The run is the server's: it does not end with it.
function Connection({ app, state, actions }) {
  if (app.connection === "gone") {
    return html`<div class="banner" role="alert">This workspace was closed. <button type="button" onClick=${actions.reopen}>Open it again</button></div>`;
  }
  if (app.connection !== "lost" || !app.isLongLost) return null;
  const runs = state.working.size > 0 ? " What runs there goes on." : "";
  return html`<div class="banner" role="alert"><span><strong>Disconnected.</strong>${runs} Trying again…</span>
    <button type="button" onClick=${actions.hurry}>Now</button></div>`;
}

function Welcome({ app, actions }) {
  return html`<div class="welcome">
    <button type="button" class="quiet menu-button" onClick=${actions.toggleSidebar} aria-label="Sessions">☰</button>
    <div class="empty"><h1>txcrush</h1>
      ${app.workspace ? html`<p>Pick a session, or begin one. What runs goes on when you close this page.</p>
        <button type="button" class="primary" onClick=${actions.newSession}>New session</button>`
        : html`<p>No workspace is open on this server.</p><button type="button" class="primary" onClick=${actions.openFolder}>Open a folder</button>`}
    </div></div>`;
}

function Login({ app, actions }) {
  const submit = (event) => {
    event.preventDefault();
    actions.login(event.currentTarget.elements.token.value.trim());
  };
  return html`<main class="login"><form class="card" onSubmit=${submit}><h1>txcrush</h1>
    <p>Open the address that the server printed, or paste its token here. <code>txcrush pair</code> shows both.</p>
    <label class="field"><span>Token</span><input type="password" name="token" required autocomplete="current-password" /></label>
    ${app.loginError && html`<p class="error-text" role="alert">${app.loginError}</p>`}
    <div class="buttons"><button type="submit" class="primary">Sign in</button></div></form></main>`;
}

function Modal({ app, state, actions }) {
  const { modal } = app;
  if (!modal) return null;
  const close = actions.closeModal;
  if (modal.kind === "keys") return html`<${KeysDialog} close=${close} />`;
  if (modal.kind === "folder") return html`<${FolderDialog} close=${close} open=${actions.createWorkspace} />`;
  if (modal.kind === "confirm") return html`<${ConfirmDialog} ...${modal} close=${close} />`;
  return html`<${Dialog} title="What the agent did" close=${close}><div class="child">
    <${Conversation} state=${state} sessionId=${modal.sessionId} root=${app.workspace.path}
      isWorking=${state.working.has(modal.sessionId)} openChild=${actions.openChild} liveOutput=${actions.liveOutput} /></div></${Dialog}>`;
}
