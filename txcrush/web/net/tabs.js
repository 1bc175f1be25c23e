// One event stream for all tabs: a browser opens six connections to a server, and each stream holds one for good.
//
// The tab that holds the workspace's lock leads: it reads the stream and passes on what it hears. When it closes, the
// lock goes to another tab, which opens the stream behind the last event that it was passed. A tab that joins is sent
// what it cannot read with a GET. Where there are no locks (a page without TLS from another machine) each tab leads.

import { Stream } from "./stream.js";

export class SharedStream {
  // As `Stream`; `catchUp()` gives the events that a tab needs that joins now.
  constructor({ name, open, onOpen, onEvents, onState, catchUp }) {
    Object.assign(this, { _onOpen: onOpen, _onEvents: onEvents, _onState: onState, _catchUp: catchUp });
    this._open = open;
    this._name = `txcrush ${name}`;
    this._ending = new AbortController();
    this._channel = new BroadcastChannel(this._name);
    this._channel.onmessage = ({ data }) => this._told(data);
    this._state = "connecting";
    this._lastId = "";
    this._stream = null;
  }

  start() {
    if (!navigator.locks) return void this._lead();
    this._say({ kind: "hello" });
    const holding = navigator.locks.request(this._name, { signal: this._ending.signal }, () => this._lead());
    holding.catch((error) => {
      if (error.name !== "AbortError") throw error;
    });
  }

  get isLeader() {
    return this._stream !== null;
  }

  hurry() {
    if (this._stream) this._stream.hurry();
    else this._say({ kind: "hurry" });
  }

  end() {
    this._ending.abort();
    this._stream?.end();
    this._channel.close();
  }

  async _lead() {
    if (this._ending.signal.aborted) return;
    this._stream = new Stream({
      lastId: this._lastId,
      open: this._open,
      onOpen: (isResumed) => this._pass({ kind: "open", isResumed }),
      onEvents: (events) => this._pass({ kind: "events", events: events.map(({ event }) => event), lastId: events.at(-1).id }),
      onState: (state) => this._pass({ kind: "state", state }),
    });
    await this._stream.run();
  }

  _pass(message) {
    this._take(message);
    this._say(message);
  }

  _say(message) {
    if (!this._ending.signal.aborted) this._channel.postMessage(message);
  }

  _told(message) {
    if (message.kind === "hello" && this._stream) {
      this._say({ kind: "state", state: this._state });
      this._say({ kind: "events", events: this._catchUp(), lastId: this._lastId });
    } else if (message.kind === "hurry") {
      this._stream?.hurry();
    } else if (!this._stream) {
      this._take(message);
    }
  }

  _take(message) {
    if (message.kind === "open") this._onOpen(message.isResumed);
    if (message.kind === "state") this._onState((this._state = message.state));
    if (message.kind === "events") {
      if (message.lastId) this._lastId = message.lastId;
      this._onEvents(message.events);
    }
  }
}
