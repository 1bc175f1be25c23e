// The server's routes as functions. URLs are relative to the page, so that it works behind a proxy below a path.

const BASE = new URL("../v1/", document.baseURI);
const CLIENT_KEY = "txcrush-client";

// An answer that was not a success; `status` 0 where there was none.
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// This browser as a client: all its tabs are one.
export const clientId = localStorage.getItem(CLIENT_KEY) ?? newClientId();

function newClientId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  localStorage.setItem(CLIENT_KEY, id);
  return id;
}

export function urlOf(path, query = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url;
}

// Ask, and give the decoded answer (null where it has no body) with its headers.
export async function ask(method, path, { body, query, headers = {} } = {}) {
  const options = { method, credentials: "same-origin", cache: "no-store", headers: { ...headers } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(urlOf(path, query), options);
  } catch {
    throw new ApiError(0, "the server is out of reach");
  }
  const text = await response.text();
  if (!response.ok) throw new ApiError(response.status, messageOf(text) || `the server answered ${response.status}`);
  return { data: text === "" ? null : JSON.parse(text), headers: response.headers, status: response.status };
}

export const get = async (path, query) => (await ask("GET", path, { query })).data;
export const post = async (path, body, query) => (await ask("POST", path, { body, query })).data;
export const put = async (path, body) => (await ask("PUT", path, { body })).data;
export const remove = async (path, query) => (await ask("DELETE", path, { query })).data;

// Exchange the token of the page's address for a cookie that no script can read.
export async function login(token) {
  await ask("POST", "auth/session", { headers: { Authorization: `Bearer ${token}` } });
}

// Open a workspace's stream behind `lastId`; see `net/stream.js`.
export function openStream(workspaceId, lastId, signal) {
  const query = { client_id: clientId, deltas: "1" };
  if (lastId) query.last_event_id = lastId;
  const url = urlOf(`workspaces/${workspaceId}/events`, query);
  return fetch(url, { signal, credentials: "same-origin", cache: "no-store" });
}

function messageOf(text) {
  try {
    return String(JSON.parse(text).message ?? "");
  } catch {
    return "";
  }
}
