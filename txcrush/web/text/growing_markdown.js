// Markdown that grows: cut into top-level blocks, of which only the last ones can still change.

import { Lexer } from "../vendor/marked-18.2.1/lib/marked.esm.js";

const OPEN_BLOCKS = 2; // a setext underline or a table row changes the last block, and blank lines are blocks too

export class GrowingMarkdown {
  constructor() {
    this._text = "";
    this._closed = []; // blocks that more text cannot change
    this._closedLength = 0;
  }

  // The blocks of the text, as marked's tokens. A block that did not change is the same object as before.
  blocks(text) {
    if (!text.startsWith(this._text.slice(0, this._closedLength))) {
      this._closed = [];
      this._closedLength = 0;
    }
    this._text = text;
    const open = tokens(text.slice(this._closedLength));
    while (open.length > OPEN_BLOCKS && this._isWhole(open)) {
      const block = open.shift();
      this._closedLength += block.raw.length;
      this._closed.push(block);
    }
    return [...this._closed, ...open].filter((block) => block.type !== "space" && block.type !== "def");
  }

  // marked replaces tabs and line ends before it cuts: where its pieces are not the text, nothing is kept.
  _isWhole(open) {
    return this._text.startsWith(open[0].raw, this._closedLength);
  }
}

function tokens(text) {
  return [...new Lexer({ gfm: true }).lex(text)];
}
