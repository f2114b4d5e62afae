// What a listing shows of objects that something is pending for, written into tree and journal: each outcome one transaction. What was
// pending stays so unless the listing shows it done. J7 is kept here: where both sides changed, both are kept. Decides nothing.
import { createLog } from '../../base/log.ts';
import type { FolderId, RemoteFile, RemoteFolder } from '../../remote-drive.ts';
import type { Journal, JournalTransaction } from '../journal.ts';
import type { TreeDirectory, TreeFile, TreeNode } from '../tree.ts';
import { conflictName, type Naming } from './naming.ts';
import {
  isStoredAsWanted,
  samePlace,
  type GoneObject,
  type PendingRecord,
  type RemotePlace,
  type SentContent,
} from './pending-record.ts';
import { generationsOf } from './records.ts';

const log = createLog('reconcile');

/** A listing, as far as outcomes go. */
export interface ListedFolder {
  readonly journal: Journal;
  readonly naming: Naming;
  readonly directory: TreeDirectory;
  /** Wall clock, ms, when the listing's request was sent. */
  readonly listedAtMs: number;
}

export class ListingOutcomes {
  readonly #journal: Journal;
  readonly #naming: Naming;
  readonly #directory: TreeDirectory;
  readonly #listedAtMs: number;

  constructor({ journal, naming, directory, listedAtMs }: ListedFolder) {
    this.#journal = journal;
    this.#naming = naming;
    this.#directory = directory;
    this.#listedAtMs = listedAtMs;
  }

  /** What was removed here is gone at the service too, or is back as something else: nothing is left to be done. */
  removalIsOver({ inode }: PendingRecord): void {
    this.#journal.change('push', (transaction) => {
      transaction.dropRecord(inode);
      this.#journal.endRemovalsIn(transaction, inode);
    });
  }

  /** A folder that was removed here before anybody knew whether it was made: it was. */
  removedFolderWasMade(
    record: PendingRecord,
    gone: Extract<GoneObject, { kind: 'directory' }>,
    folderId: FolderId,
  ): void {
    this.#journal.change('push', (transaction) =>
      transaction.updateRecord({ ...record, asked: [], gone: { ...gone, folderId } }),
    );
  }

  /** Others moved or renamed a folder that is to be removed: what is wanted in its new place waits for that, and not for its former one. */
  removedIsAt({ inode }: PendingRecord, name: string): void {
    const record = this.#journal.get(inode);
    if (record?.gone === undefined || record.doneAtMs !== undefined) return;
    const { at, asked } = this.#placeSeen(record, name);
    if (at === undefined || (record.at !== undefined && samePlace(at, record.at))) return;
    this.#journal.change('push', (transaction) => transaction.updateRecord({ ...record, at, asked }));
  }

  /** An upload or a move that was under way when the file was removed made this version. */
  removedFileIsNow(
    { id: fileId, versionId, lengthBytes, modified, created }: RemoteFile,
    record: PendingRecord,
    gone: Extract<GoneObject, { kind: 'file' }>,
    ours: SentContent | undefined,
  ): void {
    const { versionId: former } = gone;
    this.#journal.change('push', (transaction) =>
      transaction.updateRecord({
        ...record,
        // Found: whoever takes the file's place need not look for it.
        sent: record.sent.filter((one) => one !== ours),
        // An older listing may come later.
        replaced: former === undefined ? record.replaced : [...record.replaced, former],
        gone: { ...gone, fileId, versionId, lengthBytes, modified, created, sha256: ours?.sha256 },
      }),
    );
  }

  /** An object is in the folder under that name. */
  seen(record: PendingRecord, node: TreeNode, name: string): void {
    this.#journal.change('push', (transaction) =>
      this.#settle(transaction, { ...record, ...this.#placeSeen(record, name) }, node),
    );
  }

  /**
   * Others renamed a file whose content is pending here, and whose name nobody here changed: what is pending goes along, and comes to be
   * stored under their name. Returns it as it is then; as it was, where something here has that name.
   */
  follow(entry: RemoteFile, record: PendingRecord, node: TreeFile): { record: PendingRecord; node: TreeFile } {
    const { tree } = this.#journal;
    const parent = this.#directory.inode;
    const name = this.#naming.fit(entry.name, entry.id);
    const holder = tree.child(parent, name);
    if (holder !== undefined && holder.inode !== node.inode) return { record, node };
    const path = tree.path(node);
    const moved = { ...node, name, remoteName: entry.name };
    const known = { ...record, at: { parent, name: entry.name } };
    this.#journal.change('service', (transaction) => {
      transaction.put<TreeFile>(moved);
      transaction.updateRecord(known);
    });
    log('%s was renamed at the service: what is pending goes along to %s', path, tree.path(moved));
    return { record: known, node: moved };
  }

  /** A file that is to be moved has new content: that comes along. */
  newContent(entry: RemoteFile, record: PendingRecord, node: TreeFile): void {
    this.#journal.change('service', (transaction) => {
      transaction.put<TreeFile>({
        ...node,
        versionId: entry.versionId,
        lengthBytes: entry.lengthBytes,
        modified: entry.modified,
        sha256: undefined,
        staged: undefined,
        local: node.local === undefined ? undefined : { ...node.local, modified: undefined, changed: undefined },
      });
      this.#settle(transaction, { ...record, ...this.#placeSeen(record, entry.name) }, node);
    });
  }

  /** The folder that was made here is there, be it that our call made it or another one. */
  adoptFolder(entry: RemoteFolder, record: PendingRecord, node: TreeDirectory): void {
    const { remote } = this.#directory;
    if (remote === undefined) throw new Error('a folder without a place at the service was listed');
    const at = { parent: this.#directory.inode, name: entry.name };
    this.#journal.change('push', (transaction) => {
      // What was removed from another folder that stood there went with that.
      if (node.remote !== undefined) this.#journal.endRemovalsIn(transaction, node.inode);
      this.#journal.takeOver(transaction, entry.id, node.inode);
      transaction.put<TreeDirectory>({ ...node, remote: { syncpointId: remote.syncpointId, folderId: entry.id } });
      this.#settle(transaction, { ...record, at, asked: [] }, node);
    });
    // It may hold what nobody here has seen.
    this.#journal.tree.expireListing(node.inode);
  }

  /**
   * The service's version is the one known, or one that our upload made: it becomes what is stored. Where that is not `certain`, the
   * service's content is shown from here on: ours is stored there in any case, as this version or as one before it.
   */
  adopt(entry: RemoteFile, record: PendingRecord, node: TreeFile, sent: SentContent | undefined, certain = true): void {
    const whole = sent !== undefined && holdsGeneration(node, sent);
    this.#journal.change(certain ? 'push' : 'service', (transaction) => {
      const stored = transaction.put<TreeFile>({
        ...node,
        fileId: entry.id,
        versionId: entry.versionId,
        lengthBytes: entry.lengthBytes,
        modified: entry.modified,
        created: entry.created,
        sha256: sent === undefined ? node.sha256 : certain ? sent.sha256 : undefined,
        staged: whole && !certain ? undefined : node.staged,
      });
      this.#settle(
        transaction,
        {
          ...record,
          ...this.#placeSeen(record, entry.name),
          content: record.content && !whole,
          copyOf: whole ? undefined : record.copyOf,
          session: sent === undefined ? record.session : undefined,
          sent: sent === undefined ? record.sent : record.sent.filter((one) => one !== sent),
          replaced:
            node.versionId === undefined || node.versionId === entry.versionId
              ? record.replaced
              : [...record.replaced, node.versionId],
          confirmedAtMs: sent === undefined ? record.confirmedAtMs : this.#listedAtMs,
        },
        stored,
      );
    });
  }

  /** What the service has is a part of ours: the whole is sent as its next version. */
  replacePart(
    { id: fileId, name, versionId, lengthBytes, modified, created }: RemoteFile,
    record: PendingRecord,
    node: TreeFile,
    part: SentContent,
  ): void {
    log('%s is at the service in part: the whole is sent anew', this.#journal.tree.path(node));
    this.#journal.change('push', (transaction) => {
      transaction.put<TreeFile>({ ...node, fileId, versionId, lengthBytes, modified, created, sha256: undefined });
      transaction.updateRecord({
        ...record,
        ...this.#placeSeen(record, name),
        content: true,
        copyOf: node.staged === undefined ? (record.copyOf ?? this.#journal.version(node)) : undefined,
        session: undefined,
        sent: record.sent.filter((one) => one !== part),
        replaced: node.versionId === undefined ? record.replaced : [...record.replaced, node.versionId],
      });
    });
  }

  /**
   * J7: theirs keeps the name, ours goes on under another one and is stored as a file of its own. `isItself`: theirs is what ours was, or
   * stands where that was; else ours is another object still, which was to come there.
   */
  conflict(node: TreeNode, record: PendingRecord, isItself = true): void {
    const { tree } = this.#journal;
    const path = tree.path(node);
    const parent = node.parent;
    const name = this.#conflictName(node);
    const now = Date.now();
    this.#journal.change('service', (transaction) => {
      if (node.kind === 'directory' || !record.content || !isItself) {
        transaction.put<TreeNode>({ ...node, name, remoteName: name });
        transaction.putRecord({ ...record, changedAtMs: now });
      } else {
        const ours = { ...node, name, remoteName: name, fileId: undefined, versionId: undefined, sha256: undefined };
        transaction.put<TreeFile>(ours);
        transaction.putRecord({
          ...record,
          at: undefined,
          copyOf: node.staged === undefined ? (record.copyOf ?? this.#journal.version(node)) : undefined,
          sent: [],
          session: undefined,
          via: undefined,
          changedAtMs: now,
          failed: undefined,
        });
      }
      const above = tree.node(parent);
      const keptAs = `${above === undefined || above.inode === tree.root().inode ? '' : tree.path(above)}/${name}`;
      transaction.putConflict({ inode: node.inode, path, keptAs, sinceMs: now });
    });
    log('%s changed at the service and here: ours is kept as %s', path, name);
  }

  /** The service no longer has an object with changes pending: a file's content is stored anew, a moved one is gone. */
  vanished(node: TreeNode, record: PendingRecord): void {
    if (node.kind === 'directory') {
      if (this.#journal.hasPendingBelow(node.inode)) this.strand(node);
      else {
        this.#journal.change('service', (transaction) => {
          transaction.remove(node);
          transaction.dropRecord(node.inode);
        });
      }
      return;
    }
    const isOurs = record.content && record.onlyTime !== true;
    this.#journal.change(isOurs ? 'push' : 'service', (transaction) => {
      if (isOurs) {
        transaction.put<TreeFile>({ ...node, fileId: undefined, versionId: undefined, sha256: undefined });
        transaction.putRecord({ ...record, at: undefined });
      } else {
        transaction.remove(node);
        transaction.dropRecord(node.inode);
      }
    });
  }

  /** A folder that is gone at the service holds what is pending: it is made anew, without what was the service's alone. */
  strand(directory: TreeDirectory): void {
    const { tree } = this.#journal;
    log('%s is gone at the service; it is made anew for what is pending in it', tree.path(directory));
    const children = [...tree.children(directory.inode)];
    this.#journal.change('service', (transaction) => {
      const record = transaction.record(directory.inode);
      transaction.put<TreeDirectory>({ ...directory, remote: undefined });
      transaction.putRecord({
        ...(record ?? this.#journal.freshRecord(directory, Date.now())),
        at: undefined,
        doneAtMs: undefined,
      });
      this.#journal.endRemovalsIn(transaction, directory.inode);
    });
    for (const child of children) {
      const record = this.#journal.get(child.inode);
      if (child.kind === 'directory' && child.remote === undefined) continue;
      // What was moved into it here lies elsewhere still, and goes to the one made anew.
      if (record?.doneAtMs === undefined && record?.at !== undefined && record.at.parent !== directory.inode) continue;
      if (child.kind === 'directory' && this.#journal.hasPendingBelow(child.inode)) this.strand(child);
      else if (
        record === undefined ||
        record.doneAtMs !== undefined ||
        (!record.content && child.kind === 'directory')
      ) {
        this.#journal.change('service', (transaction) => {
          transaction.remove(child);
          transaction.dropRecord(child.inode);
        });
      } else if (record.at?.parent === directory.inode) this.vanished(child, record);
    }
  }

  #conflictName(node: TreeNode): string {
    const isTaken = (name: string): boolean => this.#journal.tree.child(node.parent, name) !== undefined;
    return conflictName(this.#naming, node, isTaken, new Date());
  }

  /** Keeps the record while anything is left to do, else as a guard. */
  #settle(transaction: JournalTransaction, record: PendingRecord, node: TreeNode): void {
    if (!isStoredAsWanted(record, node)) transaction.updateRecord(record);
    else transaction.updateRecord({ ...record, asked: [], failed: undefined, doneAtMs: Date.now() });
  }

  /** The listing's place, unless it is one that listings may still show in vain. */
  #placeSeen(record: PendingRecord, name: string): Pick<PendingRecord, 'at' | 'asked'> {
    const here: RemotePlace = { parent: this.#directory.inode, name };
    const former = record.was.some((place) => samePlace(place, here));
    return former && this.#journal.isWithinLag(record, this.#listedAtMs)
      ? { at: record.at, asked: record.asked }
      : { at: here, asked: [] };
  }
}

/** True where the node's content is still what was sent. */
function holdsGeneration(node: TreeFile, sent: SentContent): boolean {
  const [generation] = generationsOf(node.staged);
  return (generation ?? 0) === sent.generation;
}
