import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";

const LARGEST = 5 * 1024 * 1024;
const BUSY = [
  ["steer", "Into what it does now"],
  ["queue", "After what it does now"],
  ["interrupt", "Stop that, do this"],
];

// Where prompts are written: several lines, files, names of files after an @, and what stands in line. One for each
// session: drawn with the session's id as its key.
export function Composer({ sessionId, isWorking, queue, actions, history, isOffline }) {
  const [text, setText] = useState(() => drafts.get(sessionId) ?? "");
  const [files, setFiles] = useState([]);
  const [busy, setBusy] = useState("steer");
  const [isOver, setOver] = useState(false);
  const [recalled, setRecalled] = useState(-1);
  const box = useRef(null);
  const picker = useRef(null);
  const completion = useCompletion(actions, text, box, setText);
  useLayoutEffect(() => void (actions.takesFocus(sessionId) && box.current.focus()), []);
  useEffect(() => void drafts.set(sessionId, text), [text]);
  useLayoutEffect(() => fit(box.current), [text]);

  const send = async () => {
    if (text.trim() === "" && files.length === 0) return;
    const [sent, attached] = [text, files];
    setText("");
    setFiles([]);
    setRecalled(-1);
    if (!(await actions.prompt(sent, attached, isWorking ? busy : ""))) {
      setText(sent);
      setFiles(attached);
    }
  };
  const add = async (list) => {
    const added = await Promise.all([...list].map((file) => attachment(file, actions.notify)));
    setFiles((known) => [...known, ...added.filter(Boolean)]);
  };
  const recall = (step) => {
    const next = Math.min(history.length - 1, Math.max(-1, recalled + step));
    setRecalled(next);
    setText(next < 0 ? "" : history[next]);
  };
  const keyed = (event) => {
    if (completion.keyed(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !matchMedia("(pointer: coarse)").matches) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && (text === "" || recalled >= 0)) {
      event.preventDefault();
      recall(1);
    } else if (event.key === "ArrowDown" && recalled >= 0) {
      event.preventDefault();
      recall(-1);
    }
  };
  const dropped = (event) => {
    event.preventDefault();
    setOver(false);
    add(event.dataTransfer.files);
  };
  return html`<form class="composer ${isOver ? "over" : ""}" onSubmit=${(event) => (event.preventDefault(), send())}
      onDragOver=${(event) => (event.preventDefault(), setOver(true))} onDragLeave=${() => setOver(false)} onDrop=${dropped}>
    <${Queue} queue=${queue} actions=${actions} edit=${(prompt) => setText(prompt)} />
    ${files.length > 0 && html`<div class="attachments">${files.map((file, at) => html`<span class="chip" key=${at}>${file.file_name}
      <button type="button" class="quiet" aria-label="Leave out ${file.file_name}"
        onClick=${() => setFiles(files.filter((_, other) => other !== at))}>×</button></span>`)}</div>`}
    <div class="box">
      <label class="visually-hidden" for="prompt">Prompt</label>
      <textarea id="prompt" ref=${box} rows="1" value=${text} placeholder=${isOffline ? "The server is out of reach" : "What is to be done? @ names a file"}
        onInput=${(event) => setText(event.currentTarget.value)} onKeyDown=${keyed} aria-autocomplete="list"
        aria-controls="completions" onPaste=${(event) => event.clipboardData.files.length > 0 && (event.preventDefault(), add(event.clipboardData.files))}></textarea>
      <${Completions} completion=${completion} />
    </div>
    <div class="row">
      <input type="file" multiple hidden ref=${picker} onChange=${(event) => (add(event.currentTarget.files), (event.currentTarget.value = ""))} />
      <button type="button" class="quiet" onClick=${() => picker.current.click()} aria-label="Attach files">+ File</button>
      ${isWorking && html`<label class="busy"><span class="visually-hidden">When it is at work</span>
        <select value=${busy} onChange=${(event) => setBusy(event.currentTarget.value)}>
          ${BUSY.map(([value, words]) => html`<option value=${value}>${words}</option>`)}</select></label>`}
      <span class="gap"></span>
      ${isWorking && html`<button type="button" class="danger stop" onClick=${actions.cancel} title="Ctrl+.">Stop</button>`}
      <button type="submit" class="primary" disabled=${text.trim() === "" && files.length === 0}>Send</button>
    </div>
  </form>`;
}

const drafts = new Map(); // what was written in each session and not sent

function fit(box) {
  if (!box) return;
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, innerHeight * 0.4)}px`;
}

// Prompts that stand in line: each can be taken back into the box, or out of the line.
function Queue({ queue, actions, edit }) {
  if (queue.length === 0) return null;
  const takeBack = async (entry) => {
    if (await actions.unqueue(entry)) edit(entry.prompt);
  };
  return html`<ol class="queue" aria-label="Prompts in line">${queue.map((entry, at) => html`<li key=${entry.id ?? at}>
    <span class="prompt">${entry.prompt}</span>
    ${entry.id && html`<button type="button" class="quiet" onClick=${() => takeBack(entry)}>Edit</button>
      <button type="button" class="quiet" aria-label="Remove from the line" onClick=${() => actions.unqueue(entry)}>Remove</button>`}
  </li>`)}
  <li><button type="button" class="quiet" onClick=${actions.clearQueue}>Clear the line</button></li></ol>`;
}

async function attachment(file, notify) {
  if (file.size > LARGEST) {
    notify(`${file.name} is larger than 5 MB and was left out`);
    return null;
  }
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  const name = file.name || "pasted";
  return { file_path: name, file_name: name, mime_type: file.type || "text/plain", content: btoa(binary) };
}

// Names of files of the workspace after an @.
function useCompletion(actions, text, box, setText) {
  const [names, setNames] = useState([]);
  const [at, setAt] = useState(0);
  const wanted = wantedName(text, box.current?.selectionEnd ?? text.length);
  useEffect(() => {
    if (wanted === null) return void setNames([]);
    let isHere = true;
    const timer = setTimeout(async () => {
      const found = await actions.fileNames(wanted);
      if (isHere) {
        setNames(found);
        setAt(0);
      }
    }, 80);
    return () => {
      isHere = false;
      clearTimeout(timer);
    };
  }, [wanted]);
  const take = (name) => {
    const end = box.current.selectionEnd;
    const start = end - wanted.length;
    setText(`${text.slice(0, start)}${name} ${text.slice(end)}`);
    setNames([]);
    box.current.focus();
  };
  const keyed = (event) => {
    if (names.length === 0) return false;
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) setAt((at + moves[event.key] + names.length) % names.length);
    else if (event.key === "Enter" || event.key === "Tab") take(names[at]);
    else if (event.key === "Escape") setNames([]);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };
  return { names, at, take, keyed };
}

function wantedName(text, end) {
  const found = /(?:^|\s)@([^\s@]*)$/.exec(text.slice(0, end));
  return found ? found[1] : null;
}

function Completions({ completion: { names, at, take } }) {
  return html`<ul id="completions" class="completions" role="listbox" aria-label="Files" hidden=${names.length === 0}>
    ${names.map((name, row) => html`<li key=${name} role="option" aria-selected=${String(row === at)}
      onMouseDown=${(event) => (event.preventDefault(), take(name))}>${name}</li>`)}</ul>`;
}

