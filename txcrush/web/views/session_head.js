import { changedFiles, contextShare, sessionState, STATE_WORDS } from "../state/derived.js";
import { html, useMemo } from "./html.js";
import { dollars } from "./words.js";

// What stands above a conversation: its title, its state, what it has used, and what can be done with it.
export function SessionHead({ app, state, session, actions, panel }) {
  const at = sessionState(state, session.id);
  const files = state.files.get(session.id);
  const changed = useMemo(() => changedFiles(files ? [...files.values()] : []), [files]);
  return html`<header class="session-head">
    <button type="button" class="quiet menu-button" onClick=${actions.toggleSidebar} aria-label="Sessions">☰</button>
    <div class="names"><h1>${session.title || "Untitled"}</h1>
      <p class="facts"><span class="dot ${at}" aria-hidden="true"></span><span role="status">${STATE_WORDS[at] || "idle"}</span>
        <${Used} app=${app} session=${session} /><${Presence} app=${app} sessionId=${session.id} /></p></div>
    <div class="tools">
      <button type="button" class=${panel === "files" ? "on" : ""} aria-pressed=${String(panel === "files")} onClick=${() => actions.showPanel("files")}>
        Files${changed.length > 0 ? ` ${changed.length}` : ""}</button>
      <button type="button" class=${panel === "details" ? "on" : ""} aria-pressed=${String(panel === "details")}
        onClick=${() => actions.showPanel("details")}>Details</button>
    </div>
  </header>`;
}

function Used({ app, session }) {
  const share = contextShare(session, app.model);
  return html`${share !== null && html`<span title="Share of the context window">${Math.round(share * 100)} % of context</span>`}
    ${session.cost > 0 && html`<span>${dollars(session.cost)}</span>`}`;
}

function Presence({ app, sessionId }) {
  const others = app.clients.filter((client) => client.client_id !== app.clientId && client.session_id === sessionId && client.streams > 0);
  const here = others.length;
  return here > 0 && html`<span class="presence" title=${others.map((client) => client.user_agent || client.client_id).join(", ")}>
    ${here === 1 ? "1 other is watching" : `${here} others are watching`}</span>`;
}

// A small plot: how full the context was after each turn, 0 to 1.
export function ContextPlot({ shares }) {
  if (shares.length < 2) return null;
  const [width, height] = [240, 48];
  const points = shares.map((share, at) => `${(at / (shares.length - 1)) * width},${height - share * height}`).join(" ");
  return html`<svg class="plot" viewBox="0 -2 ${width} ${height + 4}" preserveAspectRatio="none" role="img"
    aria-label="Context used over ${shares.length} turns, now ${Math.round(shares.at(-1) * 100)} percent">
    <line x1="0" y1=${height} x2=${width} y2=${height} /><polyline points=${points} /></svg>`;
}

