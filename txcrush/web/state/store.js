// Holds the state and tells the views, at most 20 times a second: more nobody can read.

const EVERY_MS = 50;

export class Store {
  constructor(state) {
    this.state = state;
    this._watchers = new Set();
    this._timer = null;
    this._toldAt = -Infinity;
  }

  update(change) {
    const next = change(this.state);
    if (next === this.state) return;
    this.state = next;
    this._timer ??= setTimeout(() => this._tell(), Math.max(0, this._toldAt + EVERY_MS - performance.now()));
  }

  // Calls `watcher` after changes; gives the function that ends this.
  watch(watcher) {
    this._watchers.add(watcher);
    return () => this._watchers.delete(watcher);
  }

  _tell() {
    this._timer = null;
    this._toldAt = performance.now();
    for (const watcher of [...this._watchers]) watcher(this.state);
  }
}
