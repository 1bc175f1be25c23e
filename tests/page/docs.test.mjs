// What the page at /v1/docs/ makes of the description: pure, in Node, over the copy in the tree.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { answersOf, familiesOf, fits, routesOf, wordsOf } from "../../txcrush/web/docs/catalogue.js";
import { curl, example, inside, limitsOf, resolved, typeOf } from "../../txcrush/web/docs/schema.js";

const doc = JSON.parse(readFileSync(new URL("../../docs/openapi.json", import.meta.url)));
const route = (id) => routesOf(doc).find((one) => one.id === id);
const ref = (name) => ({ $ref: `#/components/schemas/${name}` });

test("every operation of the document is in one family", () => {
  const listed = familiesOf(doc).flatMap((family) => family.routes.map((one) => one.id));
  const known = Object.values(doc.paths).flatMap((methods) => Object.values(methods).map((one) => one.operationId));
  assert.deepEqual([...listed].sort(), [...known].sort());
});

test("a search looks for every word, in paths, summaries, parameters and types", () => {
  const words = wordsOf(route("prompts_submit"));
  for (const typed of ["", "agent", "PROMPT the", "idempotency-key", "submitprompt", "  post   agent "]) assert.ok(fits(words, typed), typed);
  for (const typed of ["agent nowhere", "skills"]) assert.ok(!fits(words, typed), typed);
});

test("a route's own errors stand apart from those of any route", () => {
  const { successes, own, usual } = answersOf(route("prompts_submit").operation);
  assert.deepEqual(successes.map((one) => one.status), ["200", "202"]);
  assert.ok(own.some(({ status, response }) => status === "409" && response.description.includes("session is busy")));
  assert.ok(usual.includes("401") && !usual.includes("409"));
});

test("a type is said in a few words", () => {
  assert.equal(typeOf(ref("SessionBody")), "SessionBody");
  assert.equal(typeOf({ type: "array", items: ref("SessionBody") }), "list of SessionBody");
  assert.equal(typeOf({ anyOf: [{ type: "integer" }, { type: "null" }] }), "integer or null");
  assert.equal(typeOf({ type: "object", additionalProperties: { type: "string" } }), "map of string");
  assert.equal(typeOf({ enum: ["a", "b"] }), '"a" | "b"');
  assert.equal(typeOf({ description: "Any value." }), "any value");
});

test("what is inside of a type can be opened, through lists and choices", () => {
  assert.deepEqual(inside({ anyOf: [{ type: "array", items: ref("Todo") }, { type: "null" }] }), [ref("Todo")]);
  assert.deepEqual(inside({ type: "array", items: { type: "string" } }), []);
  assert.equal(resolved(doc, ref("Todo")).title, "Todo");
});

test("limits are said where there are some", () => {
  assert.equal(limitsOf({ type: "integer", minimum: 1, maximum: 100, default: 20 }), "1 to 100, 20 by default");
  assert.equal(limitsOf({ type: "string", default: "" }), "");
  assert.equal(limitsOf({ type: "array", default: [] }), "");
});

test("an example and a command have the shape of the route", () => {
  assert.deepEqual(example(doc, ref("CurrentSession")), { session_id: "…" });
  const { method, path, operation } = route("workspaces_current_session");
  const command = curl(doc, method, path, operation, "http://localhost");
  assert.match(command, /^curl -X POST "http:\/\/localhost\/v1\/workspaces\/\$WORKSPACE_ID\/current-session\?client_id=…"/);
  assert.match(command, /-d '\{"session_id":"…"\}'$/);
});

test("every schema and every reference can be shown", () => {
  for (const match of JSON.stringify(doc).matchAll(/"\$ref":"([^"]+)"/g)) assert.ok(Object.keys(resolved(doc, { $ref: match[1] })).length, match[1]);
  for (const schema of Object.values(doc.components.schemas)) assert.ok(typeOf(schema));
});
