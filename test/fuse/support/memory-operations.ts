// A file system in memory behind the Operations contract, for tests of the transport: it counts lookups and handles, records
// what it was asked to write, makes big content from a formula, and hangs, fails or changes where a test says so.
import { errno } from '../../../src/base/errno.ts';
import {
  FsError,
  ROOT_NODE,
  type AttributeChange,
  type Attributes,
  type Caller,
  type Entry,
  type FileType,
  type KernelCache,
  type NodeId,
  type NodePlace,
  type NoEntry,
  type OpenDirectory,
  type OpenFile,
  type Operations,
  type RenameFlags,
  type RowSink,
} from '../../../src/fs-ops/operations.ts';
import { rowsBehind, type Child } from './directory-rows.ts';
import { MemoryFile, type Content } from './memory-file.ts';

type Time = Attributes['modified'];

interface Thing {
  readonly node: NodeId;
  readonly type: FileType;
  readonly children: Map<string, Child>;
  readonly extended: Map<string, Uint8Array>;
  parent: NodeId;
  content: MemoryFile;
  modified: Time;
  changed: Time;
  accessed: Time;
  permissions: number;
  uid: number;
  gid: number;
  /** 0 once its last name is gone. */
  linkCount: number;
}

/** open(2)'s and setxattr(2)'s flags, fallocate(2)'s modes. */
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_ACCMODE = 0o3;
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const FALLOC_FL_ZERO_RANGE = 16;

/** What everything made by a test itself shows. */
const MADE: Time = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };
const NAME_BYTES_MAX = 255;

function now(): Time {
  const milliseconds = Date.now();
  return { seconds: Math.floor(milliseconds / 1000), nanoseconds: (milliseconds % 1000) * 1e6 };
}

export class MemoryOperations implements Operations {
  readonly #things = new Map<NodeId, Thing>();
  readonly lookups = new Map<NodeId, number>();
  readonly handles = new Map<number, NodeId>();
  lifetimeMs = 3_600_000;
  cacheDirectories = false;
  keepCache = true;
  /** Refuses what would change anything, as a file system that only reads. */
  readOnly = false;
  /** Names of files whose READ waits until it is aborted. */
  readonly hanging = new Set<NodeId>();
  /** Lookups of such a name wait until they are aborted. */
  hangingName: string | undefined;
  /** A CREATE of such a name waits until it is aborted, and then fails. */
  hangingCreate: string | undefined;
  /** A CREATE of such a name waits until it is aborted, and then succeeds all the same. */
  lateCreate: string | undefined;
  aborted = 0;
  cache: KernelCache | undefined;
  /** Lengths of the WRITEs taken, in order; and how many of them asked to clear privileges. */
  readonly writes: number[] = [];
  killingWrites = 0;
  #nextNode = ROOT_NODE;
  #nextCookie = 3;
  #nextHandle = 1;

  constructor() {
    this.#make('directory', ROOT_NODE);
  }

  #make(type: FileType, parent: NodeId, content: Content = 0): Thing {
    const node = this.#nextNode++;
    const thing: Thing = {
      node,
      type,
      parent,
      children: new Map(),
      extended: new Map([['user.test', Buffer.from('value')]]),
      content: new MemoryFile(content),
      modified: MADE,
      changed: MADE,
      accessed: MADE,
      permissions: type === 'directory' ? 0o755 : 0o644,
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      linkCount: 1,
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
    const thing = what === 'directory' ? this.#make('directory', parent) : this.#make('file', parent, what);
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
    const { type, permissions, linkCount, uid, gid, content, modified, changed, accessed } = this.thing(node);
    const sizeBytes = content.sizeBytes;
    return { inode: node, type, permissions, linkCount, uid, gid, sizeBytes, modified, changed, accessed };
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

  #hang<T>(caller: Caller, then?: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      caller.signal.addEventListener('abort', () => {
        this.aborted++;
        if (then === undefined) reject(new DOMException('aborted', 'AbortError'));
        else resolve(then());
      });
    });
  }

  #mayWrite(): void {
    if (this.readOnly) throw new FsError(errno.EROFS, 'read-only');
  }

  #touched(node: NodeId, content: boolean): void {
    const thing = this.thing(node);
    thing.changed = now();
    if (content) thing.modified = thing.changed;
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

  setAttributes(
    node: NodeId,
    _handle: number | undefined,
    change: AttributeChange,
  ): { attributes: Attributes; lifetimeMs: number } {
    this.#mayWrite();
    const thing = this.thing(node);
    if (change.sizeBytes !== undefined) thing.content.truncate(change.sizeBytes);
    this.#touched(node, change.sizeBytes !== undefined);
    thing.permissions = change.permissions ?? thing.permissions;
    thing.uid = change.uid ?? thing.uid;
    thing.gid = change.gid ?? thing.gid;
    if (change.killPrivileges === true) killPrivileges(thing);
    if (change.accessed !== undefined) thing.accessed = change.accessed === 'now' ? now() : change.accessed;
    if (change.modified !== undefined) thing.modified = change.modified === 'now' ? now() : change.modified;
    return this.getAttributes(node);
  }

  access(): void {
    // Everyone may.
  }

  open(node: NodeId, flags: number, _caller?: Caller, killing?: boolean): OpenFile {
    if ((flags & (O_ACCMODE | O_TRUNC)) !== 0) this.#mayWrite();
    if ((flags & O_ACCMODE) === O_ACCMODE) throw new FsError(errno.EINVAL, 'no such access mode');
    if ((flags & O_TRUNC) !== 0) {
      this.thing(node).content.truncate(0);
      this.#touched(node, true);
    }
    if (killing === true) killPrivileges(this.thing(node));
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
    return this.thing(node).content.read(offsetBytes, lengthBytes);
  }

  #makeNamed(type: FileType, parent: NodeId, name: string, permissions: number, caller: Caller): Thing {
    this.#mayWrite();
    if (Buffer.byteLength(name) > NAME_BYTES_MAX) throw new FsError(errno.ENAMETOOLONG, 'the name is too long');
    if (this.thing(parent).children.has(name)) throw new FsError(errno.EEXIST, 'the name is taken');
    const thing = this.thing(this.add(parent, name, type === 'directory' ? 'directory' : 0));
    Object.assign(thing, { permissions, uid: caller.uid, gid: caller.gid, modified: now(), changed: now() });
    this.#touched(parent, true);
    return thing;
  }

  create(
    parent: NodeId,
    name: string,
    permissions: number,
    flags: number,
    caller: Caller,
    killing?: boolean,
  ): { entry: Entry; opened: OpenFile } | Promise<{ entry: Entry; opened: OpenFile }> {
    const make = (): { entry: Entry; opened: OpenFile } => {
      const there = this.thing(parent).children.get(name)?.node;
      if (there !== undefined && (flags & O_EXCL) === 0) {
        const opened = this.open(there, flags, caller, killing);
        return { opened, entry: this.#entry(there) };
      }
      const { node } = this.#makeNamed('file', parent, name, permissions, caller);
      return { entry: this.#entry(node), opened: { handle: this.#handle(node), keepCache: this.keepCache } };
    };
    if (name === this.hangingCreate) return this.#hang(caller);
    return name === this.lateCreate ? this.#hang(caller, make) : make();
  }

  makeFile(parent: NodeId, name: string, permissions: number, caller: Caller): Entry {
    return this.#entry(this.#makeNamed('file', parent, name, permissions, caller).node);
  }

  makeDirectory(parent: NodeId, name: string, permissions: number, caller: Caller): Entry {
    return this.#entry(this.#makeNamed('directory', parent, name, permissions, caller).node);
  }

  #child(parent: NodeId, name: string): Thing {
    const child = this.thing(parent).children.get(name);
    if (child === undefined) throw new FsError(errno.ENOENT, 'no such name');
    return this.thing(child.node);
  }

  #unlink(parent: NodeId, name: string, type: FileType): void {
    this.#mayWrite();
    const thing = this.#child(parent, name);
    if (thing.type !== type) throw new FsError(type === 'file' ? errno.EISDIR : errno.ENOTDIR, `not a ${type}`);
    if (thing.children.size > 0) throw new FsError(errno.ENOTEMPTY, 'not empty');
    this.remove(parent, name);
    thing.linkCount = 0;
    this.#touched(thing.node, false);
    this.#touched(parent, true);
  }

  unlink(parent: NodeId, name: string): void {
    this.#unlink(parent, name, 'file');
  }

  removeDirectory(parent: NodeId, name: string): void {
    this.#unlink(parent, name, 'directory');
  }

  rename(from: NodePlace, to: NodePlace, flags: RenameFlags): void {
    this.#mayWrite();
    const moved = this.#child(from.parent, from.name);
    const targets = this.thing(to.parent).children;
    const replaced = targets.get(to.name);
    if (flags.noReplace && replaced !== undefined) throw new FsError(errno.EEXIST, 'the name is taken');
    if (flags.exchange) {
      const other = this.#child(to.parent, to.name);
      this.#place(from, other);
    } else {
      if (replaced !== undefined) this.#unlink(to.parent, to.name, moved.type);
      this.remove(from.parent, from.name);
    }
    this.#place(to, moved);
  }

  #place({ parent, name }: NodePlace, thing: Thing): void {
    this.thing(parent).children.set(name, { node: thing.node, cookie: this.#nextCookie++ });
    thing.parent = parent;
    this.#touched(thing.node, false);
    this.#touched(parent, true);
  }

  write(node: NodeId, handle: number, offsetBytes: number, data: Uint8Array, killing: boolean): number {
    if (this.handles.get(handle) !== node) throw new FsError(errno.EBADF, 'not open');
    this.writes.push(data.length);
    const thing = this.thing(node);
    thing.content.write(offsetBytes, data);
    if (killing) {
      this.killingWrites++;
      killPrivileges(thing);
    }
    this.#touched(node, true);
    return data.length;
  }

  allocate(node: NodeId, _handle: number, mode: number, offsetBytes: number, lengthBytes: number): void {
    const { content } = this.thing(node);
    if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) !== 0)
      throw new FsError(errno.ENOTSUP, `mode ${mode}`);
    if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) !== 0) content.punch(offsetBytes, lengthBytes);
    const end = offsetBytes + lengthBytes;
    if ((mode & FALLOC_FL_KEEP_SIZE) === 0 && end > content.sizeBytes) content.truncate(end);
    this.#touched(node, true);
  }

  flush(): void {
    // What was written is there.
  }

  sync(): void {
    // As flush().
  }

  syncDirectory(): void {
    // As flush().
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
    for (const [name, child] of rowsBehind(directory.children, cookie)) {
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
      nameBytesMax: NAME_BYTES_MAX,
    };
  }

  getExtendedAttribute(node: NodeId, name: string): Uint8Array {
    const value = this.thing(node).extended.get(name);
    if (value === undefined) throw new FsError(errno.ENODATA, 'no such attribute');
    return value;
  }

  setExtendedAttribute(node: NodeId, name: string, value: Uint8Array | undefined, flags: number): void {
    this.#mayWrite();
    const { extended } = this.thing(node);
    const there = extended.has(name);
    if (there && (flags & XATTR_CREATE) !== 0) throw new FsError(errno.EEXIST, 'the attribute is there');
    if (!there && (value === undefined || (flags & XATTR_REPLACE) !== 0))
      throw new FsError(errno.ENODATA, 'no such attribute');
    if (value === undefined) extended.delete(name);
    else extended.set(name, value);
    this.#touched(node, false);
  }

  listExtendedAttributes(node: NodeId): string[] {
    return [...this.thing(node).extended.keys()];
  }
}

/** As a local file system: set-group-id goes only where the group may execute; elsewhere it means mandatory locking. */
function killPrivileges(thing: Thing): void {
  thing.permissions &= ~0o4000;
  if ((thing.permissions & 0o010) !== 0) thing.permissions &= ~0o2000;
}
