// What a schema says, in few words. Pure: tested in Node.

// The name of the schema that is referred to, or "".
export const nameOf = (schema) => (schema?.$ref ?? "").split("/").pop();

// The schema itself, behind a reference.
export function resolved(document, node) {
  const at = node?.$ref;
  return at ? at.slice(2).split("/").reduce((found, key) => found?.[key], document) ?? {} : node ?? {};
}

// A type in a word or two: `string`, `list of SessionBody`, `integer or null`.
export function typeOf(schema) {
  if (schema?.$ref) return nameOf(schema);
  if (schema?.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema?.oneOf) return "one of these";
  if (schema?.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema && "const" in schema) return JSON.stringify(schema.const);
  if (schema?.type === "array") return `list of ${typeOf(schema.items)}`;
  if (schema?.type === "object" && schema.additionalProperties) return `map of ${typeOf(schema.additionalProperties)}`;
  if (schema?.contentEncoding) return schema.contentEncoding;
  return schema?.type ?? "any value";
}

// The schemas inside a type that have a name, or fields of their own: what one can open.
export function inside(schema) {
  if (!schema) return [];
  if (schema.$ref || schema.properties || schema.oneOf) return [schema];
  return [...(schema.anyOf ?? []), schema.items, schema.additionalProperties].filter((one) => typeof one === "object").flatMap(inside);
}

// The limits of a value: `1 to 100, 20 by default`.
export function limitsOf(schema) {
  const { minimum: least, maximum: most, maxLength: longest, default: usual } = schema ?? {};
  const said = [];
  if (least !== undefined && most !== undefined) said.push(`${least} to ${most}`);
  if (longest !== undefined) said.push(`at most ${longest} characters`);
  const isSaid = usual !== undefined && usual !== "" && usual !== false && usual !== null && !isEmpty(usual);
  if (isSaid) said.push(`${JSON.stringify(usual)} by default`);
  return said.join(", ");
}

const isEmpty = (value) => typeof value === "object" && value !== null && Object.keys(value).length === 0;

// A value that has the shape, for an example: fields that say nothing by default are left out but texts.
export function example(document, schema, depth = 0) {
  const known = resolved(document, schema);
  if (known.anyOf) return example(document, known.anyOf[0], depth);
  if (known.properties) {
    if (depth > 2) return {};
    const fields = Object.entries(known.properties).filter(([, field]) => field.type === "string" || !("default" in field));
    return Object.fromEntries(fields.map(([name, field]) => [name, example(document, field, depth + 1)]));
  }
  if (known.enum) return known.enum[0];
  if (known.type === "array") return [];
  return { string: "…", integer: 0, number: 0, boolean: false, object: {} }[known.type] ?? null;
}

// The command that asks a route, for a terminal.
export function curl(document, method, path, operation, base) {
  const query = (operation.parameters ?? []).filter((one) => one.in === "query" && one.required).map((one) => `${one.name}=…`);
  const variables = path.replace(/{(\w+)}/g, (_, name) => `$${name.toUpperCase()}`);
  const lines = [`curl ${method === "GET" ? "" : `-X ${method} `}"${base}${variables}${query.length ? `?${query.join("&")}` : ""}"`];
  lines.push('-H "Authorization: Bearer $TOKEN"');
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  if (body) lines.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(example(document, body)).replace(/'/g, "'\\''")}'`);
  return lines.join(" \\\n     ");
}
