import { html, useEffect, useRef } from "./html.js";

// A modal dialog of the browser's own: focus stays in it, Escape closes it.
export function Dialog({ title, close, children }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  return html`<dialog ref=${dialog} onClose=${close} aria-label=${title}
      onClick=${(event) => event.target === dialog.current && dialog.current.close()}>
    <header><h2>${title}</h2><button type="button" class="quiet" aria-label="Close" onClick=${() => dialog.current.close()}>×</button></header>
    ${children}
  </dialog>`;
}

export const KEYS = [
  ["?", "this list"],
  ["/", "search sessions"],
  ["n", "new session"],
  ["j k", "next, previous session"],
  ["i", "to the prompt"],
  ["Ctrl .", "stop what runs here"],
  ["a s d", "allow once, allow for this session, deny"],
  ["f", "files changed"],
  ["t", "details"],
  ["End", "to the newest message"],
  ["Esc", "leave the box, close what is open"],
];

export function KeysDialog({ close }) {
  return html`<${Dialog} title="Keys" close=${close}><dl class="keys">${KEYS.map(([keys, words]) => html`<div key=${keys}>
    <dt>${keys.split(" ").map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${words}</dd></div>`)}</dl></${Dialog}>`;
}

export function FolderDialog({ close, open }) {
  const field = useRef(null);
  const submit = (event) => {
    event.preventDefault();
    const path = field.current.value.trim();
    if (path) open(path);
  };
  return html`<${Dialog} title="Open a folder" close=${close}><form onSubmit=${submit}>
    <label class="field"><span>Its path on the machine of the server</span>
      <input type="text" ref=${field} required placeholder="/home/me/project" autocomplete="off" spellcheck="false" /></label>
    <div class="buttons"><button type="submit" class="primary">Open</button></div></form></${Dialog}>`;
}

export function ConfirmDialog({ title, text, word, close, confirm }) {
  return html`<${Dialog} title=${title} close=${close}><p>${text}</p><div class="buttons">
    <button type="button" class="danger" onClick=${() => (confirm(), close())}>${word}</button>
    <button type="button" onClick=${close}>Keep it</button></div></${Dialog}>`;
}
