// The routes and types of a document as lists, and the search in them. Pure: tested in Node.

// Routes in the order of their families: `{id, method, path, operation, tag}`.
export function routesOf(document) {
  const order = new Map(document.tags.map((tag, index) => [tag.name, index]));
  const routes = [];
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      routes.push({ id: operation.operationId, method: method.toUpperCase(), path, operation, tag: operation.tags[0] });
    }
  }
  return routes.sort((one, other) => order.get(one.tag) - order.get(other.tag)); // stable: within a family as they stand
}

// Families that have routes: `{name, description, routes}`.
export function familiesOf(document) {
  const routes = routesOf(document);
  return document.tags
    .map((tag) => ({ ...tag, routes: routes.filter((route) => route.tag === tag.name) }))
    .filter((family) => family.routes.length > 0);
}

// What is searched of a route: its words, parameters and the names of its types.
export function wordsOf(route) {
  const { summary, description = "", parameters = [], requestBody, responses } = route.operation;
  const names = JSON.stringify([requestBody ?? "", responses]).match(/schemas\/\w+/g) ?? [];
  return [route.method, route.path, summary, description, route.tag, ...parameters.map((one) => one.name), ...names.map((name) => name.slice(8))]
    .join(" ").toLowerCase();
}

// Whether every word that was typed is somewhere in the text.
export const fits = (text, typed) => typed.toLowerCase().split(/\s+/).filter(Boolean).every((word) => text.includes(word));

// The answers of a route: its successes, the errors that are its own, and the statuses that any route may answer.
export function answersOf(operation) {
  const successes = [], own = [], usual = [];
  for (const [status, response] of Object.entries(operation.responses)) {
    if (status < "400") successes.push({ status, response });
    else if (response.$ref) usual.push(status);
    else own.push({ status, response });
  }
  return { successes, own, usual };
}
