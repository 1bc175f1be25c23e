import { conversation } from "../state/conversation.js";
import { resultsOf } from "../state/derived.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./html.js";
import { AssistantMessage, UserMessage } from "./message.js";

const PAGE = 60; // messages that are drawn at first, and more with each step back

// The messages of a session, the newest at the bottom, where it stays while somebody reads there.
export function Conversation({ state, sessionId, root, isWorking, openChild, liveOutput }) {
  const { list, isLoaded } = conversation(state, sessionId);
  const shown = useMemo(() => list.filter((message) => message.role === "user" || message.role === "assistant"), [list]);
  const [drawn, setDrawn] = useState(PAGE);
  useEffect(() => setDrawn(PAGE), [sessionId]);
  const scroller = useRef(null);
  const follow = useFollowing(scroller, sessionId, list);
  const matched = useMatched(state, list);
  const first = Math.max(0, shown.length - drawn);
  const earlier = () => {
    follow.keep();
    setDrawn(drawn + PAGE);
  };
  return html`<div class="conversation">
    <div class="scroller" ref=${scroller} onScroll=${follow.scrolled} tabindex="-1">
      <div class="messages">
        ${first > 0 && html`<button type="button" class="quiet earlier" onClick=${earlier}>Show earlier messages (${first})</button>`}
        ${!isLoaded && html`<p class="hint centred">Loading…</p>`}
        ${isLoaded && shown.length === 0 && html`<div class="empty"><h2>Nothing here yet</h2><p>Write below what is to be done.</p></div>`}
        ${shown.slice(first).map((message, at) => message.role === "user"
          ? html`<${UserMessage} key=${message.id} message=${message} />`
          : html`<${AssistantMessage} key=${message.id} message=${message} root=${root} openChild=${openChild} liveOutput=${liveOutput}
              isLive=${isWorking && first + at === shown.length - 1} ...${matched(message)} />`)}
      </div>
    </div>
    ${!follow.isAtEnd && html`<button type="button" class="to-end" onClick=${follow.toEnd} aria-label="To the newest message">↓</button>`}
  </div>`;
}

// Gives, for a message, the results and outcomes of its own calls; the same objects as long as they are the same.
function useMatched(state, list) {
  const known = useRef(new Map());
  const results = useMemo(() => resultsOf(list), [list]);
  const waiting = useMemo(
    () => new Set([...state.permissions.values(), ...state.questions.values()].map((request) => request.tool_call_id)),
    [state.permissions, state.questions],
  );
  return (message) => {
    const calls = message.parts.filter((part) => part.type === "tool_call").map((part) => part.data.id);
    const own = { results: {}, outcomes: {} };
    for (const id of calls) {
      if (results.has(id)) own.results[id] = results.get(id);
      own.outcomes[id] = waiting.has(id) ? "waiting" : state.settled.get(id) ?? "";
    }
    const before = known.current.get(message.id);
    if (before && same(before.results, own.results) && same(before.outcomes, own.outcomes)) return before;
    known.current.set(message.id, own);
    return own;
  };
}

function same(a, b) {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

// Follows the end of a growing list, unless somebody has scrolled away from it.
function useFollowing(scroller, sessionId, list) {
  const [isAtEnd, setAtEnd] = useState(true);
  const kept = useRef(null);
  const toEnd = () => {
    const at = scroller.current;
    if (at) at.scrollTop = at.scrollHeight;
    setAtEnd(true);
  };
  useLayoutEffect(toEnd, [sessionId]);
  useLayoutEffect(() => {
    const at = scroller.current;
    if (at && kept.current !== null) {
      at.scrollTop = at.scrollHeight - kept.current;
      kept.current = null;
    } else if (at && isAtEnd) {
      at.scrollTop = at.scrollHeight;
    }
  });
  useEffect(() => {
    const inner = scroller.current?.firstElementChild;
    if (!inner || !isAtEnd) return undefined;
    const watcher = new ResizeObserver(() => scroller.current && (scroller.current.scrollTop = scroller.current.scrollHeight));
    watcher.observe(inner);
    return () => watcher.disconnect();
  }, [isAtEnd, list.length === 0]);
  return {
    isAtEnd,
    toEnd,
    keep: () => (kept.current = scroller.current.scrollHeight - scroller.current.scrollTop),
    scrolled: () => {
      const at = scroller.current;
      setAtEnd(at.scrollHeight - at.scrollTop - at.clientHeight < 40);
    },
  };
}
