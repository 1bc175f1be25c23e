// Elements and prose. Text only ever becomes text nodes: nothing here can make markup of what it is given.

// An element. Properties of its own are set as such, others as attributes; null children are left out.
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

// Text with `code` in it, as nodes for a line.
export function inline(text) {
  return text.split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
}

// Paragraphs.
export function prose(text) {
  return (text ?? "").split(/\n\s*\n/).filter(Boolean).map((paragraph) => el("p", {}, inline(paragraph.replace(/\s+/g, " "))));
}

// A path that breaks behind its slashes, its parameters marked.
export function path(text) {
  const segments = text.split("/").filter(Boolean);
  return el("code", { className: "path" }, segments.flatMap((segment) => [
    "/", el("wbr"), segment.startsWith("{") ? el("var", {}, segment) : segment,
  ]));
}
