// Code in colours. A language is loaded when it is first met; until then, and where it is unknown, code is plain.

import hljs from "../vendor/cdn-assets-11.12.0/es/core.min.js";
import { purified } from "./safe_html.js";

const LONGEST = 60_000;
const LANGUAGES = new Set(
  ("bash c cpp css diff dockerfile go ini java javascript json kotlin lua makefile markdown php python ruby rust shell " +
    "sql swift typescript xml yaml").split(" "),
);
const ALIASES = {
  sh: "bash", zsh: "bash", console: "shell", h: "c", cc: "cpp", hpp: "cpp", cxx: "cpp", golang: "go", toml: "ini", cfg: "ini",
  js: "javascript", jsx: "javascript", mjs: "javascript", cjs: "javascript", ts: "typescript", tsx: "typescript", kt: "kotlin",
  mk: "makefile", md: "markdown", py: "python", pyi: "python", rb: "ruby", rs: "rust", html: "xml", svg: "xml", htm: "xml",
  yml: "yaml", patch: "diff", jsonc: "json",
};

const loading = new Map();

// The name of a language by its name or a file's ending; empty where it is not known.
export function languageOf(name) {
  const word = name.toLowerCase();
  const known = Object.hasOwn(ALIASES, word) ? ALIASES[word] : word;
  return LANGUAGES.has(known) ? known : "";
}

export function languageOfPath(path) {
  const file = path.slice(path.lastIndexOf("/") + 1);
  return languageOf(file.includes(".") ? file.slice(file.lastIndexOf(".") + 1) : file);
}

// Trusted HTML of the code, or null where it is to be shown plain.
export function highlighted(code, language) {
  if (code.length > LONGEST || !hljs.getLanguage(language)) return null;
  return purified(hljs.highlight(code, { language, ignoreIllegals: true }).value);
}

// Resolves to whether `highlighted` knows the language now.
export async function load(language) {
  if (!language) return false;
  if (!loading.has(language)) {
    loading.set(language, import(`../vendor/cdn-assets-11.12.0/es/languages/${language}.min.js`).then(
      (module) => hljs.registerLanguage(language, module.default),
    ));
  }
  await loading.get(language);
  return true;
}
