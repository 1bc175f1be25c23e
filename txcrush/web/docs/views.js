// Routes and types as elements. What is folded is made when it is first opened.

import { answersOf } from "./catalogue.js";
import { el, inline, path, prose } from "./dom.js";
import { curl, inside, limitsOf, nameOf, resolved, typeOf } from "./schema.js";

const BASE = new URL("../..", document.baseURI).href.replace(/\/$/, "");
const DEEPEST = 6; // types that hold themselves end here

export const badge = (method) => el("span", { className: `method ${method.toLowerCase()}` }, method);

// Something folded, whose body is made when it is opened.
export function folded(className, head, body, { id = null, open = false } = {}) {
  const made = el("details", { className, id, open }, el("summary", {}, head));
  made.addEventListener("toggle", () => {
    if (made.open && made.childElementCount === 1) made.append(el("div", { className: "inside" }, body()));
  });
  return made;
}

export function routeView(doc, route) {
  const { operation } = route;
  const head = [
    badge(route.method),
    el("span", { className: "names" }, el("span", { className: "summary" }, operation.summary), path(route.path)),
  ];
  return folded("route", head, () => routeBody(doc, route), { id: route.id });
}

function routeBody(doc, { method, path: at, operation }) {
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const { successes, own, usual } = answersOf(operation);
  const parameters = operation.parameters ?? [];
  return [
    ...prose(operation.description),
    ...["path", "query", "header"].map((where) => parameterBlock(where, parameters.filter((one) => one.in === where))),
    body ? block(operation.requestBody.required ? "Body" : "Body, if any", typeView(doc, body, { open: true })) : null,
    block("Answers", el("ul", { className: "answers" }, successes.map(({ status, response }) => answerView(doc, status, response)))),
    block("Errors", el("ul", { className: "answers" },
      own.map(({ status, response }) => el("li", {}, statusView(status), el("span", {}, inline(response.description)))),
      usual.length ? el("li", { className: "usual" }, el("span", {}, "As any route: ", el("a", { href: "#errors" }, usual.join(", ")))) : null)),
    block("In a terminal", commandView(curl(doc, method, at, operation, BASE))),
  ];
}

const block = (title, ...content) => el("section", { className: "block" }, el("h4", {}, title), ...content);

const TITLES = { path: "In the path", query: "In the query", header: "Header fields" };

function parameterBlock(where, parameters) {
  if (!parameters.length) return null;
  return block(TITLES[where], el("dl", { className: "fields" }, parameters.flatMap((one) =>
    fieldView(one.name, one.schema, one.required && where !== "path", one.description))));
}

function fieldView(name, schema, isRequired, description, more) {
  const limits = limitsOf(schema);
  return [
    el("dt", {}, el("code", {}, name), isRequired ? el("span", { className: "required" }, "required") : null),
    el("dd", {}, el("span", { className: "type" }, typeOf(schema)), limits ? el("span", { className: "limits" }, limits) : null,
      description ? el("span", { className: "what" }, inline(description)) : null, more ?? null),
  ];
}

// A type: its name, and its fields to open.
export function typeView(doc, schema, { open = false } = {}) {
  const openable = inside(schema);
  const name = el("span", { className: "type" }, typeOf(schema));
  if (!openable.length) return name;
  if (openable.length > 1) return el("div", {}, name, openable.map((one) => typeView(doc, one)));
  return folded("schema", name, () => schemaBody(doc, resolved(doc, openable[0])), { open });
}

export function schemaBody(doc, schema, depth = 0) {
  const said = schema.description ? prose(schema.description) : [];
  if (schema.oneOf) return [...said, el("div", { className: "kinds" }, schema.oneOf.map((one) => kindView(doc, one, depth + 1)))];
  if (schema.enum) return [...said, el("p", { className: "type" }, typeOf(schema))];
  const fields = Object.entries(schema.properties ?? {});
  if (!fields.length) return [...said, el("p", { className: "limits" }, "No fields.")];
  const required = new Set(schema.required ?? []);
  return [...said, el("dl", { className: "fields" }, fields.flatMap(([name, field]) => {
    const openable = depth < DEEPEST ? inside(field) : [];
    const more = openable.map((one) => folded("schema", `fields of ${nameOf(one) || name}`, () => schemaBody(doc, resolved(doc, one), depth + 1)));
    return fieldView(name, field, required.has(name), field.description, more);
  }))];
}

// One of several shapes: known by the value of its `type`.
function kindView(doc, schema, depth) {
  const { type, data, payload } = schema.properties ?? {};
  const inner = data ?? payload?.properties?.payload ?? schema;
  const name = type?.const ?? schema.title ?? typeOf(schema);
  return folded("schema", [el("code", {}, name), el("span", { className: "type" }, typeOf(inner))], () => schemaBody(doc, resolved(doc, inner), depth));
}

const statusView = (status) => el("span", { className: `status s${status[0]}` }, status);

function answerView(doc, status, response) {
  const [[media, content] = ["", null]] = Object.entries(response.content ?? {});
  const schema = content?.["x-events"] ?? content?.schema;
  const labels = Object.entries(response.headers ?? {});
  return el("li", {}, statusView(status), el("div", {},
    el("span", {}, inline(response.description), content ? "" : " No body."),
    media && media !== "application/json" ? el("code", { className: "media" }, media) : null,
    schema ? typeView(doc, schema) : null,
    labels.length ? el("dl", { className: "fields" }, labels.flatMap(([name, header]) => fieldView(name, header.schema, false, header.description))) : null));
}

export function commandView(command) {
  const button = el("button", { type: "button", className: "copy" }, "Copy");
  const text = el("pre", { tabIndex: 0 }, el("code", {}, command));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = "Copied";
    } catch { // no clipboard without TLS: it is marked, to be copied by hand
      getSelection().selectAllChildren(text);
      button.textContent = "Marked";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return el("div", { className: "command" }, text, button);
}
