// What the page knows, as a pure fold over what the server says: `state = fold(state, event)`.
//
// A state is never changed in place; what did not change is the same object afterwards, so a view can tell by identity.
// Nothing here knows the browser: it is tested in Node.

import { conversation, withMessage, withoutMessage, withDelta, withLoaded, EMPTY_CONVERSATION } from "./conversation.js";

export const EMPTY = Object.freeze({
  sessions: new Map(), // every session by id, children too
  sessionsLoaded: false,
  conversations: new Map(), // by session id
  permissions: new Map(), // requests that wait, by id
  questions: new Map(), // batches that wait, by id
  working: new Set(), // sessions in which a run is under way
  ends: new Map(), // how the last run of a session ended: {outcome: "done" | "failed" | "canceled", error}
  settled: new Map(), // "granted" | "denied", by tool call id
  files: new Map(), // file versions by session id, by version id
  configChanges: 0,
  resets: 0,
});

const FOLDS = {
  session: onSession,
  message: onMessage,
  message_delta: onDelta,
  file: onFile,
  permission_request: (state, change, request) => put(state, "permissions", request.id, request),
  permission_notification: onPermissionNotification,
  question_batch_request: (state, change, batch) => put(state, "questions", batch.id, batch),
  question_batch_notification: (state, change, { batch_id }) => drop(state, "questions", batch_id),
  agent_event: onAgentEvent,
  run_complete: onRunComplete,
  config_changed: (state) => ({ ...state, configChanges: state.configChanges + 1 }),
  reset: (state) => opened({ ...state, resets: state.resets + 1, permissions: new Map(), questions: new Map() }, false),
};

// The state after one event of the stream: `{type, payload: {type, payload}}`. An event of a newer server is ignored.
export function fold(state, event) {
  const handler = Object.hasOwn(FOLDS, event.type) ? FOLDS[event.type] : null;
  return handler && event.payload ? handler(state, event.payload.type, event.payload.payload ?? {}) : state;
}

// The stream was opened. One that does not go on behind the last event begins with what waits for an answer now, and
// what we have of messages may be older than it.
export function opened(state, isResumed) {
  if (isResumed) return state;
  const conversations = new Map();
  for (const [id, one] of state.conversations) conversations.set(id, { ...one, fresh: new Set(), isLoaded: false });
  return { ...state, conversations, permissions: new Map(), questions: new Map() };
}

// The answer of `GET sessions`: it knows which are busy; what the stream has told meanwhile of others stays.
export function withSessions(state, list) {
  const sessions = new Map([...state.sessions].filter(([, session]) => session.parent_session_id));
  const working = new Set();
  for (const session of list) {
    sessions.set(session.id, session);
    if (session.is_busy) working.add(session.id);
  }
  return { ...state, sessions, working, sessionsLoaded: true };
}

// The answer of `GET sessions/{sid}/messages`.
export function withMessages(state, sessionId, list) {
  const merged = withLoaded(conversation(state, sessionId), list);
  return { ...state, conversations: new Map(state.conversations).set(sessionId, merged) };
}

// The answer of `GET sessions/{sid}/history`, whose keys are capitalised.
export function withFiles(state, sessionId, list) {
  const files = new Map(state.files.get(sessionId) ?? []);
  for (const file of list) {
    files.set(file.ID, { id: file.ID, path: file.Path, content: file.Content, version: file.Version, created_at: file.CreatedAt });
  }
  return { ...state, files: new Map(state.files).set(sessionId, files) };
}

// A request was answered here: it is not shown until the notification comes.
export const answered = (state, requestId) => drop(state, "permissions", requestId);
export const answeredBatch = (state, batchId) => drop(state, "questions", batchId);

// We have just prompted: it works before the stream says so.
export const prompted = (state, sessionId) => withWorking(state, sessionId, true);

function onSession(state, change, session) {
  if (change !== "deleted") {
    // events never say who is attached or busy: what a GET has told of that stays
    const known = state.sessions.get(session.id);
    const kept = known ? { attached_clients: known.attached_clients } : {};
    return put(state, "sessions", session.id, { ...session, ...kept });
  }
  const gone = (request) => request.session_id === session.id;
  let next = drop(state, "sessions", session.id);
  next = drop(drop(next, "conversations", session.id), "files", session.id);
  for (const request of [...next.permissions.values()].filter(gone)) next = drop(next, "permissions", request.id);
  for (const batch of [...next.questions.values()].filter(gone)) next = drop(next, "questions", batch.id);
  return withWorking(next, session.id, false);
}

function onMessage(state, change, message) {
  const before = conversation(state, message.session_id);
  const after = change === "deleted" ? withoutMessage(before, message.id) : withMessage(before, message);
  const next = { ...state, conversations: new Map(state.conversations).set(message.session_id, after) };
  const isOpen = message.role === "assistant" && change !== "deleted" && !isFinished(message);
  const isPrompt = message.role === "user" && change === "created" && message.parts.some((part) => part.type === "text");
  if (!isOpen && !isPrompt) return next;
  return drop(withWorking(next, message.session_id, true), "ends", message.session_id);
}

function onDelta(state, change, delta) {
  for (const [sessionId, before] of state.conversations) {
    if (delta.session_id ? sessionId !== delta.session_id : !before.at.has(delta.message_id)) continue;
    const after = withDelta(before, delta);
    return after === before ? state : { ...state, conversations: new Map(state.conversations).set(sessionId, after) };
  }
  return state;
}

function onFile(state, change, file) {
  const files = new Map(state.files.get(file.session_id) ?? []);
  if (change === "deleted") files.delete(file.id);
  else files.set(file.id, file);
  return { ...state, files: new Map(state.files).set(file.session_id, files) };
}

function onPermissionNotification(state, change, { tool_call_id, granted, denied }) {
  if (!granted && !denied) return state;
  let next = { ...state, settled: new Map(state.settled).set(tool_call_id, granted ? "granted" : "denied") };
  for (const request of state.permissions.values()) {
    if (request.tool_call_id === tool_call_id) next = drop(next, "permissions", request.id);
  }
  return next;
}

function onAgentEvent(state, change, event) {
  if (event.type !== "error") return state;
  return ended(state, event.session_id, { outcome: "failed", error: event.error ?? "" });
}

function onRunComplete(state, change, run) {
  const outcome = run.cancelled ? "canceled" : run.error ? "failed" : "done";
  return ended(state, run.session_id, { outcome, error: run.cancelled ? "" : run.error ?? "" });
}

function ended(state, sessionId, end) {
  return withWorking({ ...state, ends: new Map(state.ends).set(sessionId, end) }, sessionId, false);
}

function withWorking(state, sessionId, isWorking) {
  if (state.working.has(sessionId) === isWorking) return state;
  const working = new Set(state.working);
  if (isWorking) working.add(sessionId);
  else working.delete(sessionId);
  return { ...state, working };
}

function put(state, name, key, value) {
  return { ...state, [name]: new Map(state[name]).set(key, value) };
}

function drop(state, name, key) {
  if (!state[name].has(key)) return state;
  const left = new Map(state[name]);
  left.delete(key);
  return { ...state, [name]: left };
}

function isFinished(message) {
  return message.parts.some((part) => part.type === "finish");
}

export { EMPTY_CONVERSATION };
