import { highlighted, languageOf, load } from "../text/highlight.js";
import { pieces } from "../text/ansi.js";
import { html, useEffect, useMemo, useState } from "./html.js";

// Code with its language and a button that copies it.
export function CodeBlock({ code, language = "" }) {
  return html`<figure class="code-block">
    <figcaption><span>${language}</span><${CopyButton} text=${code} /></figcaption>
    <${Code} code=${code} language=${languageOf(language)} />
  </figure>`;
}

export function Code({ code, language }) {
  const [isLoaded, setLoaded] = useState(false);
  useEffect(() => {
    let isHere = true;
    load(language).then((known) => isHere && setLoaded(known), () => isHere && setLoaded(false));
    return () => (isHere = false);
  }, [language]);
  const coloured = useMemo(() => (isLoaded ? highlighted(code, language) : null), [code, language, isLoaded]);
  return html`<pre class="code" tabindex="0"><code class="hljs" ...${
    coloured === null ? {} : { dangerouslySetInnerHTML: { __html: coloured } }
  }>${coloured === null ? code : null}</code></pre>`;
}

// What a command wrote.
export function TerminalOutput({ text }) {
  const parts = useMemo(() => pieces(text), [text]);
  return html`<pre class="terminal" tabindex="0">${parts.map((part) =>
    part.classes ? html`<span class=${part.classes}>${part.text}</span>` : part.text,
  )}</pre>`;
}

export function CopyButton({ text, label = "Copy" }) {
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    if (!isDone) return undefined;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [isDone]);
  const copy = () => navigator.clipboard?.writeText(text).then(() => setDone(true), () => setDone(false));
  if (!navigator.clipboard) return null;
  return html`<button type="button" class="quiet copy" onClick=${copy}>${isDone ? "Copied" : label}</button>`;
}
