// Handles of directories: rows in the order of inode numbers, which serve as cookies and stay valid while entries come and go. Knows
// nothing of files' content.
import { errno } from '../base/errno.ts';
import type { Listings } from '../cache/listings.ts';
import type { Tree, TreeDirectory } from '../cache/tree.ts';
import type { RemoteDrive } from '../remote-drive.ts';
import type { Askers } from './askers.ts';
import type { Neighbours } from './neighbours.ts';
import type { Nodes } from './nodes.ts';
import { HANDLES_MAX } from './open-files.ts';
import { FsError, type Answer, type Caller, type NodeId, type OpenDirectory, type RowSink } from './operations.ts';
import type { View } from './view.ts';

/** What listing a directory takes. */
export interface OpenDirectoriesOptions {
  readonly tree: Tree;
  readonly listings: Listings;
  readonly nodes: Nodes;
  readonly view: View;
  readonly askers: Askers;
  readonly neighbours: Neighbours<TreeDirectory>;
  /** Told of the vault of each syncpoint that somebody looks around in. */
  readonly prepareRead: RemoteDrive['prepareRead'] | undefined;
}

/** "." and ".." as directory cookies; every other cookie is the entry's inode number. */
const DOT_COOKIE = 1;
const DOT_DOT_COOKIE = 2;

/** Handles of directories. */
export class OpenDirectories {
  readonly #options: OpenDirectoriesOptions;
  readonly #handles = new Set<number>();
  /** The generation and age of the listing that the kernel's cached entries of a directory are of. */
  readonly #entriesSeen = new Map<NodeId, { generation: number; listedAtMs: number }>();
  #nextHandle = 1;

  constructor(options: OpenDirectoriesOptions) {
    this.#options = options;
  }

  open(node: NodeId, caller: Caller): Answer<OpenDirectory> {
    const { nodes, tree, listings, view, neighbours, askers, prepareRead } = this.#options;
    const directory = view.directory(node);
    if (this.#handles.size >= HANDLES_MAX) throw new FsError(errno.ENFILE, `${HANDLES_MAX} directories are open`);
    // Whoever stands in what was removed here can look around in it: nothing is left, and the service need not say so.
    if (nodes.frozen(node)?.how === 'removed') return { handle: this.#add(), cacheEntries: false, keepCache: false };
    // The root lies in no directory in which there could be a next one, and holds no files.
    if (directory.parent !== directory.inode && !askers.crawls(caller)) {
      neighbours.taken(directory);
      prepareRead?.(view.syncpoint(directory)?.syncpoint?.vaultId);
    }
    return view.listed('opendir', directory, caller, () => {
      const handle = this.#add();
      const listing = tree.listing(directory.inode);
      const seen = this.#entriesSeen.get(node);
      const keepCache = seen?.generation === listing?.generation && seen?.listedAtMs === listing?.listedAtMs;
      if (listing !== undefined) this.#entriesSeen.set(node, listing);
      return { handle, cacheEntries: listings.keptMs(directory.inode) > 0, keepCache };
    });
  }

  read(node: NodeId, handle: number, cookie: number, plus: boolean, sink: RowSink, caller: Caller): Answer<void> {
    if (!this.#handles.has(handle)) throw new FsError(errno.EBADF, `no open directory ${handle}`);
    const { nodes, tree, view } = this.#options;
    if (nodes.frozen(node)?.how === 'removed') return undefined;
    const directory = view.directory(node);
    if (tree.listing(directory.inode) === undefined || cookie === 0) {
      return view.listed('readdir', directory, caller, () => this.#emit(directory, cookie, plus, sink));
    }
    this.#emit(directory, cookie, plus, sink);
    return undefined;
  }

  release(handle: number): void {
    this.#handles.delete(handle);
  }

  /** The kernel no longer holds the node. */
  forgotten(node: NodeId): void {
    this.#entriesSeen.delete(node);
  }

  get count(): number {
    return this.#handles.size;
  }

  #add(): number {
    const handle = this.#nextHandle;
    this.#nextHandle += 1;
    this.#handles.add(handle);
    return handle;
  }

  #emit(directory: TreeDirectory, cookie: number, plus: boolean, sink: RowSink): void {
    const { tree, nodes, view } = this.#options;
    const { inode } = directory;
    if (cookie < DOT_COOKIE && !sink({ name: '.', inode, type: 'directory', cookie: DOT_COOKIE })) return;
    const above = directory.parent;
    if (cookie < DOT_DOT_COOKIE && !sink({ name: '..', inode: above, type: 'directory', cookie: DOT_DOT_COOKIE }))
      return;
    const lifetimeMs = view.lifetimeMs(inode);
    const permission = view.permission(directory);
    for (const node of tree.children(inode, cookie)) {
      const entry = plus ? view.entry(node, permission, lifetimeMs) : undefined;
      const row = { name: node.name, inode: node.inode, type: node.kind, cookie: node.inode, entry };
      if (!sink(row)) return;
      if (entry !== undefined) nodes.remember(entry.node);
    }
  }
}
