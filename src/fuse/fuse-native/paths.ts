// The one place where libfuse's paths become nodes. Every node found is held by one lookup until it is let go. libfuse knows objects by
// name only, so a name with open files shows one node, whatever the service does meanwhile; and what is unlinked while it is open it
// renames to .fuse_hidden…: here that is an unlink, and the hidden name leads to the node until libfuse removes it.
import { errno } from '../../base/errno.ts';
import {
  FsError,
  ROOT_NODE,
  type Caller,
  type Entry,
  type NoEntry,
  type NodeId,
  type NodePlace,
  type Operations,
} from '../../fs-ops/operations.ts';
import { OpenName, type Held } from './open-name.ts';
import { Removals } from './removals.ts';

/** libfuse's name for what is unlinked while it is open. */
const HIDDEN_NAME = /^\.fuse_hidden[0-9a-f]{16}$/;
/** Stands for bytes that are not UTF-8 in what the binding passes. */
const REPLACEMENT_CHARACTER = '\uFFFD';
const W_OK = 2;

/** A directory that is held, and a name in it. */
export interface HeldPlace extends Held {
  readonly name: string;
}

export class Paths {
  readonly #operations: Operations;
  readonly #removals: Removals;
  readonly #open = new Map<string, OpenName>();
  /** By their last component: what is above may be renamed or gone. */
  readonly #hidden = new Map<string, OpenName>();
  /** Hidden names that nothing uses any more, until libfuse removes them. */
  readonly #unused = new Set<string>();

  constructor(operations: Operations) {
    this.#operations = operations;
    this.#removals = new Removals(operations);
  }

  /** Does something with the node of a path. */
  async with<T>(path: string, caller: Caller, work: (node: NodeId) => T | Promise<T>): Promise<T> {
    const held = await this.find(path, caller);
    try {
      return await work(held.node);
    } finally {
      held.release();
    }
  }

  /** Does something with the directory and the last name of a path that is to be made or removed. */
  async within<T>(path: string, caller: Caller, work: (place: NodePlace) => T | Promise<T>): Promise<T> {
    const held = await this.#place(path, caller);
    try {
      const place = { parent: held.node, name: held.name };
      await this.#removals.settle(place);
      return await work(place);
    } finally {
      held.release();
    }
  }

  /** The node of a path; `newest` also where older content is open by that name. Throws FsError ENOENT. */
  async find(path: string, caller: Caller, newest = false): Promise<Held> {
    if (path === '/') return this.#held(ROOT_NODE);
    const hidden = this.#hidden.get(lastName(path));
    if (hidden !== undefined) return hidden.hold();
    const place = await this.#place(path, caller);
    try {
      return await this.#child({ parent: place.node, name: place.name }, caller, newest);
    } finally {
      place.release();
    }
  }

  /** A file at a path was opened: the name shows its node while it is. Takes `held` over. */
  async opened(path: string, held: Held, writes: boolean, caller: Caller): Promise<OpenName> {
    const hidden = this.#hidden.get(lastName(path));
    if (hidden !== undefined) {
      hidden.use(held);
      return hidden;
    }
    const parent = await this.#place(path, caller);
    parent.release();
    return this.openedAt({ parent: parent.node, name: parent.name }, held, writes);
  }

  /** The same where its place is known. */
  openedAt(place: NodePlace, held: Held, writes: boolean): OpenName {
    const key = keyOf(place);
    let name = this.#open.get(key);
    if (name === undefined) {
      name = new OpenName(place, held.node, (unused) => this.#forgetName(unused));
      this.#open.set(key, name);
    }
    // What is written is to be seen by whoever asks, and by those who read.
    if (writes) name.shown = held.node;
    name.use(held);
    return name;
  }

  /** Holds a node that was granted one lookup. */
  granted(node: NodeId): Held {
    return this.#held(node);
  }

  /** RENAME. libfuse's own renames of what is open are unlinks. */
  async rename(from: string, to: string, caller: Caller): Promise<void> {
    const source = await this.#place(from, caller);
    try {
      if (HIDDEN_NAME.test(lastName(to)) && directoryOf(from) === directoryOf(to)) {
        const name = this.#open.get(keyOf({ parent: source.node, name: source.name }));
        if (name !== undefined) {
          await this.#hide(source, from, name, lastName(to), caller);
          return;
        }
      }
      requireUtf8(lastName(to));
      const target = await this.#place(to, caller);
      try {
        await this.#move(
          { parent: source.node, name: source.name },
          { parent: target.node, name: target.name },
          caller,
        );
      } finally {
        target.release();
      }
    } finally {
      source.release();
    }
  }

  /** UNLINK. */
  async unlink(path: string, caller: Caller): Promise<void> {
    // libfuse's own, of what it hid: removed long ago.
    if (this.#hidden.has(lastName(path)) || this.#unused.delete(lastName(path))) return;
    await this.within(path, caller, ({ parent, name }) => this.#operations.unlink(parent, name, caller));
  }

  /** Before a directory is listed, removed or made safe: what was unlinked in it is. */
  settled(directory: NodeId): Promise<void> {
    return this.#removals.settleIn(directory);
  }

  /** The mount has ended: does what was put off. */
  end(): Promise<void> {
    return this.#removals.settleAll();
  }

  async #move(from: NodePlace, to: NodePlace, caller: Caller): Promise<void> {
    await this.#removals.settle(from);
    // An open file that is in the way was renamed a moment ago: now it is replaced in one step.
    await this.#removals.replace(to);
    await this.#operations.rename(from, to, { noReplace: false, exchange: false }, caller);
    const name = this.#open.get(keyOf(from));
    this.#open.delete(keyOf(from));
    this.#open.delete(keyOf(to));
    if (name === undefined) return;
    name.place = to;
    this.#open.set(keyOf(to), name);
  }

  async #hide(source: HeldPlace, from: string, name: OpenName, hiddenName: string, caller: Caller): Promise<void> {
    // Nobody waits for the unlink itself: what would refuse it does so here.
    await this.#operations.access(source.node, W_OK, caller);
    const directory = await this.find(directoryOf(from), caller);
    const place = { parent: source.node, name: source.name };
    this.#open.delete(keyOf(place));
    name.place = undefined;
    name.hiddenName = hiddenName;
    this.#hidden.set(hiddenName, name);
    this.#removals.putOff(place, directory);
  }

  /** The directory of a path, held, and the last name. */
  async #place(path: string, caller: Caller): Promise<HeldPlace> {
    const names = path.split('/').filter((name) => name !== '');
    const name = names.pop();
    if (name === undefined) throw new FsError(errno.EBUSY, 'the root is no entry of a directory');
    let held: Held = this.#held(ROOT_NODE);
    for (const directory of names) {
      try {
        const next = await this.#child({ parent: held.node, name: directory }, caller);
        held.release();
        held = next;
      } catch (error) {
        held.release();
        throw error;
      }
    }
    const last = held;
    return { node: last.node, name, release: () => last.release() };
  }

  async #child(place: NodePlace, caller: Caller, newest = false): Promise<Held> {
    await this.#removals.settle(place);
    const found = await this.#operations.lookup(place.parent, place.name, caller);
    if (!exists(found)) throw new FsError(errno.ENOENT, 'no such name');
    const held = this.#held(found.node);
    const open = this.#open.get(keyOf(place));
    if (newest || open === undefined || open.shown === found.node) return held;
    const { attributes } = await this.#operations.getAttributes(open.shown, undefined, caller);
    // Another object by now: libfuse cannot tell it from the one that is open, but its attributes are its own.
    if (attributes.inode !== found.attributes.inode) return held;
    held.release();
    return open.hold();
  }

  /** Holds a node that one lookup was counted for. */
  #held(node: NodeId): Held {
    return {
      node,
      release: () => {
        if (node !== ROOT_NODE) this.#operations.forget(node, 1);
      },
    };
  }

  #forgetName(name: OpenName): void {
    if (name.hiddenName !== undefined) {
      this.#hidden.delete(name.hiddenName);
      this.#unused.add(name.hiddenName);
    }
    if (name.place === undefined) return;
    const key = keyOf(name.place);
    if (this.#open.get(key) === name) this.#open.delete(key);
  }
}

/** A name to be made: bytes that are not UTF-8 arrive as this character, so nothing new gets it. */
export function requireUtf8(name: string): void {
  if (name.includes(REPLACEMENT_CHARACTER)) throw new FsError(errno.EINVAL, 'the name is not UTF-8');
}

function exists(found: Entry | NoEntry): found is Entry {
  return found.node !== 0;
}

function keyOf({ parent, name }: NodePlace): string {
  return `${parent}/${name}`;
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}
