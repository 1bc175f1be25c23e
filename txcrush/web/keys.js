// The keyboard map; `views/dialogs.js` shows it on "?".

export function listenToKeys(page) {
  addEventListener("keydown", (event) => {
    const { actions, app } = page;
    if (event.key === "." && (event.ctrlKey || event.metaKey)) return taken(event, actions.cancel);
    if (event.key === "Escape") return leave(event, page);
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || app.modal) return undefined;
    const action = MAP(page)[event.key];
    return action ? taken(event, action) : undefined;
  });
}

function MAP({ actions }) {
  return {
    "?": actions.showKeys,
    "/": () => document.getElementById("search")?.focus(),
    n: actions.newSession,
    j: () => actions.step(1),
    k: () => actions.step(-1),
    i: () => document.getElementById("prompt")?.focus(),
    f: () => actions.showPanel("files"),
    t: () => actions.showPanel("details"),
    a: () => press("a"),
    s: () => press("s"),
    d: () => press("d"),
    End: () => document.querySelector(".to-end")?.click(),
  };
}

function press(key) {
  document.querySelector(`.permission [data-key="${key}"]`)?.click();
}

function leave(event, { actions, app }) {
  if (app.modal) return; // the dialog closes itself
  if (isTyping(event.target)) event.target.blur();
  else if (app.isSidebarOpen) actions.toggleSidebar();
  else if (app.panel) actions.showPanel("");
}

function taken(event, action) {
  event.preventDefault();
  action();
}

function isTyping(target) {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}
