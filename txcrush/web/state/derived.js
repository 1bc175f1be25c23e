// What the views ask of a state: plain functions, no browser.

// The session at the top of a sub-agent's session.
export function rootOf(state, sessionId) {
  let at = sessionId;
  for (let depth = 0; depth < 16; depth++) {
    const parent = state.sessions.get(at)?.parent_session_id;
    if (!parent) return at;
    at = parent;
  }
  return at;
}

// "needs-you", "working", "failed", "canceled", "done" or "idle"; what needs somebody comes first.
export function sessionState(state, sessionId) {
  const isHere = (request) => rootOf(state, request.session_id) === sessionId;
  if ([...state.permissions.values()].some(isHere) || [...state.questions.values()].some(isHere)) return "needs-you";
  if (state.working.has(sessionId)) return "working";
  return state.ends.get(sessionId)?.outcome ?? "idle";
}

export const STATE_WORDS = {
  "needs-you": "needs you", working: "working", failed: "failed", canceled: "stopped", done: "done", idle: "",
};

const WEIGHT = { "needs-you": 0, working: 1 };

// Top-level sessions for the list: what needs you, then what works, then the newest; `wanted` is a search text.
export function sessionList(state, wanted = "") {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  return [...state.sessions.values()]
    .filter((session) => !session.parent_session_id)
    .filter((session) => words.every((word) => session.title.toLowerCase().includes(word)))
    .map((session) => ({ session, state: sessionState(state, session.id) }))
    .sort((a, b) => (WEIGHT[a.state] ?? 2) - (WEIGHT[b.state] ?? 2) || b.session.updated_at - a.session.updated_at);
}

// How many requests and questions wait for somebody.
export function waiting(state) {
  return state.permissions.size + state.questions.size;
}

// What is asked in a session or in its sub-agents, oldest first.
export function asked(state, sessionId) {
  const isHere = (request) => rootOf(state, request.session_id) === sessionId;
  return {
    permissions: [...state.permissions.values()].filter(isHere),
    questions: [...state.questions.values()].filter(isHere),
  };
}

// The results of tool calls, by call id.
export function resultsOf(list) {
  const results = new Map();
  for (const message of list) {
    if (message.role !== "tool") continue;
    for (const part of message.parts) {
      if (part.type === "tool_result") results.set(part.data.tool_call_id, part.data);
    }
  }
  return results;
}

export function textOf(message) {
  return message.parts.filter((part) => part.type === "text").map((part) => part.data.text).join("\n\n");
}

export function finishOf(message) {
  return message.parts.find((part) => part.type === "finish")?.data ?? null;
}

export function isOpen(message) {
  return message.role === "assistant" && finishOf(message) === null;
}

// The files that a session has changed: `{path, before, after}`, by path. The first version is what it was like.
export function changedFiles(versions) {
  const files = new Map();
  for (const version of [...versions].sort((a, b) => a.version - b.version || a.created_at - b.created_at)) {
    const known = files.get(version.path);
    if (known) known.after = version.content;
    else files.set(version.path, { path: version.path, before: version.content, after: version.content });
  }
  return [...files.values()].filter((file) => file.before !== file.after).sort((a, b) => (a.path < b.path ? -1 : 1));
}

// The share of the model's window that the last step filled, 0 to 1, or null where that is not known.
export function contextShare(session, model) {
  const window = model?.context_window ?? 0;
  const used = (session?.prompt_tokens ?? 0) + (session?.completion_tokens ?? 0);
  return window > 0 && used > 0 ? Math.min(1, used / window) : null;
}

// A path below the workspace as people read it.
export function shortPath(path, root) {
  return root && path.startsWith(`${root.replace(/\/$/, "")}/`) ? path.slice(root.replace(/\/$/, "").length + 1) : path;
}
