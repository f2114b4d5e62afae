// What one worker of the load has: its files with their bytes and times, and its directories, as the calls that returned made them.
// Promises: knows nothing that was read from a mount but the times a mount gave.
import { createHash } from 'node:crypto';
import { posix } from 'node:path';

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

export class LoadTree {
  /** By path from the drive's root; a directory is there before what it holds. */
  #entries = new Map();

  /** Directories that are always there and shared by all workers. */
  constructor(shared) {
    this.shared = shared;
  }

  get(path) {
    return this.#entries.get(path);
  }

  files() {
    return this.#paths('file');
  }

  directories() {
    return this.#paths('directory');
  }

  /** Directories in which something can be made. */
  places() {
    return [...this.shared, ...this.directories()];
  }

  /** All below a directory, the deepest first. */
  below(directory) {
    return [...this.#entries.keys()]
      .filter((path) => path.startsWith(`${directory}/`))
      .sort((a, b) => (a < b ? 1 : -1));
  }

  /** Whether a service blind to case has this name already. */
  has(path) {
    const wanted = path.toLowerCase();
    return [...this.#entries.keys()].some((one) => one.toLowerCase() === wanted);
  }

  entries() {
    return this.#entries.entries();
  }

  /** Does to the tree what a call did to the mount. */
  apply({ kind, path, to, mtime }, bytes) {
    if (kind === 'mkdir') this.#entries.set(path, { kind: 'directory' });
    else if (kind === 'remove') this.#entries.delete(path);
    else if (kind === 'store') this.#entries.set(path, { kind: 'file', bytes, mtime });
    else if (kind === 'touch') this.#entries.set(path, { ...this.#entries.get(path), mtime });
    else this.#rename(path, to);
  }

  #rename(from, to) {
    const moved = [...this.#entries].filter(([path]) => path === from || path.startsWith(`${from}/`));
    for (const [path] of moved) this.#entries.delete(path);
    for (const [path, entry] of moved) this.#entries.set(to + path.slice(from.length), entry);
  }

  #paths(kind) {
    return [...this.#entries].flatMap(([path, entry]) => (entry.kind === kind ? [path] : []));
  }
}

export const parent = posix.dirname;
