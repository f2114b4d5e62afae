// A file system in memory behind the Operations contract, for tests of the transport: it counts lookups and handles, makes
// big content from a formula, and hangs, fails or changes where a test says so.
import { errno } from '../../../src/base/errno.ts';
import {
  FsError,
  ROOT_NODE,
  type Attributes,
  type Caller,
  type Entry,
  type KernelCache,
  type NodeId,
  type NoEntry,
  type OpenDirectory,
  type OpenFile,
  type Operations,
  type RowSink,
} from '../../../src/fs-ops/operations.ts';

/** What a file holds: bytes, or the pattern of {@link patternByte} for so many bytes. */
export type Content = Uint8Array | number;

interface Thing {
  readonly node: NodeId;
  readonly type: 'file' | 'directory';
  readonly parent: NodeId;
  readonly children: Map<string, { node: NodeId; cookie: number }>;
  content: Content;
  modifiedSeconds: number;
  modifiedNanoseconds: number;
  permissions: number;
  uid: number;
  gid: number;
}

/** Makes the pattern of a 64 KiB block, different for each block. */
const BLOCK = 65_536;
const patternBlock = new Uint8Array(BLOCK);
for (let index = 0; index < BLOCK; index++) patternBlock[index] = (index * 31 + (index >> 8)) & 0xff;

/** Bytes [offset, offset + length) of the pattern: each block starts with its number, the rest repeats. */
export function patternBytes(offset: number, length: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = offset; at < offset + length;) {
    const block = Math.floor(at / BLOCK);
    const from = at - block * BLOCK;
    const to = Math.min(BLOCK, from + offset + length - at);
    if (from < 8) {
      const head = Buffer.alloc(8);
      head.writeUInt32LE(block, 0);
      pieces.push(head.subarray(from, Math.min(8, to)));
    }
    if (to > 8) pieces.push(patternBlock.subarray(Math.max(8, from), to));
    at += to - from;
  }
  return pieces;
}

export class MemoryOperations implements Operations {
  readonly #things = new Map<NodeId, Thing>();
  readonly lookups = new Map<NodeId, number>();
  readonly handles = new Map<number, NodeId>();
  readonly extended = new Map<string, string>([['user.test', 'value']]);
  lifetimeMs = 3_600_000;
  cacheDirectories = false;
  keepCache = true;
  /** Names of files whose READ waits until it is aborted. */
  readonly hanging = new Set<NodeId>();
  /** Lookups of such a name wait until they are aborted. */
  hangingName = '';
  aborted = 0;
  cache: KernelCache | undefined;
  #nextNode = ROOT_NODE;
  #nextCookie = 3;
  #nextHandle = 1;

  constructor() {
    this.#make('directory', ROOT_NODE, new Uint8Array());
  }

  #make(type: 'file' | 'directory', parent: NodeId, content: Content): Thing {
    const node = this.#nextNode++;
    const thing: Thing = {
      node,
      type,
      parent,
      children: new Map(),
      content,
      modifiedSeconds: 1_700_000_000,
      modifiedNanoseconds: 123_456_789,
      permissions: type === 'directory' ? 0o755 : 0o644,
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
    };
    this.#things.set(node, thing);
    return thing;
  }

  thing(node: NodeId): Thing {
    const thing = this.#things.get(node);
    if (thing === undefined) throw new FsError(errno.ESTALE, `no node ${node}`);
    return thing;
  }

  add(parent: NodeId, name: string, what: Content | 'directory'): NodeId {
    const thing = this.#make(what === 'directory' ? 'directory' : 'file', parent, what === 'directory' ? 0 : what);
    this.thing(parent).children.set(name, { node: thing.node, cookie: this.#nextCookie++ });
    return thing.node;
  }

  remove(parent: NodeId, name: string): void {
    this.thing(parent).children.delete(name);
  }

  /** The node at a path, or undefined. */
  find(path: string): NodeId | undefined {
    let node: NodeId = ROOT_NODE;
    for (const name of path.split('/').filter((part) => part !== '')) {
      const child = this.thing(node).children.get(name);
      if (child === undefined) return undefined;
      node = child.node;
    }
    return node;
  }

  attributesOf(node: NodeId): Attributes {
    const thing = this.thing(node);
    const time = { seconds: thing.modifiedSeconds, nanoseconds: thing.modifiedNanoseconds };
    return {
      inode: node,
      type: thing.type,
      permissions: thing.permissions,
      linkCount: 1,
      uid: thing.uid,
      gid: thing.gid,
      sizeBytes: typeof thing.content === 'number' ? thing.content : thing.content.length,
      modified: time,
      changed: time,
      accessed: time,
    };
  }

  #entry(node: NodeId): Entry {
    this.lookups.set(node, (this.lookups.get(node) ?? 0) + 1);
    return {
      node,
      attributes: this.attributesOf(node),
      entryLifetimeMs: this.lifetimeMs,
      attributesLifetimeMs: this.lifetimeMs,
    };
  }

  #hang<T>(caller: Caller): Promise<T> {
    return new Promise((_resolve, reject) => {
      caller.signal.addEventListener('abort', () => {
        this.aborted++;
        reject(new DOMException('aborted', 'AbortError'));
      });
    });
  }

  lookup(parent: NodeId, name: string, caller: Caller): Entry | NoEntry | Promise<Entry> {
    if (name === this.hangingName) return this.#hang<Entry>(caller);
    if (name === 'bug') throw new TypeError('a bug in a verb');
    const child = this.thing(parent).children.get(name);
    return child === undefined ? { node: 0, entryLifetimeMs: this.lifetimeMs } : this.#entry(child.node);
  }

  forget(node: NodeId, count: number): void {
    const left = (this.lookups.get(node) ?? 0) - count;
    if (left === 0) this.lookups.delete(node);
    else this.lookups.set(node, left);
  }

  getAttributes(node: NodeId): { attributes: Attributes; lifetimeMs: number } {
    return { attributes: this.attributesOf(node), lifetimeMs: this.lifetimeMs };
  }

  setAttributes(): never {
    throw new FsError(errno.EROFS, 'read-only');
  }

  access(): void {
    // Everyone may.
  }

  open(node: NodeId, flags: number): OpenFile {
    if ((flags & 3) !== 0) throw new FsError(errno.EROFS, 'read-only');
    return { handle: this.#handle(node), keepCache: this.keepCache };
  }

  #handle(node: NodeId): number {
    const handle = this.#nextHandle++;
    this.handles.set(handle, node);
    return handle;
  }

  read(
    node: NodeId,
    _handle: number,
    offsetBytes: number,
    lengthBytes: number,
    caller: Caller,
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    if (this.hanging.has(node)) return this.#hang(caller);
    const { content } = this.thing(node);
    if (typeof content !== 'number') return [content.subarray(offsetBytes, offsetBytes + lengthBytes)];
    return patternBytes(offsetBytes, Math.max(0, Math.min(lengthBytes, content - offsetBytes)));
  }

  flush(): void {
    // Nothing is written.
  }

  sync(): void {
    // Nothing is written.
  }

  release(handle: number): void {
    this.handles.delete(handle);
  }

  openDirectory(node: NodeId): OpenDirectory {
    return { handle: this.#handle(node), cacheEntries: this.cacheDirectories, keepCache: this.cacheDirectories };
  }

  readDirectory(node: NodeId, _handle: number, cookie: number, plus: boolean, sink: RowSink): void {
    const directory = this.thing(node);
    if (cookie < 1 && !sink({ name: '.', inode: node, type: 'directory', cookie: 1 })) return;
    if (cookie < 2 && !sink({ name: '..', inode: directory.parent, type: 'directory', cookie: 2 })) return;
    for (const [name, child] of behind(directory.children, cookie)) {
      const { type } = this.thing(child.node);
      const entry = plus ? this.#entry(child.node) : undefined;
      if (!sink({ name, inode: child.node, type, cookie: child.cookie, entry })) {
        if (plus) this.forget(child.node, 1);
        return;
      }
    }
  }

  releaseDirectory(handle: number): void {
    this.handles.delete(handle);
  }

  capacity(): { totalBytes: number; freeBytes: number; totalFiles: number; freeFiles: number; nameBytesMax: number } {
    return {
      totalBytes: 5 * 2 ** 40,
      freeBytes: 3 * 2 ** 40,
      totalFiles: 1000,
      freeFiles: 900,
      nameBytesMax: 255,
    };
  }

  getExtendedAttribute(_node: NodeId, name: string): Uint8Array {
    if (!name.startsWith('user.')) throw new FsError(errno.ENOTSUP, 'no such namespace');
    const value = this.extended.get(name);
    if (value === undefined) throw new FsError(errno.ENODATA, 'no such attribute');
    return Buffer.from(value);
  }

  listExtendedAttributes(): string[] {
    return [...this.extended.keys()];
  }
}

/** The same operations, each answering after a few milliseconds, or rejecting at once if it is aborted before. */
export function waiting(operations: MemoryOperations): Operations {
  let count = 0;
  const later = <T>(caller: Caller, answer: () => T | Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const abort = (): void => {
        clearTimeout(timer);
        operations.aborted++;
        reject(new DOMException('aborted', 'AbortError'));
      };
      const timer = setTimeout(() => {
        caller.signal.removeEventListener('abort', abort);
        resolve(answer());
      }, count++ % 4);
      caller.signal.addEventListener('abort', abort, { once: true });
    });
  const slow: Operations = Object.create(operations, {
    lookup: { value: (n: NodeId, name: string, c: Caller) => later(c, () => operations.lookup(n, name, c)) },
    open: { value: (n: NodeId, flags: number, c: Caller) => later(c, () => operations.open(n, flags)) },
    openDirectory: { value: (n: NodeId, c: Caller) => later(c, () => operations.openDirectory(n)) },
    getAttributes: {
      value: (n: NodeId, _h: number | undefined, c: Caller) => later(c, () => operations.getAttributes(n)),
    },
    read: {
      value: (n: NodeId, h: number, at: number, length: number, c: Caller) =>
        later(c, () => operations.read(n, h, at, length, c)),
    },
    readDirectory: {
      value: (n: NodeId, h: number, cookie: number, plus: boolean, sink: RowSink, c: Caller) =>
        later(c, () => operations.readDirectory(n, h, cookie, plus, sink)),
    },
    // Private fields are of the object itself, not of what inherits from it.
    forget: { value: (n: NodeId, count: number) => operations.forget(n, count) },
    capacity: { value: () => operations.capacity() },
    release: { value: (h: number) => operations.release(h) },
    releaseDirectory: { value: (h: number) => operations.releaseDirectory(h) },
  }) as Operations;
  return slow;
}

interface Child {
  readonly node: NodeId;
  readonly cookie: number;
}

/** The rows behind a cookie. Cookies grow in the order of the map; a sorted copy makes resuming cheap. */
const sorted = new WeakMap<Map<string, Child>, { size: number; last: number; rows: [string, Child][] }>();
function behind(children: Map<string, Child>, cookie: number): [string, Child][] {
  let index = sorted.get(children);
  const last = [...children.values()].at(-1)?.cookie ?? 0;
  if (index === undefined || index.size !== children.size || index.last !== last) {
    index = { size: children.size, last, rows: [...children] };
    sorted.set(children, index);
  }
  let [low, high] = [0, index.rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((index.rows[middle] as [string, Child])[1].cookie <= cookie) low = middle + 1;
    else high = middle;
  }
  return index.rows.slice(low, low + 4096);
}
