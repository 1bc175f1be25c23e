// The event stream's framing (WHATWG HTML 9.2.6), as an incremental parser without I/O.

export class SseParser {
  constructor() {
    this.lastId = "";
    this.retry = null; // milliseconds, where the server said so
    this._rest = "";
    this._data = [];
    this._id = "";
    this._afterCr = false;
  }

  // Take more text; returns the events that it completes, as {id, data}.
  push(text) {
    if (this._afterCr && text.startsWith("\n")) text = text.slice(1);
    if (text !== "") this._afterCr = text.endsWith("\r");
    const lines = (this._rest + text).split(/\r\n|\n|\r/);
    this._rest = lines.pop();
    const events = [];
    for (const line of lines) {
      const event = this._line(line);
      if (event) events.push(event);
    }
    return events;
  }

  _line(line) {
    if (line === "") return this._dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null; // a comment: the server's heartbeat
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this._data.push(value);
    else if (field === "id" && !value.includes("\0")) this._id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
    return null;
  }

  _dispatch() {
    this.lastId = this._id;
    const data = this._data;
    this._data = [];
    return data.length === 0 ? null : { id: this.lastId, data: data.join("\n") };
  }
}
