// The journal: what is wanted here and not at the service yet. One record an object, in the tree's database, with the node it is
// about in the same transaction; all records are in memory too (`journal/record-index.ts`). Answers where the service has an object,
// whatever its place here. Knows neither calls nor kernel.
//
// Invariants, asserted in tests:
// J4 the records and the tree change in one transaction, so that after a crash both are of one acknowledged moment.
// J6 an object removed here keeps its place and ids in a record until the service confirmed the removal.
// J8 content that was not safe when the machine went down is doubtful, which is written down before anything else is done.
// J3 `sent` is written before an upload's first byte, so that a version made by a lost reply is known as ours.
import { createLog } from '../base/log.ts';
import type { ContentReference, FolderId, SyncpointId, VaultId } from '../remote-drive.ts';
import { RecordIndex } from './journal/record-index.ts';
import {
  ROOT_INODE,
  type ChangeOrigin,
  type Keeping,
  type Tree,
  type TreeDirectory,
  type TreeFile,
  type TreeNode,
  type TreeTransaction,
} from './tree.ts';
import {
  LAG_WINDOW_MS,
  blankRecord,
  isPending,
  type PendingRecord,
  type RemotePlace,
  type UnfinishedContent,
} from './tree/pending-record.ts';

export {
  LAG_WINDOW_MS,
  LOCAL_LAG_WINDOW_MS,
  blankRecord,
  isPending,
  isStoredAsWanted,
  isWantedAt,
  samePlace,
  sentPlaces,
  type GoneObject,
  type PendingRecord,
  type Purge,
  type RemotePlace,
  type SentContent,
  type UnfinishedContent,
} from './tree/pending-record.ts';
export { isRemovedAfterMove, sentAs } from './tree/sent-content.ts';

const log = createLog('journal');

/** A folder at the service. */
export interface RemoteFolderPlace {
  readonly syncpointId: SyncpointId;
  readonly folderId: FolderId;
}

/** A transaction of tree and journal. */
export interface JournalTransaction extends TreeTransaction {
  /** The record as this transaction sees it. */
  record(inode: number): PendingRecord | undefined;
  /** Stores a record under a new revision. */
  putRecord(record: Omit<PendingRecord, 'revision'>): void;
  /** Stores a record as the same piece of work: progress, not a change. */
  updateRecord(record: PendingRecord): void;
  dropRecord(inode: number): void;
}

export class Journal {
  readonly tree: Tree;
  /** How long listings may lag behind what the service confirmed. */
  readonly lagWindowMs: number;
  /** Records by what they are about. */
  readonly index: Omit<RecordIndex, 'get' | 'all' | 'set' | 'delete'>;
  readonly #index = new RecordIndex();
  readonly #listeners = new Set<(inodes: readonly number[]) => void>();
  readonly #openForWriting = new Map<number, number>();
  readonly #open = new Map<number, number>();
  /** Records as the transaction under way has changed them; undefined: dropped. */
  #touched = new Map<number, PendingRecord | undefined>();
  #transaction: JournalTransaction | undefined;
  #commitOpen: ((inode: number) => void) | undefined;
  #nextRevision = 1;
  #localChangeAtMs = -Infinity;

  /**
   * Reads what is pending. What was made but never closed before the last daemon died is taken back, its bytes are unfinished. `bootId`:
   * which start of the machine this is; after another one, what was not made safe before is doubtful (J8).
   */
  constructor(tree: Tree, bootId?: string, lagWindowMs = LAG_WINDOW_MS) {
    this.tree = tree;
    this.lagWindowMs = lagWindowMs;
    this.index = this.#index;
    for (const record of tree.pendingRecords()) this.#keep(record.inode, record);
    for (const { revision } of this.#index.all()) this.#nextRevision = Math.max(this.#nextRevision, revision + 1);
    this.#takeBackUnclosed();
    if (bootId !== undefined && bootId !== tree.bootId()) this.#doubt(bootId);
  }

  get(inode: number): PendingRecord | undefined {
    return this.#index.get(inode);
  }

  /** True where a listing asked for at that time need not show yet what the service confirmed of the object. */
  isWithinLag(record: PendingRecord, listedAtMs: number): boolean {
    return listedAtMs < this.lagEndMs(record);
  }

  /** Wall clock, ms: a listing asked for from then on shows what the service confirmed of the object; -Infinity: it confirmed nothing. */
  lagEndMs({ confirmedAtMs, doneAtMs }: PendingRecord): number {
    return Math.max(confirmedAtMs ?? -Infinity, doneAtMs ?? -Infinity) + this.lagWindowMs;
  }

  /** All records, guards included. */
  records(): Iterable<PendingRecord> {
    return this.#index.all();
  }

  /**
   * True where an object below the directory, at any depth here, has something pending. What stays on this machine has nothing. What
   * programs have written there to files that they did not close yet is pending from now on: who asks may let the directory go.
   */
  hasPendingBelow(directory: number): boolean {
    if (this.#isPendingBelow(directory)) return true;
    const written = [...this.#openForWriting.keys()].filter((inode) => this.#isBelow(inode, directory));
    for (const inode of written) this.#commitOpen?.(inode);
    return written.length > 0 && this.#isPendingBelow(directory);
  }

  /** Who holds what is written to open files: `commit` is told of one whose content is to be committed now, and never throws. */
  onNeeded(commit: (inode: number) => void): void {
    this.#commitOpen = commit;
  }

  #isPendingBelow(directory: number): boolean {
    for (const record of this.#index.all()) {
      if (record.gone === undefined && isPending(record) && this.#isBelow(record.inode, directory)) return true;
    }
    return false;
  }

  #isBelow(inode: number, directory: number): boolean {
    let at = this.tree.node(inode)?.parent;
    for (let depth = 0; at !== undefined && at !== ROOT_INODE && depth < 4096; depth += 1) {
      if (at === directory) return true;
      at = this.tree.node(at)?.parent;
    }
    return false;
  }

  /** A record of a node as of now, with nothing pending. */
  freshRecord(node: TreeNode, nowMs: number): Omit<PendingRecord, 'revision'> {
    return blankRecord(node, this.place(node.inode), nowMs);
  }

  /** Tells the inodes whose records changed, after each transaction. Returns the way out. */
  onChange(listener: (inodes: readonly number[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Where the service has an object; undefined where it has none. */
  place(inode: number): RemotePlace | undefined {
    const record = this.#index.get(inode);
    if (record !== undefined) return record.at;
    const node = this.tree.node(inode);
    if (node === undefined || inode === ROOT_INODE) return undefined;
    return { parent: node.parent, name: node.remoteName };
  }

  /** The folder at the service that an inode stands for, be it here or removed here. */
  folder(inode: number): RemoteFolderPlace | undefined {
    const gone = this.#index.get(inode)?.gone;
    if (gone !== undefined) {
      const { folderId } = gone.kind === 'directory' ? gone : { folderId: undefined };
      return gone.kind === 'file' || folderId === undefined ? undefined : { syncpointId: gone.syncpointId, folderId };
    }
    const node = this.tree.node(inode);
    return node?.kind === 'directory' ? node.remote : undefined;
  }

  /**
   * The names at the service from the syncpoint's root down to a folder, and the inodes on the way, the syncpoint's first; undefined
   * where one of them is not at the service.
   */
  remotePath(
    folder: number,
  ):
    | { readonly syncpoint: TreeDirectory; readonly names: readonly string[]; readonly inodes: readonly number[] }
    | undefined {
    const names: string[] = [];
    const inodes: number[] = [];
    let at = folder;
    // Deeper is damage: paths are limited to 4,096 bytes.
    for (let depth = 0; depth < 4096; depth += 1) {
      inodes.unshift(at);
      const node = this.tree.node(at);
      if (node?.kind === 'directory' && node.syncpoint !== undefined) return { syncpoint: node, names, inodes };
      const place = this.place(at);
      if (place === undefined || this.folder(at) === undefined) return undefined;
      names.unshift(place.name);
      at = place.parent;
    }
    return undefined;
  }

  /** The version at the service that a file's content starts from, wherever it lies. */
  version(file: TreeFile): ContentReference | undefined {
    const record = this.#index.get(file.inode);
    if (file.versionId === undefined) return record?.copyOf;
    const place = this.place(file.inode);
    if (place === undefined) return undefined;
    // The folder that it was moved out of may be gone by now, which takes nothing from the version.
    const syncpointId =
      this.folder(place.parent)?.syncpointId ??
      record?.fromSyncpoint ??
      this.tree.syncpointOf(file)?.remote?.syncpointId;
    if (syncpointId === undefined) return undefined;
    const vaultId = this.#vaultAbove(file, syncpointId);
    return { syncpointId, versionId: file.versionId, vaultId, lengthBytes: file.lengthBytes };
  }

  /** The vault that a syncpoint's bytes lie in. */
  vaultOf(syncpointId: SyncpointId): VaultId | undefined {
    for (const top of this.tree.children(ROOT_INODE)) {
      if (top.kind === 'directory' && top.remote?.syncpointId === syncpointId) return top.syncpoint?.vaultId;
    }
    return undefined;
  }

  /** Of a file that is where the service has it, without looking through all syncpoints. */
  #vaultAbove(file: TreeFile, syncpointId: SyncpointId): VaultId | undefined {
    const top = this.tree.syncpointOf(file);
    return top?.remote?.syncpointId === syncpointId ? top.syncpoint?.vaultId : this.vaultOf(syncpointId);
  }

  /** Counts a handle: who has a file open goes on reading it after it is removed. */
  opened(inode: number): void {
    this.#open.set(inode, (this.#open.get(inode) ?? 0) + 1);
  }

  /** Takes back {@link opened}. */
  closed(inode: number): void {
    const left = (this.#open.get(inode) ?? 0) - 1;
    if (left > 0) this.#open.set(inode, left);
    else this.#open.delete(inode);
  }

  isOpen(inode: number): boolean {
    return this.#open.has(inode);
  }

  /** True while a file is open that the tree does not have any more. */
  isRemovedOpen(): boolean {
    for (const inode of this.#open.keys()) if (this.tree.node(inode) === undefined) return true;
    return false;
  }

  /** Counts a handle that may write: the file's content is not complete while there is one. */
  openedForWriting(inode: number): void {
    this.#openForWriting.set(inode, (this.#openForWriting.get(inode) ?? 0) + 1);
  }

  /** Takes back {@link openedForWriting}. */
  closedForWriting(inode: number): void {
    const left = (this.#openForWriting.get(inode) ?? 0) - 1;
    if (left > 0) {
      this.#openForWriting.set(inode, left);
      return;
    }
    this.#openForWriting.delete(inode);
    if (this.#index.get(inode) !== undefined) this.#tell([inode]);
  }

  /** How long ago a program changed anything, ms; Infinity: not in this process. */
  get sinceLocalChangeMs(): number {
    return performance.now() - this.#localChangeAtMs;
  }

  isOpenForWriting(inode: number): boolean {
    return this.#openForWriting.has(inode);
  }

  /** Contents of a daemon that is gone, which were never closed. */
  unfinished(): UnfinishedContent[] {
    return this.tree.unfinished().filter(({ abandoned }) => abandoned);
  }

  /**
   * One transaction of tree and journal: all of it, or, when `work` throws, nothing. `loggable`: of what a crash takes back, or would if it
   * came a moment earlier.
   */
  change<T>(
    origin: ChangeOrigin,
    work: (transaction: JournalTransaction) => T,
    keeping: Exclude<Keeping, 'bulk'> = 'logged',
  ): T {
    if (origin === 'local') this.#localChangeAtMs = performance.now();
    const outer = this.#touched;
    const touched = new Map<number, PendingRecord | undefined>();
    const firstRevision = this.#nextRevision;
    let result: T;
    try {
      this.#touched = touched;
      result = this.tree.change(
        origin,
        (transaction) => work((this.#transaction ??= this.#wrapped(transaction))),
        false,
        keeping,
      );
    } catch (error) {
      this.#nextRevision = firstRevision;
      throw error;
    } finally {
      this.#touched = outer;
    }
    if (touched.size === 0) return result;
    for (const [inode, record] of touched) this.#keep(inode, record);
    this.#tell([...touched.keys()]);
    return result;
  }

  /** The tree's transaction, which is one object for all of them, with the records. */
  #wrapped(transaction: TreeTransaction): JournalTransaction {
    const record = (inode: number): PendingRecord | undefined =>
      this.#touched.has(inode) ? this.#touched.get(inode) : this.#index.get(inode);
    const updateRecord = (updated: PendingRecord): void => {
      transaction.putPending(updated);
      this.#touched.set(updated.inode, updated);
    };
    return {
      ...transaction,
      record,
      updateRecord,
      putRecord: (changed) => {
        updateRecord({ ...changed, revision: this.#nextRevision });
        this.#nextRevision += 1;
      },
      dropRecord: (inode) => {
        if (record(inode) === undefined) return;
        transaction.removePending(inode);
        this.#touched.set(inode, undefined);
      },
    };
  }

  /**
   * Ends the removals of what was in a folder that the service has not any more. What a move that nobody heard of may have taken out of
   * it is still to be removed. With `doneAtMs` they were made here, and are kept as guards: a service may give a folder made there next the
   * same id, and listings that lag show what was in it.
   */
  endRemovalsIn(transaction: JournalTransaction, folder: number, doneAtMs?: number): void {
    for (const inside of [...this.#index.inFolder(folder)]) {
      const { inode, kind, at, gone, asked } = inside;
      if (at?.parent !== folder || gone === undefined || asked.length > 0) continue;
      if (doneAtMs === undefined) transaction.dropRecord(inode);
      else if (inside.doneAtMs === undefined) transaction.updateRecord({ ...inside, doneAtMs, failed: undefined });
      if (kind === 'directory') this.endRemovalsIn(transaction, inode, doneAtMs);
    }
  }

  /**
   * A folder that was to be removed is another directory's at the service from here on, as where others moved it there: it is not removed,
   * and what lies in it, or may, lies in that one. So it is with what was in a folder that was removed, where the service gives that one's id
   * to the next one. False where none of that id was still to be removed.
   */
  takeOver(transaction: JournalTransaction, folder: string, directory: number): boolean {
    const removals = this.#index.withRemoteId('directory', folder).filter(({ gone }) => gone !== undefined);
    for (const { inode: left } of removals) {
      const moved = (place: RemotePlace): RemotePlace =>
        place.parent === left ? { ...place, parent: directory } : place;
      for (const { inode } of [...this.#index.inFolder(left)]) {
        const inside = transaction.record(inode);
        if (inside === undefined) continue;
        const { at, via, asked, was, sent } = inside;
        transaction.updateRecord({
          ...inside,
          at: at === undefined ? undefined : moved(at),
          via: via === undefined ? undefined : moved(via),
          asked: asked.map(moved),
          was: was.map(moved),
          sent: sent.map((one) => ({ ...one, place: moved(one.place) })),
        });
      }
      transaction.dropRecord(left);
    }
    return removals.some(({ doneAtMs }) => doneAtMs === undefined);
  }

  /** What is still to be removed of the object with that file id or folder id. */
  removals(kind: PendingRecord['kind'], id: string): PendingRecord[] {
    return this.#index
      .withRemoteId(kind, id)
      .filter(({ gone, doneAtMs }) => gone !== undefined && doneAtMs === undefined);
  }

  /**
   * Drops guards whose time is over, and records of what stayed on this machine and went with its folder. `askedMs`: when the
   * oldest listing was asked for that is still on its way. Returns how many there were.
   */
  sweepGuards(nowMs: number, askedMs = Infinity): number {
    const over = [...this.#index.all()].filter((record) => {
      const { inode, doneAtMs, localOnly } = record;
      if (doneAtMs === undefined) return localOnly && this.tree.node(inode) === undefined;
      return (nowMs - doneAtMs > this.lagWindowMs || nowMs < doneAtMs) && !this.isWithinLag(record, askedMs);
    });
    if (over.length === 0) return 0;
    this.change('push', (transaction) => {
      for (const { inode } of over) transaction.dropRecord(inode);
    });
    return over.length;
  }

  /** The transaction is through, whatever becomes of who is told: who made it must not take it for one that failed. */
  #tell(inodes: readonly number[]): void {
    for (const listener of this.#listeners) {
      try {
        listener(inodes);
      } catch (error) {
        log('a change was made, and who follows the journal failed: %O', error);
      }
    }
  }

  #keep(inode: number, record: PendingRecord | undefined): void {
    if (record === undefined) this.#index.delete(inode);
    else this.#index.set(record, record.gone === undefined ? this.tree.node(inode) : undefined);
  }

  /** Marks what may have lost pages with the machine's power. */
  #doubt(bootId: string): void {
    this.change('local', (transaction) => {
      for (const record of this.#index.all()) {
        const node = record.content ? this.tree.node(record.inode) : undefined;
        const generation = node?.kind === 'file' ? node.staged?.id : undefined;
        if (generation === undefined || generation === record.durable) continue;
        transaction.updateRecord({ ...record, doubtful: generation });
      }
      transaction.putBootId(bootId);
    });
  }

  #takeBackUnclosed(): void {
    const unclosed = [...this.#index.all()].filter((record) => record.unclosed);
    const interrupted = this.tree.unfinished().filter(({ abandoned }) => !abandoned);
    if (unclosed.length === 0 && interrupted.length === 0) return;
    this.change('local', (transaction) => {
      for (const content of interrupted) transaction.putUnfinished({ ...content, abandoned: true });
      for (const { inode } of unclosed) {
        const node = this.tree.node(inode);
        if (node !== undefined) transaction.remove(node);
        transaction.dropRecord(inode);
      }
    });
    log('%d files were open when the last daemon ended', interrupted.length);
  }
}
