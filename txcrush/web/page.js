// What the page itself knows and does: which workspace and session are open, how the connection is, what was pressed.

import { makeActions } from "./actions.js";
import * as api from "./net/api.js";
import { SharedStream } from "./net/tabs.js";
import { notifier } from "./notify.js";
import { contextShare, isOpen, waiting } from "./state/derived.js";
import { EMPTY, fold, opened, withMessages, withSessions } from "./state/fold.js";
import { Store } from "./state/store.js";

const SHOW_LOST_MS = 1500; // a blink of the network is not worth a banner
const POLL_MS = 15_000;

export class Page {
  constructor() {
    this.store = new Store(EMPTY);
    this.app = {
      clientId: api.clientId, connection: "connecting", isLongLost: false, workspaces: [], workspace: null, elsewhere: new Map(),
      sessionId: "", panel: "", modal: null, isSidebarOpen: false, notices: [], queue: [], history: [], clients: [], models: [],
      chosen: null, model: null, shares: new Map(), loginError: "", canAskNotify: notifier.canAsk,
    };
    this.actions = makeActions(this);
    this._watchers = [];
    this._stream = null;
    this._lostTimer = null;
    this._configChanges = 0;
    this.store.watch(() => this._stateChanged());
  }

  onChange(watcher) {
    this._watchers.push(watcher);
  }

  // Change what the page knows of itself, and draw it.
  set(part) {
    this.app = { ...this.app, ...part };
    this._draw();
  }

  async start() {
    addEventListener("hashchange", () => this._route());
    addEventListener("online", () => this._stream?.hurry());
    document.addEventListener("visibilitychange", () => this._looked());
    setInterval(() => document.hidden || this._poll(), POLL_MS);
    if (await this._enter()) await this._route();
  }

  // The address may hold a token: it is exchanged, and taken out of the address and of the history at once.
  async _enter() {
    const token = new URLSearchParams(location.hash.slice(1)).get("token");
    if (token) {
      history.replaceState(null, "", location.pathname + location.search);
      return this.actions.login(token, { isStart: true });
    }
    return this.loadWorkspaces();
  }

  // Whether they could be read.
  async loadWorkspaces() {
    try {
      const workspaces = await api.get("workspaces");
      this.set({ workspaces, loginError: "" });
      return true;
    } catch (error) {
      this.failed(error);
      if (error.status !== 401) setTimeout(() => this.loadWorkspaces().then((done) => done && this._route()), 2000);
      return false;
    }
  }

  // Say what went wrong. A 401 leads to the sign-in.
  failed(error) {
    if (!(error instanceof api.ApiError)) throw error;
    if (error.status === 401) this.set({ connection: "unauthorised" });
    else this.notify(error.message);
  }

  notify(text) {
    const notice = { id: crypto.getRandomValues(new Uint32Array(1))[0], text };
    this.set({ notices: [...this.app.notices.slice(-3), notice] });
    setTimeout(() => this.actions.dismiss(notice.id), 8000);
  }

  get path() {
    return `workspaces/${this.app.workspace.id}`;
  }

  // `#/WORKSPACE/SESSION`
  async _route() {
    const [, workspaceId = "", sessionId = ""] = location.hash.split("/").map(decodeURIComponent);
    const { workspaces, workspace } = this.app;
    const wanted = workspaces.find((one) => one.id === workspaceId) ?? (workspaceId ? null : workspace ?? workspaces[0]);
    if (!wanted) {
      if (workspaceId && workspaces.length > 0) location.hash = "#/";
      return;
    }
    if (wanted.id !== workspace?.id) await this._openWorkspace(wanted);
    await this._openSession(sessionId);
  }

  async _openWorkspace(workspace) {
    this._stream?.end();
    this.store.state = EMPTY;
    this.set({ workspace, sessionId: "", panel: "", queue: [], clients: [], connection: "connecting" });
    this._stream = new SharedStream({
      name: workspace.id,
      open: (lastId, signal) => api.openStream(workspace.id, lastId, signal),
      onOpen: (isResumed) => this._opened(isResumed),
      onEvents: (events) => this._heard(events),
      onState: (state) => this._connectionIs(state),
      catchUp: () => this._catchUp(),
    });
    this._stream.start();
    await Promise.all([this.loadSessions(), this.loadConfig(), this._loadClients()]);
  }

  async _openSession(sessionId) {
    if (sessionId !== this.app.sessionId) this.set({ sessionId, queue: [], isSidebarOpen: false });
    if (!sessionId) return;
    this.actions.seen(sessionId);
    api.post(`${this.path}/current-session`, { session_id: sessionId }, { client_id: api.clientId }).catch(() => null); // presence only
    await Promise.all([this.loadMessages(sessionId), this.loadQueue(), this._loadHistory()]);
    this.actions.seen(sessionId);
    this._draw();
  }

  async loadSessions() {
    await this._load(`${this.path}/sessions`, (list) => this.store.update((state) => withSessions(state, list)));
  }

  async loadMessages(sessionId) {
    await this._load(`${this.path}/sessions/${encodeURIComponent(sessionId)}/messages`, (list) =>
      this.store.update((state) => withMessages(state, sessionId, list ?? [])));
  }

  // What stands in line in the open session; runs have ids, so that one of them can be taken out.
  async loadQueue() {
    const { sessionId } = this.app;
    if (!sessionId) return;
    const session = encodeURIComponent(sessionId);
    const prompts = (await api.get(`${this.path}/agent/sessions/${session}/prompts/list`).catch(() => null)) ?? [];
    await this._load(`${this.path}/runs?session_id=${session}&state=queued`, (newestFirst) => {
      const runs = newestFirst.toReversed();
      const whole = prompts.length === runs.length ? prompts : runs.map((run) => run.prompt); // runs tell the beginning only
      if (this.app.sessionId === sessionId) this.set({ queue: runs.map((run, at) => ({ id: run.run_id, prompt: whole[at] })) });
    });
  }

  async loadConfig() {
    await this._load(`${this.path}/config`, (config) => {
      const models = [];
      for (const [id, provider] of Object.entries(config?.providers ?? {})) {
        for (const model of provider.disable ? [] : provider.models ?? []) {
          models.push({ key: `${id}/${model.id}`, provider: id, providerName: provider.name || id, id: model.id, name: model.name || model.id, model });
        }
      }
      const chosen = config?.models?.large ?? null;
      const found = models.find((one) => one.key === `${chosen?.provider}/${chosen?.model}`);
      this.set({ models, chosen, model: found?.model ?? null });
    });
  }

  async _loadHistory() {
    await this._load(`${this.path}/sessions/${encodeURIComponent(this.app.sessionId)}/messages/user`, (list) => {
      const texts = (list ?? []).map((message) => message.parts.find((part) => part.type === "text")?.data.text ?? "").filter(Boolean);
      this.set({ history: [...new Set(texts)].slice(0, 100) });
    });
  }

  async _loadClients() {
    await this._load(`${this.path}/clients`, (clients) => this.set({ clients }));
  }

  // Read something for the workspace that is open; an answer that comes after another was opened is nobody's.
  async _load(path, take) {
    const { workspace } = this.app;
    try {
      const answer = await api.get(path);
      if (this.app.workspace === workspace || this.app.workspace?.id === workspace?.id) take(answer);
    } catch (error) {
      if (error.status !== 404) this.failed(error);
    }
  }

  _opened(isResumed) {
    this.store.update((state) => opened(state, isResumed));
    if (!isResumed) this._readAnew();
  }

  _readAnew() {
    if (this.store.state.sessionsLoaded) this.loadSessions();
    if (this.app.sessionId) this.loadMessages(this.app.sessionId);
    this.loadQueue();
  }

  _heard(events) {
    const before = this.store.state;
    this.store.update((state) => events.reduce(fold, state));
    notifier.heard(events, this.store.state, before, this.app);
    const kinds = new Set(events.map((event) => event.type));
    if (kinds.has("reset")) this._readAnew();
    if (kinds.has("run_complete") || events.some(isPrompt)) this.loadQueue();
  }

  // What a tab that joins cannot read with a GET, or would read older than the deltas that follow.
  _catchUp() {
    const { permissions, questions, conversations } = this.store.state;
    const event = (type, change, payload) => ({ type, payload: { type: change, payload } });
    const open = [...conversations.values()].flatMap(({ list, fresh }) => list.filter((one) => isOpen(one) && fresh.has(one.id)));
    return [
      ...[...permissions.values()].map((request) => event("permission_request", "created", request)),
      ...[...questions.values()].map((batch) => event("question_batch_request", "created", batch)),
      ...open.map((message) => event("message", "updated", message)),
    ];
  }

  _connectionIs(state) {
    if (state === "live" || state === "connecting") {
      if (state === "live") {
        clearTimeout(this._lostTimer);
        this._lostTimer = null;
        this.set({ connection: "live", isLongLost: false });
      }
      return;
    }
    this.set({ connection: state });
    this._lostTimer ??= setTimeout(() => this.set({ isLongLost: this.app.connection === "lost" }), SHOW_LOST_MS);
  }

  _stateChanged() {
    const { state } = this.store;
    if (state.configChanges !== this._configChanges) {
      this._configChanges = state.configChanges;
      this.loadConfig();
    }
    const session = state.sessions.get(this.app.sessionId);
    if (session) this._noteShare(session);
    if (session && !document.hidden) this.actions.seen(session.id);
    notifier.badge(waiting(state));
    this._draw();
  }

  // The context's share after each step, for the plot.
  _noteShare(session) {
    const share = contextShare(session, this.app.model);
    const known = this.app.shares.get(session.id) ?? [];
    if (share === null || known.at(-1) === share) return;
    this.app.shares.set(session.id, [...known.slice(-99), share]);
  }

  _looked() {
    if (document.hidden) return;
    this._stream?.hurry();
    if (this.app.sessionId) this.actions.seen(this.app.sessionId);
  }

  hurry() {
    this._stream?.hurry();
  }

  // What no event tells: who is attached, and what happens in the other workspaces.
  async _poll() {
    if (!this.app.workspace || this.app.connection !== "live") return;
    await this._loadClients();
    const workspaces = await api.get("workspaces").catch(() => this.app.workspaces);
    const elsewhere = new Map();
    for (const { id } of workspaces.filter((one) => one.id !== this.app.workspace.id)) {
      const pending = await api.get(`workspaces/${id}/permissions/pending`).catch(() => []);
      const sessions = await api.get(`workspaces/${id}/sessions`).catch(() => []);
      if (pending.length > 0) elsewhere.set(id, "needs you");
      else if (sessions.some((session) => session.is_busy)) elsewhere.set(id, "working");
    }
    this.set({ workspaces, elsewhere });
  }

  _draw() {
    for (const watcher of this._watchers) watcher();
  }
}

function isPrompt(event) {
  return event.type === "message" && event.payload.payload.role === "user";
}
