// The only place where text becomes HTML. Everything passes DOMPurify, which also makes it a Trusted Type: under the
// page's policy the browser takes no other HTML.

import DOMPurify from "../vendor/dompurify-3.4.18/purify.es.mjs";
import { Parser, Renderer } from "../vendor/marked-18.2.1/lib/marked.esm.js";

const TAGS = [
  "a", "b", "blockquote", "br", "code", "dd", "del", "details", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
  "i", "img", "input", "ins", "kbd", "li", "ol", "p", "pre", "q", "s", "samp", "span", "strong", "sub", "summary", "sup",
  "table", "tbody", "td", "th", "thead", "tr", "u", "ul", "var",
];
const ATTRIBUTES = ["align", "alt", "checked", "class", "colspan", "disabled", "href", "open", "rel", "rowspan", "src",
  "start", "target", "title", "type"];
const LINKS = /^(?:https?:|mailto:)/i;
const PICTURES = /^data:image\/(?:png|jpeg|gif|webp);base64,/i;

const renderer = new Renderer();
// A picture from elsewhere would tell its server that, and what, somebody reads: it is offered as a link.
renderer.image = ({ href, text }) =>
  PICTURES.test(href) ? `<img alt="${escaped(text)}" src="${escaped(href)}">` : `<a href="${escaped(href)}">${escaped(text || href)} (picture)</a>`;

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A") {
    if (!LINKS.test(node.getAttribute("href") ?? "")) node.removeAttribute("href");
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  }
  if (node.tagName === "IMG" && !PICTURES.test(node.getAttribute("src") ?? "")) node.remove();
  if (node.tagName === "INPUT" && node.getAttribute("type") !== "checkbox") node.remove();
  const classes = node.getAttribute?.("class");
  if (classes && !/^(?:hljs|language-)[\w -]*$/.test(classes)) node.removeAttribute("class");
});

// One block of Markdown (a token of `GrowingMarkdown`) as trusted HTML.
export function blockHtml(block) {
  return purified(new Parser({ renderer, gfm: true }).parse([block]));
}

// HTML that a highlighter made, as trusted HTML.
export function purified(html) {
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_TRUSTED_TYPE: true,
  });
}

function escaped(text) {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
