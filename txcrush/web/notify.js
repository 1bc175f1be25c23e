// What is said outside the page: the number in its title, and the browser's notifications while nobody looks at it.

import { rootOf } from "./state/derived.js";

const supported = "Notification" in globalThis;

export const notifier = {
  get canAsk() {
    return supported && Notification.permission === "default";
  },

  async ask() {
    return supported && (await Notification.requestPermission()) === "granted";
  },

  // How many wait for somebody.
  badge(number) {
    document.title = number > 0 ? `(${number}) txcrush` : "txcrush";
    navigator.setAppBadge?.(number).catch(() => null); // where there is no badge there is the title
  },

  heard(events, state) {
    if (!supported || Notification.permission !== "granted" || !document.hidden) return;
    for (const { type, payload } of events) {
      const words = wordsFor(type, payload.payload);
      if (words) show(words, payload.payload, state);
    }
  },
};

function wordsFor(type, payload) {
  if (type === "permission_request") return `${payload.tool_name} asks: ${payload.description}`;
  if (type === "question_batch_request") return payload.questions?.[0]?.question ?? "A question";
  if (type === "run_complete" && !payload.cancelled) return payload.error ? `Failed: ${payload.error}` : "Done";
  return "";
}

function show(words, payload, state) {
  const sessionId = rootOf(state, payload.session_id);
  const title = state.sessions.get(sessionId)?.title || "txcrush";
  const shown = new Notification(title, { body: words.slice(0, 200), tag: payload.id ?? payload.run_id ?? sessionId });
  shown.onclick = () => {
    focus();
    location.hash = location.hash.replace(/^(#\/[^/]*).*/, `$1/${encodeURIComponent(sessionId)}`);
    shown.close();
  };
}
