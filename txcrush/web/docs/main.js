// The page over `/v1/openapi.json`: loads it, with a token where the server asks for one, and shows what it says.

import { familiesOf, fits, wordsOf } from "./catalogue.js";
import { el, inline, prose } from "./dom.js";
import { badge, folded, routeView, schemaBody } from "./views.js";

const DOCUMENT = new URL("../openapi.json", document.baseURI); // relative: it works behind a proxy below a path
const SESSION = new URL("../auth/session", document.baseURI);
const byId = (id) => document.getElementById(id);
const [nav, content, search, found, menu] = ["nav", "content", "search", "found", "menu"].map(byId);

async function start() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname); // it must not stay in the address, nor in the history
    await signIn(token);
  }
  const answer = await fetch(DOCUMENT, { credentials: "same-origin" });
  if (answer.status === 401) return askForToken("");
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  show(await answer.json());
}

// Trade the token for a cookie that no script can read, as the page at `/ui/` does.
async function signIn(token) {
  const headers = { Authorization: `Bearer ${token}` };
  return (await fetch(SESSION, { method: "POST", headers, credentials: "same-origin" })).ok;
}

function askForToken(complaint) {
  const input = el("input", { type: "password", name: "token", required: true, autocomplete: "current-password" });
  const form = el("form", { className: "login" },
    el("h1", {}, "This server asks for its token"),
    el("p", {}, "Paste it here. It stands in the address that the server printed."),
    el("label", {}, el("span", {}, "Token"), input),
    complaint ? el("p", { className: "complaint", role: "alert" }, complaint) : null,
    el("button", { type: "submit" }, "Continue"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await signIn(input.value.trim())) attempt();
    else askForToken("This is not the token of this server.");
  });
  content.replaceChildren(form);
  input.focus();
}

const attempt = () => start().catch((error) => content.replaceChildren(el("p", { className: "notice", role: "alert" }, `The description cannot be read: ${error.message}.`)));

const titled = (name) => name[0].toUpperCase() + name.slice(1);

let entries = []; // what can be found: {link, view, words}
let sections = []; // what holds them: {head, view, entries}

function show(doc) {
  byId("version").textContent = doc.info.version;
  const parts = [...familiesOf(doc).map((family) => familyPart(doc, family)), typesPart(doc)];
  sections = parts.map(({ section }) => section);
  entries = sections.flatMap((section) => section.entries);
  nav.replaceChildren(...parts.map((part) => part.links), el("p", { className: "keys" }, el("kbd", {}, "/"), " search ", el("kbd", {}, "↑"), el("kbd", {}, "↓"), " move ", el("kbd", {}, "Enter"), " open"));
  content.replaceChildren(intro(doc), ...parts.map((part) => part.view), el("p", { className: "notice", id: "nothing", hidden: true }, "Nothing fits."));
  openTarget();
}

function intro(doc) {
  const [first, ...rest] = doc.info.description.split("\n\n");
  return el("section", { className: "intro", id: "top" },
    el("h1", {}, "HTTP interface"), el("p", { className: "lead" }, inline(first)), prose(rest.join("\n\n")),
    el("p", {}, "The document itself: ", el("a", { href: DOCUMENT.href }, "openapi.json"), ", OpenAPI ", doc.openapi, "."),
    el("h2", {}, "Who may ask"),
    el("dl", { className: "fields" }, Object.values(doc.components.securitySchemes).flatMap((scheme) => [
      el("dt", {}, el("code", {}, scheme.scheme === "bearer" ? "Authorization: Bearer" : `Cookie: ${scheme.name}`)), el("dd", {}, inline(scheme.description))])),
    el("h2", { id: "errors" }, "Errors that any route may answer"),
    el("ul", { className: "answers" }, Object.entries(doc.components.responses).map(([status, response]) =>
      el("li", {}, el("span", { className: `status s${status[0]}` }, status), el("span", {}, inline(response.description))))));
}

function familyPart(doc, family) {
  const made = family.routes.map((route) => {
    const link = el("a", { href: `#${route.id}`, title: `${route.method} ${route.path}` }, badge(route.method), el("span", {}, route.operation.summary));
    return { link, view: routeView(doc, route), words: wordsOf(route) };
  });
  return part(titled(family.name), family.description, made);
}

function typesPart(doc) {
  const made = Object.entries(doc.components.schemas).map(([name, schema]) => ({
    link: el("a", { href: `#type-${name}` }, el("code", {}, name)),
    view: folded("type-view", el("code", {}, name), () => schemaBody(doc, schema), { id: `type-${name}` }),
    words: `${name} ${schema.description ?? ""} ${Object.keys(schema.properties ?? {}).join(" ")}`.toLowerCase(),
  }));
  return part("Types", "What bodies, answers and events are made of", made);
}

function part(title, description, made) {
  const list = el("ul", {}, made.map(({ link }) => el("li", {}, link)));
  const links = el("details", { className: "family", open: title !== "Types" }, el("summary", {}, title), list);
  const view = el("section", { className: "family-view" }, el("h2", {}, title), description ? el("p", { className: "about" }, inline(`${description}.`)) : null, made.map((one) => one.view));
  return { links, view, section: { head: links, view, entries: made, isOpen: links.open } };
}

function find() {
  const typed = search.value.trim();
  let count = 0;
  for (const section of sections) {
    let inSection = 0;
    for (const { link, view, words } of section.entries) {
      const isThere = fits(words, typed);
      link.parentElement.hidden = view.hidden = !isThere;
      inSection += isThere;
    }
    section.head.hidden = section.view.hidden = !inSection;
    section.head.open = typed ? true : section.isOpen;
    count += inSection;
  }
  content.querySelector(".intro")?.toggleAttribute("hidden", Boolean(typed));
  byId("nothing")?.toggleAttribute("hidden", count > 0);
  scrollTo(0, 0);
  found.textContent = typed ? `${count} found` : "";
}

function openTarget() {
  const id = decodeURIComponent(location.hash.slice(1));
  const target = id && byId(id);
  if (!target) return;
  if (target.hidden || target.closest("[hidden]")) {
    search.value = "";
    find();
  }
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
  for (const { link } of entries) {
    link.removeAttribute("aria-current");
    if (link.hash !== `#${id}`) continue;
    link.setAttribute("aria-current", "true");
    link.scrollIntoView({ block: "nearest" });
  }
}

const isShown = () => menu.getAttribute("aria-expanded") === "true";

function showNav(shows) {
  menu.setAttribute("aria-expanded", String(shows));
  nav.classList.toggle("shown", shows);
}

// From one link of the list to the next one that is there.
function move(step) {
  const links = [...nav.querySelectorAll("a")].filter((link) => link.offsetParent);
  const at = links.indexOf(document.activeElement);
  const next = links[at < 0 ? (step > 0 ? 0 : -1) : at + step];
  (next ?? (step < 0 ? search : null))?.focus();
}

function onKey(event) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const types = target.matches("input, textarea");
  if (key === "/" && !types) search.focus(), search.select();
  else if (key === "Escape" && isShown()) showNav(false), menu.focus();
  else if (key === "Escape" && target === search) search.value = "", find();
  else if ((key === "ArrowDown" || key === "ArrowUp") && (target === search || nav.contains(target))) {
    if (target === search) showNav(true);
    move(key === "ArrowDown" ? 1 : -1);
  } else if (key === "Enter" && target === search) nav.querySelector("li:not([hidden]) a")?.click();
  else return;
  event.preventDefault();
}

document.addEventListener("keydown", onKey);
search.addEventListener("input", find);
menu.addEventListener("click", () => showNav(!isShown()));
nav.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  showNav(false);
  if (link.hash === location.hash) openTarget();
});
addEventListener("hashchange", openTarget);
attempt();
