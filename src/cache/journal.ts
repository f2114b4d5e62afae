// The journal: what is wanted here and not at the service yet. One record an object, in the tree's database, with the node it is
// about in the same transaction; all records are in memory too. Answers where the service has an object, whatever its place here.
// Knows neither calls nor kernel.
//
// Invariants, asserted in tests:
// J4 the records and the tree change in one transaction, so that after a crash both are of one acknowledged moment.
// J6 an object removed here keeps its place and ids in a record until the service confirmed the removal.
// J8 content that was not safe when the machine went down is doubtful, which is written down before anything else is done.
// J3 `sent` is written before an upload's first byte, so that a version made by a lost reply is known as ours.
import { foldName } from '../base/fold-name.ts';
import { createLog } from '../base/log.ts';
import type { ContentReference, FolderId, SyncpointId, VaultId } from '../remote-drive.ts';
import {
  ROOT_INODE,
  type ChangeOrigin,
  type Tree,
  type TreeDirectory,
  type TreeFile,
  type TreeNode,
  type TreeTransaction,
} from './tree.ts';
import {
  LAG_WINDOW_MS,
  blankRecord,
  sentPlaces,
  type PendingRecord,
  type RemotePlace,
  type UnfinishedContent,
} from './tree/pending-record.ts';

export {
  LAG_WINDOW_MS,
  blankRecord,
  isPending,
  isWantedAt,
  samePlace,
  sentPlaces,
  type GoneObject,
  type PendingRecord,
  type RemotePlace,
  type SentContent,
  type UnfinishedContent,
} from './tree/pending-record.ts';
export { sentAs } from './tree/sent-content.ts';

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
  readonly #records = new Map<number, PendingRecord>();
  /** Records by the folder that has, or may still show, their object. */
  readonly #byFolder = new Map<number, Set<number>>();
  /** Living ones by the directory they are in here. */
  readonly #byParent = new Map<number, Set<number>>();
  readonly #parentOf = new Map<number, number>();
  readonly #byRemoteId = new Map<string, Set<number>>();
  readonly #remoteIdOf = new Map<number, string>();
  readonly #byPlace = new Map<string, Set<number>>();
  /** By where uploads, or folders, were sent to that nobody has heard of yet. */
  readonly #bySentPlace = new Map<string, Set<number>>();
  /** Inodes by the temporary place that they go by. */
  readonly #byWay = new Map<string, number>();
  /** Removals that wait for an inode. */
  readonly #byAfter = new Map<number, Set<number>>();
  readonly #listeners = new Set<(inodes: readonly number[]) => void>();
  readonly #openForWriting = new Map<number, number>();
  /** Records as the transaction under way has changed them; undefined: dropped. */
  #touched = new Map<number, PendingRecord | undefined>();
  #transaction: JournalTransaction | undefined;
  #nextRevision = 1;
  #localChangeAtMs = -Infinity;

  /**
   * Reads what is pending. What was made but never closed before the last daemon died is taken back, its bytes are unfinished. `bootId`:
   * which start of the machine this is; after another one, what was not made safe before is doubtful (J8).
   */
  constructor(tree: Tree, bootId?: string) {
    this.tree = tree;
    for (const record of tree.pendingRecords()) this.#index(record.inode, record);
    for (const { revision } of this.#records.values()) this.#nextRevision = Math.max(this.#nextRevision, revision + 1);
    this.#takeBackUnclosed();
    if (bootId !== undefined && bootId !== tree.bootId()) this.#doubt(bootId);
  }

  get(inode: number): PendingRecord | undefined {
    return this.#records.get(inode);
  }

  /** All records, guards included. */
  records(): Iterable<PendingRecord> {
    return this.#records.values();
  }

  /** Records whose object is, or was lately, in that folder at the service. */
  *inFolder(folder: number): Generator<PendingRecord, void, undefined> {
    for (const inode of this.#byFolder.get(folder) ?? []) {
      const record = this.#records.get(inode);
      if (record !== undefined) yield record;
    }
  }

  /** True where a listing of the folder may meet something pending: in it at the service, or in it here. */
  hasPending(folder: number): boolean {
    if (this.#byFolder.has(folder)) return true;
    return this.#byParent.has(folder);
  }

  /** True where an object below the directory, at any depth here, has something pending. */
  hasPendingBelow(directory: number): boolean {
    for (const record of this.#records.values()) {
      if (record.gone !== undefined || record.doneAtMs !== undefined) continue;
      let at = this.tree.node(record.inode)?.parent;
      for (let depth = 0; at !== undefined && at !== ROOT_INODE && depth < 4096; depth += 1) {
        if (at === directory) return true;
        at = this.tree.node(at)?.parent;
      }
    }
    return false;
  }

  /** A record of a node as of now, with nothing pending. */
  freshRecord(node: TreeNode, nowMs: number): Omit<PendingRecord, 'revision'> {
    return blankRecord(node, this.place(node.inode), nowMs);
  }

  /** Records of objects that the service has at that very place. */
  at(place: RemotePlace): PendingRecord[] {
    return this.near(place).filter(({ at }) => at?.name === place.name);
  }

  /** Records of objects that the service has at that place, or at one that a service blind to case takes for the same. */
  near(place: RemotePlace): PendingRecord[] {
    return [...(this.#byPlace.get(placeKey(place)) ?? [])].flatMap((inode) => this.#records.get(inode) ?? []);
  }

  /** Records of objects that are in that directory here, removed ones left out. */
  inDirectory(directory: number): PendingRecord[] {
    return [...(this.#byParent.get(directory) ?? [])].flatMap((inode) => this.#records.get(inode) ?? []);
  }

  /** Records of the object with that file id or folder id. */
  withRemoteId(kind: PendingRecord['kind'], id: string): PendingRecord[] {
    return [...(this.#byRemoteId.get(`${kind} ${id}`) ?? [])].flatMap((inode) => this.#records.get(inode) ?? []);
  }

  /** Records of files and folders that were sent to that place, or one that is the same to a service blind to case, and nobody has heard of yet. */
  sentNear(place: RemotePlace): PendingRecord[] {
    return [...(this.#bySentPlace.get(placeKey(place)) ?? [])].flatMap((inode) => this.#records.get(inode) ?? []);
  }

  /** The record of the object that goes by that temporary place. */
  goingBy(place: RemotePlace): PendingRecord | undefined {
    const inode = this.#byWay.get(placeKey(place));
    return inode === undefined ? undefined : this.#records.get(inode);
  }

  /** `file` or `directory`, and the id that the service has for an object with a record; undefined where it has, or told, none. */
  remoteId(inode: number): string | undefined {
    return this.#remoteIdOf.get(inode);
  }

  /** Removals that wait until this inode's content is stored. */
  waitingFor(inode: number): PendingRecord[] {
    return [...(this.#byAfter.get(inode) ?? [])].flatMap((waiting) => this.#records.get(waiting) ?? []);
  }

  /** Tells the inodes whose records changed, after each transaction. Returns the way out. */
  onChange(listener: (inodes: readonly number[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Where the service has an object; undefined where it has none. */
  place(inode: number): RemotePlace | undefined {
    const record = this.#records.get(inode);
    if (record !== undefined) return record.at;
    const node = this.tree.node(inode);
    if (node === undefined || inode === ROOT_INODE) return undefined;
    return { parent: node.parent, name: node.remoteName };
  }

  /** The folder at the service that an inode stands for, be it here or removed here. */
  folder(inode: number): RemoteFolderPlace | undefined {
    const gone = this.#records.get(inode)?.gone;
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
    if (file.versionId === undefined) return this.#records.get(file.inode)?.copyOf;
    const place = this.place(file.inode);
    const folder = place === undefined ? undefined : this.folder(place.parent);
    if (folder === undefined) return undefined;
    return {
      syncpointId: folder.syncpointId,
      versionId: file.versionId,
      vaultId: this.vaultOf(folder.syncpointId),
      lengthBytes: file.lengthBytes,
    };
  }

  /** The vault that a syncpoint's bytes lie in. */
  vaultOf(syncpointId: SyncpointId): VaultId | undefined {
    for (const top of this.tree.children(ROOT_INODE)) {
      if (top.kind === 'directory' && top.remote?.syncpointId === syncpointId) return top.syncpoint?.vaultId;
    }
    return undefined;
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
    if (this.#records.has(inode)) this.#tell([inode]);
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

  /** One transaction of tree and journal: all of it, or, when `work` throws, nothing. */
  change<T>(origin: ChangeOrigin, work: (transaction: JournalTransaction) => T): T {
    if (origin === 'local') this.#localChangeAtMs = performance.now();
    const outer = this.#touched;
    const touched = new Map<number, PendingRecord | undefined>();
    const firstRevision = this.#nextRevision;
    let result: T;
    try {
      this.#touched = touched;
      result = this.tree.change(origin, (transaction) => work((this.#transaction ??= this.#wrapped(transaction))));
    } catch (error) {
      this.#nextRevision = firstRevision;
      throw error;
    } finally {
      this.#touched = outer;
    }
    if (touched.size === 0) return result;
    for (const [inode, record] of touched) this.#index(inode, record);
    this.#tell([...touched.keys()]);
    return result;
  }

  /** The tree's transaction, which is one object for all of them, with the records. */
  #wrapped(transaction: TreeTransaction): JournalTransaction {
    const record = (inode: number): PendingRecord | undefined =>
      this.#touched.has(inode) ? this.#touched.get(inode) : this.#records.get(inode);
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
   * it is still to be removed.
   */
  endRemovalsIn(transaction: JournalTransaction, folder: number): void {
    for (const inside of [...this.inFolder(folder)]) {
      if (inside.at?.parent !== folder || inside.gone === undefined || inside.asked.length > 0) continue;
      transaction.dropRecord(inside.inode);
      if (inside.kind === 'directory') this.endRemovalsIn(transaction, inside.inode);
    }
  }

  /** Drops guards whose time is over. Returns how many there were. */
  sweepGuards(nowMs: number): number {
    const over = [...this.#records.values()].filter(
      ({ doneAtMs }) => doneAtMs !== undefined && (nowMs - doneAtMs > LAG_WINDOW_MS || nowMs < doneAtMs),
    );
    if (over.length === 0) return 0;
    this.change('push', (transaction) => {
      for (const { inode } of over) transaction.dropRecord(inode);
    });
    return over.length;
  }

  #tell(inodes: readonly number[]): void {
    for (const listener of this.#listeners) listener(inodes);
  }

  #index(inode: number, record: PendingRecord | undefined): void {
    const before = this.#records.get(inode);
    if (before !== undefined) {
      for (const folder of foldersOf(before)) removeFrom(this.#byFolder, folder, inode);
      if (before.at !== undefined) removeFrom(this.#byPlace, placeKey(before.at), inode);
      for (const place of sentPlaces(before)) removeFrom(this.#bySentPlace, placeKey(place), inode);
      if (before.via !== undefined) this.#byWay.delete(placeKey(before.via));
      if (before.after !== undefined) removeFrom(this.#byAfter, before.after, inode);
    }
    this.#indexNode(inode, undefined, undefined);
    if (record === undefined) {
      this.#records.delete(inode);
      return;
    }
    this.#records.set(inode, record);
    for (const folder of foldersOf(record)) addTo(this.#byFolder, folder, inode);
    if (record.at !== undefined) addTo(this.#byPlace, placeKey(record.at), inode);
    for (const place of sentPlaces(record)) addTo(this.#bySentPlace, placeKey(place), inode);
    if (record.via !== undefined) this.#byWay.set(placeKey(record.via), inode);
    if (record.after !== undefined) addTo(this.#byAfter, record.after, inode);
    const node = record.gone === undefined ? this.tree.node(inode) : undefined;
    const object = record.gone ?? (node?.kind === 'directory' ? node.remote : node);
    const id = object === undefined ? undefined : 'folderId' in object ? object.folderId : object.fileId;
    this.#indexNode(inode, node?.parent, id === undefined ? undefined : `${record.kind} ${id}`);
  }

  #indexNode(inode: number, parent: number | undefined, remoteId: string | undefined): void {
    const parentBefore = this.#parentOf.get(inode);
    if (parentBefore !== undefined) removeFrom(this.#byParent, parentBefore, inode);
    const idBefore = this.#remoteIdOf.get(inode);
    if (idBefore !== undefined) removeFrom(this.#byRemoteId, idBefore, inode);
    this.#parentOf.delete(inode);
    this.#remoteIdOf.delete(inode);
    if (parent !== undefined) {
      this.#parentOf.set(inode, parent);
      addTo(this.#byParent, parent, inode);
    }
    if (remoteId !== undefined) {
      this.#remoteIdOf.set(inode, remoteId);
      addTo(this.#byRemoteId, remoteId, inode);
    }
  }

  /** Marks what may have lost pages with the machine's power. */
  #doubt(bootId: string): void {
    this.change('local', (transaction) => {
      for (const record of this.#records.values()) {
        const node = record.content ? this.tree.node(record.inode) : undefined;
        const generation = node?.kind === 'file' ? node.staged?.id : undefined;
        if (generation === undefined || generation === record.durable) continue;
        transaction.updateRecord({ ...record, doubtful: generation });
      }
      transaction.putBootId(bootId);
    });
  }

  #takeBackUnclosed(): void {
    const unclosed = [...this.#records.values()].filter((record) => record.unclosed);
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

function foldersOf(record: PendingRecord): Set<number> {
  const folders = new Set(record.was.map(({ parent }) => parent));
  if (record.at !== undefined) folders.add(record.at.parent);
  if (record.via !== undefined) folders.add(record.via.parent);
  for (const { parent } of sentPlaces(record)) folders.add(parent);
  return folders;
}

function placeKey({ parent, name }: RemotePlace): string {
  return `${parent}/${foldName(name)}`;
}

function addTo<K>(index: Map<K, Set<number>>, key: K, inode: number): void {
  const set = index.get(key);
  if (set === undefined) index.set(key, new Set([inode]));
  else set.add(inode);
}

function removeFrom<K>(index: Map<K, Set<number>>, key: K, inode: number): void {
  const set = index.get(key);
  set?.delete(inode);
  if (set?.size === 0) index.delete(key);
}
