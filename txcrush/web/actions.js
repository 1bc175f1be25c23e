// What can be done on the page. Each says by its answer whether it worked; what failed is told on the page.

import * as api from "./net/api.js";
import { notifier } from "./notify.js";
import { sessionList } from "./state/derived.js";
import { answered, answeredBatch, prompted, withFiles } from "./state/fold.js";

const SEEN_KEY = "txcrush-seen";

export function makeActions(page) {
  let focused = ""; // a session that was just begun
  const seen = new Map(Object.entries(JSON.parse(localStorage.getItem(SEEN_KEY) ?? "{}")));

  // Do it; true where it worked, else what went wrong is shown.
  const attempt = async (work) => {
    try {
      await work();
      return true;
    } catch (error) {
      page.failed(error);
      return false;
    }
  };
  const session = (id) => `${page.path}/sessions/${encodeURIComponent(id)}`;
  const agent = (id) => `${page.path}/agent/sessions/${encodeURIComponent(id)}`;
  const go = (sessionId) => (location.hash = linkTo(sessionId));
  const linkTo = (sessionId) => `#/${page.app.workspace.id}/${encodeURIComponent(sessionId)}`;
  const close = () => page.set({ modal: null });

  return {
    linkTo,
    notify: (text) => page.notify(text),
    dismiss: (id) => page.set({ notices: page.app.notices.filter((notice) => notice.id !== id) }),
    hurry: () => page.hurry(),

    async login(token, { isStart = false } = {}) {
      try {
        await api.login(token);
      } catch (error) {
        page.set({ connection: "unauthorised", loginError: error.status === 401 ? "This is not the token of this server." : error.message });
        return false;
      }
      page.set({ connection: "connecting", loginError: "" });
      const isIn = await page.loadWorkspaces();
      if (isIn && !isStart) await page.start();
      return isIn;
    },

    // Workspaces

    openWorkspace: (id) => (location.hash = `#/${id}`),
    openFolder: () => page.set({ modal: { kind: "folder" } }),
    createWorkspace: (path) => attempt(async () => {
      const workspace = await api.post("workspaces", { path, client_id: api.clientId });
      close();
      await page.loadWorkspaces();
      location.hash = `#/${workspace.id}`;
    }),
    reopen: () => attempt(async () => {
      const workspace = await api.post("workspaces", { path: page.app.workspace.path, client_id: api.clientId });
      await page.loadWorkspaces();
      location.hash = `#/${workspace.id}/${encodeURIComponent(page.app.sessionId)}`;
    }),

    // Sessions

    newSession: () => page.app.workspace && attempt(async () => {
      const made = await api.post(`${page.path}/sessions`, { title: "New session" });
      page.store.update((state) => ({ ...state, sessions: new Map(state.sessions).set(made.id, made) }));
      focused = made.id;
      go(made.id);
    }),
    // Whether the prompt box of this session, which is drawn just now, is what somebody wants to write in.
    takesFocus(id) {
      const isWanted = focused === id;
      if (isWanted) focused = "";
      return isWanted;
    },
    rename: ({ id }, title) => attempt(() => api.put(session(id), { id, title })),
    deleteSession: ({ id, title }) => page.set({ modal: {
      kind: "confirm", title: "Delete this session?", word: "Delete",
      text: `“${title || "Untitled"}” and its messages will be gone for good; what runs in it ends.`,
      confirm: () => attempt(async () => {
        await api.remove(session(id));
        if (page.app.sessionId === id) location.hash = `#/${page.app.workspace.id}`;
      }),
    } }),
    step(by) {
      const list = sessionList(page.store.state).map((row) => row.session.id);
      if (list.length === 0) return;
      const at = list.indexOf(page.app.sessionId);
      go(list[at < 0 ? 0 : (at + by + list.length) % list.length]);
    },
    seen(id) {
      const at = page.store.state.sessions.get(id)?.updated_at;
      if (!at || seen.get(id) >= at) return;
      seen.set(id, at);
      localStorage.setItem(SEEN_KEY, JSON.stringify(Object.fromEntries([...seen].slice(-500))));
    },
    isUnread: ({ id, updated_at }) => id !== page.app.sessionId && seen.has(id) && seen.get(id) < updated_at,
    openChild: (sessionId) => (page.set({ modal: { kind: "child", sessionId } }), page.loadMessages(sessionId)),
    loadFiles: (id) => attempt(async () => {
      const list = await api.get(`${session(id)}/history`);
      page.store.update((state) => withFiles(state, id, list ?? []));
    }),
    summarise: ({ id }) => attempt(() => api.post(`${agent(id)}/summarize`)),

    // What the command of a tool call has written so far; null where it is not known.
    async liveOutput(callId) {
      try {
        const job = (await api.get(`${page.path}/jobs`)).find((one) => one.tool_call_id === callId);
        if (!job) return null;
        const { out, err } = await api.get(`${page.path}/jobs/${job.id}`);
        return out + err;
      } catch (error) {
        if (error instanceof api.ApiError) return null; // it has ended meanwhile, or the server is out of reach
        throw error;
      }
    },

    // Prompting and steering

    prompt: (prompt, attachments, whenBusy) => attempt(async () => {
      const { sessionId } = page.app;
      const body = { session_id: sessionId, prompt, attachments };
      if (whenBusy) body.when_busy = whenBusy;
      await api.ask("POST", `${page.path}/agent`, { body, query: { client_id: api.clientId }, headers: { Prefer: "respond-async" } });
      page.store.update((state) => prompted(state, sessionId));
      page.set({ history: [prompt, ...page.app.history.filter((one) => one !== prompt)] });
      await page.loadQueue();
    }),
    cancel: () => page.app.sessionId && attempt(() => api.post(`${agent(page.app.sessionId)}/cancel`)),
    clearQueue: () => attempt(async () => {
      await api.post(`${agent(page.app.sessionId)}/prompts/clear`);
      await page.loadQueue();
    }),
    unqueue: ({ id }) => attempt(async () => {
      await api.post(`${page.path}/runs/${encodeURIComponent(id)}/cancel`);
      await page.loadQueue();
    }),
    async fileNames(prefix) {
      try {
        const found = await api.get(`${page.path}/files`, { query: prefix, limit: 12 });
        return found ?? [];
      } catch (error) {
        if (error instanceof api.ApiError) return []; // no names: the person goes on typing
        throw error;
      }
    },
    chooseModel: ({ provider, id }) => attempt(async () => {
      await api.post(`${page.path}/config/model`, { scope: 1, model_type: "large", model: { provider, model: id } });
      await api.post(`${page.path}/agent/update`);
      await page.loadConfig();
    }),

    // Answering

    answer: (request, action) => attempt(async () => {
      const body = { permission: { ...request, params: null }, action };
      const { data, headers } = await api.ask("POST", `${page.path}/permissions/grant`, { body, query: { client_id: api.clientId } });
      page.store.update((state) => answered(state, request.id));
      if (!data.resolved) page.notify(await whoWas(page, request.id, headers.get("X-Outcome")));
    }),
    answerQuestions: (batch, responses) => attempt(async () => {
      const body = { batch_request_id: batch.id, responses };
      const { data, headers } = await api.ask("POST", `${page.path}/questions/answer`, { body, query: { client_id: api.clientId } });
      page.store.update((state) => answeredBatch(state, batch.id));
      if (!data.resolved) page.notify(await whoWas(page, batch.id, headers.get("X-Outcome")));
    }),
    cancelQuestions: (batch) => attempt(async () => {
      await api.post(`${page.path}/questions/cancel`, undefined, { client_id: api.clientId, batch_request_id: batch.id });
      page.store.update((state) => answeredBatch(state, batch.id));
    }),

    // The page itself

    showPanel: (panel) => page.set({ panel: page.app.panel === panel ? "" : panel }),
    toggleSidebar: () => page.set({ isSidebarOpen: !page.app.isSidebarOpen }),
    showKeys: () => page.set({ modal: { kind: "keys" } }),
    closeModal: close,
    askNotify: async () => (await notifier.ask(), page.set({ canAskNotify: notifier.canAsk })),
  };
}

// Who was faster, as the audit trail has it.
async function whoWas(page, entryId, outcome) {
  const said = { granted: "allowed", granted_for_session: "allowed for the session", denied: "denied", answered: "answered",
    cancelled: "taken back", interrupted: "interrupted" }[outcome] ?? "settled";
  try {
    const trail = await api.get(`${page.path}/permissions/audit`, { limit: 50 });
    const entry = trail.find((one) => one.id === entryId);
    if (!entry) return `This was ${said} already.`;
    if (entry.by !== "client") return `This was ${said} already, by ${entry.by.replaceAll("_", " ")}.`;
    const isMe = entry.client_id === api.clientId;
    return `This was ${said} already, ${isMe ? "in another tab" : `by the client ${entry.client_id.slice(0, 8) || "?"} over ${entry.via}`}.`;
  } catch (error) {
    if (error instanceof api.ApiError) return `This was ${said} already.`;
    throw error;
  }
}
