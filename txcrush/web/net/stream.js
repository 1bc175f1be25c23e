// One workspace's event stream, kept open: it comes back by itself and goes on behind the last event that it has seen.
//
// The states that `onState` hears: "connecting", "live", "lost" (the server is out of reach; it is tried again), and the
// two that end it: "gone" (the workspace is closed) and "unauthorised".

import { SseParser } from "./sse.js";

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 15_000;
const SILENCE_MS = 40_000; // the server says something every 15 seconds

export class Stream {
  // `open(lastId, signal)` gives the fetch Response. `onOpen(isResumed)`, `onEvents([{id, event}])`, `onState(name)`.
  constructor({ open, onOpen, onEvents, onState, random = Math.random, timers = globalThis, lastId = "" }) {
    Object.assign(this, { _open: open, _onOpen: onOpen, _onEvents: onEvents, _onState: onState });
    this._random = random;
    this._timers = timers;
    this._tries = 0;
    this._ended = false;
    this._abort = null;
    this._wake = null;
    this.lastId = lastId;
  }

  // Runs until `end()`, or until the server says that there is nothing to come back to.
  async run() {
    while (!this._ended) {
      this._onState("connecting");
      const outcome = await this._once();
      if (this._ended) return;
      this._onState(outcome);
      if (outcome !== "lost") return;
      await this._pause();
    }
  }

  // Try again now: the browser says that the network is back, or the page is looked at again.
  hurry() {
    this._tries = 0;
    this._wake?.();
  }

  end() {
    this._ended = true;
    this._abort?.abort();
    this._wake?.();
  }

  async _once() {
    const abort = (this._abort = new AbortController());
    let silence = null;
    const heard = () => {
      this._timers.clearTimeout(silence);
      silence = this._timers.setTimeout(() => abort.abort(), SILENCE_MS);
    };
    try {
      heard();
      const response = await this._open(this.lastId, abort.signal);
      if (response.status === 204 || response.status === 404) return "gone";
      if (response.status === 401) return "unauthorised";
      if (!response.ok) return "lost";
      await this._read(response, heard);
      return "lost";
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return "lost"; // whatever cut it: it is opened again, behind the last event
    } finally {
      this._timers.clearTimeout(silence);
    }
  }

  async _read(response, heard) {
    const parser = new SseParser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    this._onOpen(this.lastId !== "");
    this._onState("live");
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      const events = parser.push(value);
      if (parser.lastId) this.lastId = parser.lastId;
      if (events.length === 0) continue;
      this._tries = 0;
      this._onEvents(events.map(({ id, data }) => ({ id, event: JSON.parse(data) })));
    }
  }

  // Wait twice as long each time, and a random part of that: a thousand pages must not come back in the same moment.
  _pause() {
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this._tries++);
    return new Promise((resolve) => {
      const timer = this._timers.setTimeout(resolve, longest * (0.5 + this._random() / 2));
      this._wake = () => {
        this._timers.clearTimeout(timer);
        resolve();
      };
    });
  }
}
