// The messages of one session, in order. `fresh` names those whose state came by the stream since it was opened: they
// are newer than any GET, and only they may grow by deltas.

export const EMPTY_CONVERSATION = Object.freeze({ list: [], at: new Map(), fresh: new Set(), isLoaded: false });

export function conversation(state, sessionId) {
  return state.conversations.get(sessionId) ?? EMPTY_CONVERSATION;
}

export function withMessage(before, message) {
  const list = before.list.slice();
  const fresh = before.fresh.has(message.id) ? before.fresh : new Set(before.fresh).add(message.id);
  const at = before.at.get(message.id);
  if (at !== undefined) {
    list[at] = message;
    return { ...before, list, fresh };
  }
  list.push(message);
  return { ...before, list, fresh, at: new Map(before.at).set(message.id, list.length - 1) };
}

export function withoutMessage(before, messageId) {
  if (!before.at.has(messageId)) return before;
  return indexed(before, before.list.filter((message) => message.id !== messageId), before.fresh);
}

// What a GET says, in its order; behind it what the stream has told of later ones.
export function withLoaded(before, loaded) {
  const ids = new Set(loaded.map((message) => message.id));
  const newest = (message) => (before.fresh.has(message.id) ? before.list[before.at.get(message.id)] : message);
  const later = before.list.filter((message) => before.fresh.has(message.id) && !ids.has(message.id));
  return { ...indexed(before, [...loaded.map(newest), ...later], before.fresh), isLoaded: true };
}

// Text that was added to a part: `{message_id, part, text}`.
export function withDelta(before, { message_id, part: index, text }) {
  const at = before.at.get(message_id);
  if (at === undefined || !before.fresh.has(message_id)) return before;
  const message = before.list[at];
  const part = message.parts[index];
  const field = part?.type === "reasoning" ? "thinking" : "text";
  if (!part || typeof part.data[field] !== "string") return before;
  const parts = message.parts.slice();
  parts[index] = { ...part, data: { ...part.data, [field]: part.data[field] + text } };
  const list = before.list.slice();
  list[at] = { ...message, parts };
  return { ...before, list };
}

function indexed(before, list, fresh) {
  return { ...before, list, fresh, at: new Map(list.map((message, at) => [message.id, at])) };
}
