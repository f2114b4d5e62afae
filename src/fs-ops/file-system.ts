// The file system: POSIX verbs over the tree, the listings and the content blocks. Answers from local state at once; waits for
// the service only for what was never fetched, and at most the operation timeout. Knows no URL, no disk path, no kernel bytes.
import { performance } from 'node:perf_hooks';
import { errno } from '../base/errno.ts';
import type { Listings } from '../cache/listings.ts';
import type { Tree, TreeChange, TreeDirectory, TreeFile, TreeNode } from '../cache/tree.ts';
import { RemoteError, type ContentReference, type RemoteVault, type SyncpointPermission } from '../remote-drive.ts';
import { attributesOf, type Ownership } from './attributes.ts';
import { capacityOf } from './capacity.ts';
import { extendedAttribute, extendedAttributeNames } from './extended-attributes.ts';
import { NAME_BYTES_MAX } from './names.ts';
import { Nodes } from './nodes.ts';
import {
  FsError,
  type Answer,
  type Attributes,
  type Caller,
  type Capacity,
  type Entry,
  type KernelCache,
  type NodeId,
  type NoEntry,
  type OpenDirectory,
  type OpenFile,
  type Operations,
  type RowSink,
} from './operations.ts';
import { Waits, type Failure, type Wait } from './waits.ts';

/** What the file system needs of the content blocks: a reader for each open file. */
export interface ContentSource {
  reader(content: ContentReference): ContentReader;
}

/** Reads one version; sees one handle's access pattern. */
export interface ContentReader {
  read(offsetBytes: number, lengthBytes: number, signal: AbortSignal): Answer<readonly Uint8Array[]>;
  close(): void;
}

export interface FileSystemOptions {
  readonly tree: Tree;
  readonly listings: Listings;
  readonly blocks: ContentSource;
  readonly kernelCache: KernelCache;
  readonly ownership: Ownership;
  /** The folder shown as the mount's root; the tree's root shows all syncpoints. */
  readonly rootInode: number;
  readonly opTimeoutMs: number;
  /** Told of every request that ends in EIO or EACCES. */
  readonly onFailure: (failure: Failure) => void;
}

interface OpenedFile {
  readonly node: NodeId;
  readonly file: TreeFile;
  readonly reader: ContentReader;
  /** When a read failed last, monotonic ms. */
  failedAtMs: number;
}

interface OpenedDirectory {
  readonly inode: number;
}

/** While an old listing is served, the kernel asks again after this: soon enough to see the service come back. */
const STALE_LIFETIME_MS = 1_000;
/** More than any program opens; a leak ends here, not in the machine's memory. */
const HANDLES_MAX = 65_536;
/**
 * After a failed read-ahead the kernel asks for the same bytes again, page by page, before the program gets its error: without
 * this it would wait several times the operation timeout.
 */
const REPEATED_READ_WINDOW_MS = 2_000;
const REPEATED_READ_TIMEOUT_MS = 250;
/** "." and ".." as directory cookies; every other cookie is the entry's inode number. */
const DOT_COOKIE = 1;
const DOT_DOT_COOKIE = 2;
/** open(2)'s access mode bits and the flags that ask for a change. */
const O_ACCMODE = 3;
const O_TRUNC = 0o1000;
const W_OK = 2;

export class FileSystem implements Operations {
  readonly #options: FileSystemOptions;
  readonly #tree: Tree;
  readonly #listings: Listings;
  readonly #nodes: Nodes;
  readonly #waits: Waits;
  readonly #files = new Map<number, OpenedFile>();
  readonly #directories = new Map<number, OpenedDirectory>();
  /** Which version the kernel's pages of a node are of. */
  readonly #pages = new Map<NodeId, string>();
  /** The generation and age of the listing that the kernel's cached entries of a directory are of. */
  readonly #entriesSeen = new Map<NodeId, { generation: number; listedAtMs: number }>();
  /** The syncpoint's top directory by directory inode; cleared when any directory changes. */
  readonly #syncpoints = new Map<number, TreeDirectory | undefined>();
  readonly #unsubscribe: () => void;
  #nextHandle = 1;

  constructor(options: FileSystemOptions) {
    this.#options = options;
    this.#tree = options.tree;
    this.#listings = options.listings;
    this.#nodes = new Nodes(options.rootInode);
    this.#waits = new Waits(options.opTimeoutMs, options.onFailure);
    this.#unsubscribe = this.#tree.onChange((change) => this.#treeChanged(change));
  }

  lookup(parent: NodeId, name: string, caller: Caller): Answer<Entry | NoEntry> {
    if (Buffer.byteLength(name) > NAME_BYTES_MAX)
      throw new FsError(errno.ENAMETOOLONG, `name of ${name.length} characters`);
    const directory = this.#directory(parent);
    const find = (): Entry | NoEntry => {
      const node = this.#tree.child(directory.inode, name);
      const lifetimeMs = this.#lifetimeMs(directory.inode);
      if (node === undefined) return { node: 0, entryLifetimeMs: lifetimeMs };
      const entry = this.#entry(node, this.#permission(directory), lifetimeMs);
      this.#nodes.remember(entry.node);
      return entry;
    };
    return this.#listed('lookup', directory, caller, find);
  }

  forget(node: NodeId, count: number): void {
    if (!this.#nodes.forget(node, count)) return;
    this.#pages.delete(node);
    this.#entriesSeen.delete(node);
  }

  getAttributes(node: NodeId): { attributes: Attributes; lifetimeMs: number } {
    const frozen = this.#nodes.frozen(node);
    if (frozen !== undefined) {
      const parent = this.#tree.node(frozen.file.parent);
      const permission = parent?.kind === 'directory' ? this.#permission(parent) : 'read-only';
      const state = frozen.removed ? 'removed' : 'linked';
      return {
        attributes: attributesOf(frozen.file, permission, this.#options.ownership, state),
        // It never changes again.
        lifetimeMs: this.#options.opTimeoutMs,
      };
    }
    const found = this.#node(node);
    return {
      attributes: attributesOf(found, this.#permission(found), this.#options.ownership),
      lifetimeMs: this.#lifetimeMs(found.parent),
    };
  }

  setAttributes(): never {
    throw readOnly();
  }

  access(node: NodeId, mask: number): void {
    if ((mask & W_OK) !== 0) throw readOnly();
    this.getAttributes(node);
  }

  open(node: NodeId, flags: number): OpenFile {
    const found = this.#nodes.frozen(node)?.file ?? this.#node(node);
    if (found.kind === 'directory') throw new FsError(errno.EISDIR, `${this.#tree.path(found)} is a directory`);
    if ((flags & O_ACCMODE) !== 0 || (flags & O_TRUNC) !== 0) throw readOnly();
    const parent = this.#tree.node(found.parent);
    if (parent?.kind !== 'directory' || parent.remote === undefined) throw gone(node);
    if (this.#files.size >= HANDLES_MAX) throw new FsError(errno.ENFILE, `${HANDLES_MAX} files are open`);
    const reader = this.#options.blocks.reader({
      syncpointId: parent.remote.syncpointId,
      versionId: found.versionId,
      vaultId: this.#syncpoint(parent)?.syncpoint?.vaultId,
      lengthBytes: found.lengthBytes,
    });
    const handle = this.#nextHandle;
    this.#nextHandle += 1;
    this.#files.set(handle, { node, file: found, reader, failedAtMs: -Infinity });
    this.#nodes.opened(node);
    const keepCache = this.#pages.get(node) === found.versionId;
    this.#pages.set(node, found.versionId);
    return { handle, keepCache };
  }

  read(
    _node: NodeId,
    handle: number,
    offsetBytes: number,
    lengthBytes: number,
    caller: Caller,
  ): Answer<readonly Uint8Array[]> {
    const opened = this.#files.get(handle);
    if (opened === undefined) throw new FsError(errno.EBADF, `no open file ${handle}`);
    const { file, reader } = opened;
    const wanted = Math.min(lengthBytes, file.lengthBytes - offsetBytes);
    if (wanted <= 0) return [];
    const failedLately = performance.now() - opened.failedAtMs < REPEATED_READ_WINDOW_MS;
    const answer = this.#waits.run(
      'read',
      () => this.#tree.path(file),
      caller,
      (signal) => {
        const pieces = reader.read(offsetBytes, wanted, signal);
        return pieces instanceof Promise ? pieces.catch((error: unknown) => this.#readFailed(file, error)) : pieces;
      },
      failedLately ? REPEATED_READ_TIMEOUT_MS : this.#options.opTimeoutMs,
    );
    if (!(answer instanceof Promise)) return answer;
    return answer.catch((error: unknown) => {
      if (error instanceof FsError && error.errno === errno.EIO) opened.failedAtMs = performance.now();
      throw error;
    });
  }

  flush(): void {
    // Nothing is ever dirty on a read-only drive.
  }

  sync(): void {
    // Nothing is ever dirty on a read-only drive.
  }

  release(handle: number): void {
    const opened = this.#files.get(handle);
    if (opened === undefined) return;
    this.#files.delete(handle);
    opened.reader.close();
    this.#nodes.released(opened.node);
  }

  openDirectory(node: NodeId, caller: Caller): Answer<OpenDirectory> {
    const directory = this.#directory(node);
    if (this.#directories.size >= HANDLES_MAX) throw new FsError(errno.ENFILE, `${HANDLES_MAX} directories are open`);
    return this.#listed('opendir', directory, caller, () => {
      const handle = this.#nextHandle;
      this.#nextHandle += 1;
      this.#directories.set(handle, { inode: directory.inode });
      const listing = this.#tree.listing(directory.inode);
      const seen = this.#entriesSeen.get(node);
      // The names the kernel cached live as long as the listing they came from: afterwards READDIRPLUS brings them anew.
      const keepCache =
        listing !== undefined && seen?.generation === listing.generation && seen.listedAtMs === listing.listedAtMs;
      if (listing !== undefined) this.#entriesSeen.set(node, listing);
      return { handle, cacheEntries: this.#listings.remainingMs(directory.inode) > 0, keepCache };
    });
  }

  readDirectory(
    node: NodeId,
    handle: number,
    cookie: number,
    plus: boolean,
    sink: RowSink,
    caller: Caller,
  ): Answer<void> {
    if (!this.#directories.has(handle)) throw new FsError(errno.EBADF, `no open directory ${handle}`);
    const directory = this.#directory(node);
    if (this.#tree.listing(directory.inode) === undefined || cookie === 0) {
      return this.#listed('readdir', directory, caller, () => this.#emitRows(directory, cookie, plus, sink));
    }
    this.#emitRows(directory, cookie, plus, sink);
    return undefined;
  }

  releaseDirectory(handle: number): void {
    this.#directories.delete(handle);
  }

  capacity(node: NodeId): Capacity {
    this.#listings.refreshVaults();
    const found = this.#tree.node(this.#nodes.inode(node));
    const syncpoint = found === undefined ? undefined : this.#syncpoint(found);
    const tops = syncpoint === undefined ? [...this.#tree.children(this.#tree.root().inode)] : [syncpoint];
    const vaults = new Map<string, RemoteVault>();
    for (const top of tops) {
      const vaultId = top.kind === 'directory' ? top.syncpoint?.vaultId : undefined;
      const vault = vaultId === undefined ? undefined : this.#tree.vault(vaultId);
      if (vault !== undefined) vaults.set(vault.id, vault);
    }
    return capacityOf([...vaults.values()]);
  }

  getExtendedAttribute(node: NodeId, name: string): Uint8Array {
    const found = this.#nodes.frozen(node)?.file ?? this.#node(node);
    return extendedAttribute(found, this.#syncpoint(found), name);
  }

  listExtendedAttributes(node: NodeId): readonly string[] {
    const found = this.#nodes.frozen(node)?.file ?? this.#node(node);
    return extendedAttributeNames(found, this.#syncpoint(found));
  }

  /** Requests that wait for the service now. */
  waiting(): Wait[] {
    return this.#waits.list();
  }

  /** The latest requests that failed for want of the service, oldest first. */
  failures(): readonly Failure[] {
    return this.#waits.failures();
  }

  /** Open files and directories, and nodes the kernel holds. */
  counts(): { readonly files: number; readonly directories: number; readonly nodes: number } {
    return { files: this.#files.size, directories: this.#directories.size, nodes: this.#nodes.heldCount };
  }

  /** Closes every handle left open. The transport has stopped asking. */
  stop(): void {
    this.#unsubscribe();
    for (const handle of [...this.#files.keys()]) this.release(handle);
    this.#directories.clear();
  }

  /** Runs `then` once the folder may be read, at once where its listing is fresh. */
  #listed<T>(verb: string, directory: TreeDirectory, caller: Caller, then: () => T): Answer<T> {
    if (this.#listings.remainingMs(directory.inode) > 0) return then();
    return this.#waits.run(
      verb,
      () => this.#tree.path(directory),
      caller,
      (signal) => {
        const pending = this.#listings.ensure(directory, signal);
        return pending === undefined ? then() : pending.then(then);
      },
    );
  }

  #emitRows(directory: TreeDirectory, cookie: number, plus: boolean, sink: RowSink): void {
    const { inode } = directory;
    if (cookie < DOT_COOKIE && !sink({ name: '.', inode, type: 'directory', cookie: DOT_COOKIE })) return;
    const above = directory.parent;
    if (cookie < DOT_DOT_COOKIE && !sink({ name: '..', inode: above, type: 'directory', cookie: DOT_DOT_COOKIE }))
      return;
    const lifetimeMs = this.#lifetimeMs(inode);
    const permission = this.#permission(directory);
    for (const node of this.#tree.children(inode, cookie)) {
      // Below the root each directory has its own permission.
      const own = node.kind === 'directory' && node.syncpoint !== undefined ? node.syncpoint.permission : permission;
      const entry = plus ? this.#entry(node, own, lifetimeMs) : undefined;
      const row = { name: node.name, inode: node.inode, type: node.kind, cookie: node.inode, entry };
      if (!sink(row)) return;
      if (entry !== undefined) this.#nodes.remember(entry.node);
    }
  }

  #entry(node: TreeNode, permission: SyncpointPermission, lifetimeMs: number): Entry {
    const own = node.kind === 'directory' && node.syncpoint !== undefined ? node.syncpoint.permission : permission;
    return {
      node: this.#nodes.node(node.inode),
      attributes: attributesOf(node, own, this.#options.ownership),
      entryLifetimeMs: lifetimeMs,
      attributesLifetimeMs: lifetimeMs,
    };
  }

  #lifetimeMs(directory: number): number {
    return Math.max(STALE_LIFETIME_MS, this.#listings.remainingMs(directory));
  }

  #node(node: NodeId): TreeNode {
    const found = this.#tree.node(this.#nodes.inode(node));
    if (found === undefined) throw gone(node);
    return found;
  }

  #directory(node: NodeId): TreeDirectory {
    const found = this.#nodes.frozen(node)?.file ?? this.#node(node);
    if (found.kind === 'file') throw new FsError(errno.ENOTDIR, `${this.#tree.path(found)} is a file`);
    return found;
  }

  #permission(node: TreeNode): SyncpointPermission {
    return this.#syncpoint(node)?.syncpoint?.permission ?? 'read-write';
  }

  #syncpoint(node: TreeNode): TreeDirectory | undefined {
    const directory = node.kind === 'directory' ? node.inode : node.parent;
    if (this.#syncpoints.has(directory)) return this.#syncpoints.get(directory);
    const found = this.#tree.syncpointOf(node);
    if (this.#syncpoints.size >= 10_000) this.#syncpoints.clear();
    this.#syncpoints.set(directory, found);
    return found;
  }

  /** A version the service no longer has: what is open is stale, and so is the listing that showed it. */
  #readFailed(file: TreeFile, error: unknown): never {
    if (error instanceof RemoteError && error.kind === 'not-found') {
      if (!this.#tree.closed) this.#tree.expireListing(file.parent);
      this.#options.kernelCache.invalidateEntry(this.#nodes.node(file.parent), file.name);
      throw new FsError(errno.ESTALE, `read ${this.#tree.path(file)}: ${error.message}; open it again`, {
        cause: error,
      });
    }
    throw error;
  }

  /** Keeps the kernel's caches true to the tree. */
  #treeChanged(change: TreeChange): void {
    const kernel = this.#options.kernelCache;
    const before = change.kind === 'added' ? undefined : change.previous;
    const after = change.kind === 'removed' ? undefined : change.current;
    const parent = (after ?? before)?.parent ?? 0;
    const parentNode = this.#nodes.node(parent);
    if (before?.kind === 'directory' || after?.kind === 'directory') this.#syncpoints.clear();
    let renewed = false;
    if (before?.kind === 'file' && (after?.kind !== 'file' || after.versionId !== before.versionId)) {
      const node = this.#nodes.node(before.inode);
      renewed = this.#nodes.replaced(before, after === undefined);
      if (!renewed) {
        this.#pages.delete(node);
        if (this.#nodes.known(node)) kernel.invalidateNode(node, { content: true });
      }
    } else if (before !== undefined && after !== undefined) {
      const node = this.#nodes.node(before.inode);
      if (this.#nodes.known(node)) kernel.invalidateNode(node, { content: false });
    }
    if (!this.#nodes.known(parentNode)) return;
    if (before !== undefined && (renewed || before.name !== after?.name))
      kernel.invalidateEntry(parentNode, before.name);
    if (after !== undefined && before?.name !== after.name) kernel.invalidateEntry(parentNode, after.name);
    if (before?.name !== after?.name) kernel.invalidateNode(parentNode, { content: true });
  }
}

function readOnly(): FsError {
  return new FsError(errno.EROFS, 'this drive is mounted read-only');
}

function gone(node: NodeId): FsError {
  return new FsError(errno.ESTALE, `node ${node} is gone from the tree`);
}
