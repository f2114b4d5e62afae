// The local truth: every folder and file ever listed, in LMDB, with inode numbers that survive remounts. Reads are
// synchronous and cost microseconds; a million nodes cost no objects in memory. Knows neither the network nor the kernel.
//
// Invariants, asserted in tests:
// T1 each entry is in `entries`, `names` and `parents` with the same inode, or in none of them (`tree/entries.ts`).
// T2 a name is unique in its folder; an inode number is never given twice.
// T3 a listing is marked complete only in the transaction that finishes its merge; a crash in between leaves it as before.
// T4 what was cut off the tree is in `orphans` until its last descendant is deleted.
import { mkdirSync } from 'node:fs';
import { markLmdbClosed } from '../base/lmdb-state.ts';
import { createLog } from '../base/log.ts';
import { timestampOf, type RemoteVault, type Timestamp, type VaultId } from '../remote-drive.ts';
import {
  FIRST_INODE,
  INODE_MAX,
  ROOT_INODE,
  generationKey,
  inodeKey,
  readInode,
  type TreeDirectory,
  type TreeFile,
  type TreeNode,
} from './tree/records.ts';
import { Entries } from './tree/entries.ts';
import type { LoggedStore, Urgency } from './tree/logged-store.ts';
import type { SyncLog } from './tree/write-ahead-log.ts';
import type { ConflictRecord, PendingRecord, Purge, UnfinishedContent } from './tree/pending-record.ts';
import { RecentlyRead } from './tree/recently-read.ts';
import { StagedNames } from './tree/staged-names.ts';
import { openTables, type TreeTables } from './tree/tables.ts';
import { VaultCapacities } from './tree/vault-capacities.ts';
import type {
  ChangeOrigin,
  Keeping,
  ListingState,
  ListingTime,
  TreeChange,
  TreeTransaction,
} from './tree/transaction.ts';

export type {
  ChangeOrigin,
  Keeping,
  ListingState,
  ListingTime,
  TreeChange,
  TreeTransaction,
} from './tree/transaction.ts';
export {
  ROOT_INODE,
  sameKeptTime,
  shownLengthBytes,
  shownModified,
  type LocalAttributes,
  type StagedContent,
  type SyncpointFacts,
  type TreeDirectory,
  type TreeFile,
  type TreeNode,
} from './tree/records.ts';

/** Nodes of one transaction: below 10 ms on two slow cores, and enough for its commit not to weigh. */
export const SLICE_NODES = 300;

/** Inode numbers set aside in the database at a time, so that not each new one is written down there. */
const INODES_AT_A_TIME = 256;

const log = createLog('tree');

export class Tree {
  readonly #directory: string;
  readonly #store: LoggedStore;
  readonly #tables: TreeTables;
  readonly #entries: Entries;
  readonly #rootModified: Timestamp;
  readonly #staged: StagedNames;
  readonly #listeners = new Set<(change: TreeChange, origin: ChangeOrigin) => void>();
  readonly #conflictInodes: Set<number>;
  /** Of the transaction under way. */
  #changes: TreeChange[] = [];
  readonly #listingsRead = new RecentlyRead<ListingState>();
  readonly #vaults: VaultCapacities;
  /** Made once: a copy of many files makes ten transactions a file. */
  readonly #transaction: TreeTransaction = {
    put: (node) => this.#put(node),
    remove: (node) => {
      const removed = this.#remove(node);
      if (removed) this.#changes.push({ kind: 'removed', previous: node });
      return removed;
    },
    allocateInode: () => this.#allocateInode(),
    putPending: (record) => {
      this.#tables.pending.put(inodeKey(record.inode), record);
    },
    removePending: (inode) => {
      this.#tables.pending.remove(inodeKey(inode));
    },
    putUnfinished: (content) => {
      this.#tables.unfinished.put(generationKey(content.generation), content);
    },
    removeUnfinished: (generation) => {
      this.#tables.unfinished.remove(generationKey(generation));
    },
    putConflict: (conflict) => {
      this.#conflictInodes.add(conflict.inode);
      this.#tables.conflicts.put(inodeKey(conflict.inode), conflict);
    },
    removeConflict: (inode) => {
      // Nearly no object has one, and every removal and rename comes here.
      if (this.#conflictInodes.delete(inode)) this.#tables.conflicts.remove(inodeKey(inode));
    },
    putPin: (inode) => {
      this.#tables.pins.put(inodeKey(inode), true);
    },
    removePin: (inode) => {
      this.#tables.pins.remove(inodeKey(inode));
    },
    putPurge: (purge) => {
      this.#tables.purges.put(inodeKey(purge.inode), purge);
    },
    removePurge: (inode) => {
      this.#tables.purges.remove(inodeKey(inode));
    },
    putBootId: (bootId) => {
      this.#tables.meta.put('bootId', bootId);
    },
    putListing: (directory, listedAtMs) => {
      this.#putListing(directory, { listedAtMs, generation: 1, moment: this.#moment });
    },
  };
  #nextInode: number;
  #moment: number;
  /** Numbers below this are not given again after a crash. */
  #inodesSetAside: number;
  #closed = false;

  /** Opens or makes the tree in `directory` (0700). Throws an Error that says what to do where it is of a newer
   * schema or unreadable; a damaged file may end the process, which openTree finds out first. The caller holds the
   * account's lock. `syncLog` stands in for fdatasync(2), for tests. */
  static open(directory: string, syncLog?: SyncLog): Tree {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return new Tree(directory, syncLog);
  }

  private constructor(directory: string, syncLog: SyncLog | undefined) {
    this.#directory = directory;
    const { store, tables } = openTables(directory, syncLog);
    this.#store = store;
    this.#tables = tables;
    this.#entries = new Entries(tables);
    this.#staged = new StagedNames(tables.staged);
    this.#vaults = new VaultCapacities(tables.vaults);
    this.#conflictInodes = new Set(this.conflicts().map(({ inode }) => inode));
    this.#rootModified = { seconds: Number(tables.meta.get('rootSeconds')), nanoseconds: 0 };
    this.#nextInode = this.#inodesSetAside = Number(this.#tables.meta.get('nextInode') ?? FIRST_INODE);
    this.#moment = Number(this.#tables.meta.get('moment') ?? 1);
  }

  /** The node of an inode number, or undefined when it is gone. */
  node(inode: number): TreeNode | undefined {
    return inode === ROOT_INODE ? this.root() : this.#entries.get(inode);
  }

  /** The directory that holds the syncpoints. */
  root(): TreeDirectory {
    return {
      kind: 'directory',
      inode: ROOT_INODE,
      parent: ROOT_INODE,
      name: '',
      remoteName: '',
      remote: undefined,
      syncpoint: undefined,
      modified: this.#rootModified,
      local: undefined,
    };
  }

  /** The entry of that name, or undefined. Says nothing of whether the folder was ever listed. */
  child(parent: number, name: string): TreeNode | undefined {
    return this.#entries.child(parent, name);
  }

  /** The entries of a folder with an inode number above `afterInode`, in the order of inode numbers. */
  children(parent: number, afterInode = 0): Generator<TreeNode, void, undefined> {
    return this.#entries.children(parent, afterInode);
  }

  /** The entries of a folder whose name comes after `afterName`, in the order of their names' bytes. */
  childrenByName(parent: number, afterName = ''): Generator<TreeNode, void, undefined> {
    return this.#entries.childrenByName(parent, afterName);
  }

  /** The state of a folder's listing; undefined: never listed, nothing is known of its entries. */
  listing(directory: number): ListingState | undefined {
    const read = this.#listingsRead.get(directory);
    if (read !== undefined) return read;
    const stored = this.#tables.listings.get(inodeKey(directory));
    if (stored === undefined) return undefined;
    const listing = { listedAtMs: stored.at, generation: stored.g, moment: stored.m ?? 0, againAtMs: stored.again };
    this.#listingsRead.set(directory, listing);
    return listing;
  }

  /**
   * Counts the events of the service that were seen, over all mounts: what tells whether a listing was asked for before or after one,
   * whatever the clocks do.
   */
  get moment(): number {
    return this.#moment;
  }

  /** An event was seen: what is listed from now on is later. Returns the new moment. */
  advance(): number {
    this.#moment += 1;
    this.#tables.meta.put('moment', this.#moment);
    return this.#moment;
  }

  /** The syncpoint's top directory above (or at) a node; undefined for the root or where it is gone. */
  syncpointOf(node: TreeNode): TreeDirectory | undefined {
    let at: TreeNode | undefined = node;
    // A folder deeper than this is damage, not a tree: paths are limited to 4,096 bytes.
    for (let depth = 0; at !== undefined && depth < 4096; depth += 1) {
      if (at.kind === 'directory' && at.syncpoint !== undefined) return at;
      if (at.inode === ROOT_INODE) return undefined;
      at = this.node(at.parent);
    }
    return undefined;
  }

  /** The path of a node below the root, for messages: "/Projects/a.txt". */
  path(node: TreeNode): string {
    const parts: string[] = [];
    let at: TreeNode | undefined = node;
    for (let depth = 0; at !== undefined && at.inode !== ROOT_INODE && depth < 4096; depth += 1) {
      parts.unshift(at.name);
      at = this.node(at.parent);
    }
    return `/${parts.join('/')}`;
  }

  /** Tells every change of folders listed before, right after its transaction. Returns the way out. */
  onChange(listener: (change: TreeChange, origin: ChangeOrigin) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells the generations that no node names any more, after the transaction that let go of them. Returns the way out. */
  onReleased(listener: (generations: readonly number[]) => void): () => void {
    return this.#staged.onReleased(listener);
  }

  /** The start of the machine that the tree was last used in. */
  bootId(): string | undefined {
    const known = this.#tables.meta.get('bootId');
    return typeof known === 'string' ? known : undefined;
  }

  /** Everything that is pending, or guards. */
  *pendingRecords(): Generator<PendingRecord, void, undefined> {
    for (const { value } of this.#tables.pending.range()) yield value;
  }

  /** Contents being written, by this daemon or one before it. */
  unfinished(): UnfinishedContent[] {
    return [...this.#tables.unfinished.range()].map(({ value }) => value);
  }

  /** What the user wants to be kept on this machine, be it there still or not. */
  pins(): number[] {
    return [...this.#tables.pins.range()].map(({ key }) => readInode(key));
  }

  /** Files that were kept under another name. */
  conflicts(): ConflictRecord[] {
    return [...this.#tables.conflicts.range()].map(({ value }) => value);
  }

  /** Of whom there are conflicts. */
  conflictInodes(): ReadonlySet<number> {
    return this.#conflictInodes;
  }

  /** That a file was kept under another name, if it was. */
  conflict(inode: number): ConflictRecord | undefined {
    return this.#conflictInodes.has(inode) ? this.#tables.conflicts.get(inodeKey(inode)) : undefined;
  }

  /** What is still to be purged from the service's trash. */
  purges(): Purge[] {
    return [...this.#tables.purges.range()].map(({ value }) => value);
  }

  /** The files that name staged content, whether it is pending or kept. */
  stagedFiles(): TreeFile[] {
    const files: TreeFile[] = [];
    for (const inode of this.#staged.inodes()) {
      const node = this.node(inode);
      if (node?.kind === 'file' && node.staged !== undefined) files.push(node);
    }
    return files;
  }

  /** One transaction: all of it, or, when `work` throws, nothing. Listeners hear of it afterwards unless it is `quiet`. */
  change<T>(
    origin: ChangeOrigin,
    work: (transaction: TreeTransaction) => T,
    quiet = false,
    keeping: Keeping = 'logged',
  ): T {
    const outer = this.#changes;
    const changes: TreeChange[] = [];
    const firstInode = this.#nextInode;
    const setAside = this.#inodesSetAside;
    let result: T;
    try {
      this.#changes = changes;
      const all = (): T => {
        const done = work(this.#transaction);
        if (this.#nextInode > this.#inodesSetAside) {
          this.#inodesSetAside = this.#nextInode + INODES_AT_A_TIME;
          this.#tables.meta.put('nextInode', this.#inodesSetAside);
        }
        return done;
      };
      const urgency = (): Urgency => (keeping === 'loggable' && this.#inodesSetAside === setAside ? 'loggable' : 'now');
      result = keeping === 'bulk' ? this.#store.bulk(all) : this.#store.transaction(all, urgency);
    } catch (error) {
      this.#nextInode = firstInode;
      this.#inodesSetAside = setAside;
      this.#staged.takeBack();
      this.#forgetRead();
      throw error;
    } finally {
      this.#changes = outer;
    }
    this.#tell(() => this.#staged.tellReleased());
    if (!quiet) {
      for (const change of changes) for (const listener of this.#listeners) this.#tell(() => listener(change, origin));
    }
    return result;
  }

  /** The transaction is through, whatever becomes of who is told: who made it must not take it for one that failed. */
  #tell(telling: () => void): void {
    try {
      telling();
    } catch (error) {
      log('a change was made, and who follows the tree failed: %O', error);
    }
  }

  /**
   * One slice of a merge, one transaction: entries to store (inode 0: a new one is given) and to remove. Returns the stored
   * nodes with their inode numbers. `quiet` is for a folder's first listing, which nobody can have seen before.
   */
  apply(put: readonly TreeNode[], remove: readonly TreeNode[], quiet: boolean): TreeNode[] {
    return this.change(
      'service',
      (transaction) => {
        for (const node of remove) transaction.remove(node);
        return put.map((node) => transaction.put(node));
      },
      quiet,
      'bulk',
    );
  }

  /** Resolves when every transaction so far is safe against power loss. */
  flushed(): Promise<void> {
    return this.#store.flushed();
  }

  /** Marks a folder's listing complete as of when it was asked for; `changed` starts a new generation. The last step of a merge (T3). */
  completeListing(directory: number, asked: ListingTime, changed: boolean, againAtMs?: number): void {
    this.#store.transaction(() => {
      const before = this.listing(directory);
      const generation = before === undefined ? 1 : before.generation + (changed ? 1 : 0);
      this.#putListing(directory, { ...asked, generation, againAtMs });
      const node = changed && before !== undefined ? this.node(directory) : undefined;
      if (node?.kind === 'directory' && node.inode !== ROOT_INODE) {
        const modified = timestampOf(Date.now());
        const local = node.local === undefined ? undefined : { ...node.local, modified: undefined };
        this.#entries.update({ ...node, modified, local });
      }
    });
  }

  /** Makes a folder's listing due again without forgetting it. */
  expireListing(directory: number): void {
    const before = this.listing(directory);
    if (before !== undefined) this.#putListing(directory, { ...before, listedAtMs: 0, moment: 0 });
  }

  /** Deletes what hangs below removed folders, `SLICE_NODES` at a time. True while there is more. */
  sweepOrphans(): boolean {
    let more = false;
    this.#store.bulk(() => {
      const orphan = this.#tables.orphans.range().next().value?.key;
      if (orphan === undefined) return;
      const directory = readInode(orphan);
      let left = SLICE_NODES;
      const children: TreeNode[] = [];
      for (const child of this.#entries.children(directory, 0)) {
        if (children.push(child) === left) break;
      }
      for (const child of children) {
        this.#remove(child);
        left -= 1;
      }
      if (left > 0) this.#tables.orphans.remove(orphan);
      more = true;
    });
    this.#tell(() => this.#staged.tellReleased());
    return more;
  }

  /** Capacity of the vaults, as last told. */
  vault(id: VaultId): RemoteVault | undefined {
    return this.#vaults.get(id);
  }

  /** Remembers the capacity of the vaults. */
  putVaults(vaults: readonly RemoteVault[]): void {
    this.#store.transaction(() => this.#vaults.put(vaults));
  }

  /** Resolves when every transaction so far is safe against power loss, some time soon; hurries nothing. */
  committed(): Promise<void> {
    return this.#store.committed();
  }

  /** True after close(): nothing may be read or written any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Flushes and closes. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#store.close();
    // Without the mark, for want of space perhaps, the next start checks what it finds.
    await markLmdbClosed(this.#directory).catch((error: unknown) => log('closed without a mark: %s', error));
    log('closed');
  }

  #putListing(directory: number, listing: ListingState): void {
    this.#tables.listings.put(inodeKey(directory), {
      at: listing.listedAtMs,
      g: listing.generation,
      m: listing.moment,
      ...(listing.againAtMs === undefined ? {} : { again: listing.againAtMs }),
    });
    this.#listingsRead.set(directory, listing);
  }

  /** What a transaction wrote that came to nothing must not be read. */
  #forgetRead(): void {
    this.#entries.forgetRead();
    this.#listingsRead.clear();
  }

  #allocateInode(): number {
    const inode = this.#nextInode;
    if (inode >= INODE_MAX)
      throw new Error('the tree has no inode numbers left; move its directory away to start anew');
    this.#nextInode += 1;
    return inode;
  }

  #put<Node extends TreeNode>(node: Node): Node {
    const previous = node.inode === 0 ? undefined : this.node(node.inode);
    const current: Node = node.inode === 0 ? { ...node, inode: this.#allocateInode() } : node;
    this.#entries.replace(previous, current);
    // A directory that is back is no orphan any more: what comes to be in it lives.
    if (previous === undefined && node.inode !== 0 && node.kind === 'directory')
      this.#tables.orphans.remove(inodeKey(node.inode));
    if (node.inode === 0 && node.kind === 'directory' && node.remote === undefined)
      this.#entries.madeFolder(current.inode);
    this.#staged.replace(previous, current);
    this.#changes.push(previous === undefined ? { kind: 'added', current } : { kind: 'changed', previous, current });
    return current;
  }

  /** Cuts a node off (T1); a folder's content is left to sweepOrphans (T4). False when it was gone already. */
  #remove(node: TreeNode): boolean {
    const removed = this.#entries.remove(node);
    if (removed === undefined) return false;
    this.#staged.replace(removed, undefined);
    this.#listingsRead.delete(node.inode);
    if (node.kind === 'directory') {
      this.#tables.listings.remove(inodeKey(node.inode));
      this.#tables.orphans.put(inodeKey(node.inode), true);
    }
    return true;
  }
}
