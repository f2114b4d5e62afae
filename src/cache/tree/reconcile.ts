// Where a listing meets what is pending here: decides, entry by entry, whether the listing, the local state or both win. Each verdict
// is one transaction. J7: a remote change under a pending local one keeps both. A listing counts as of when its request was sent:
// what the service confirmed later, or within the lag window before, keeps its state.
import type { RemoteEntry, RemoteFile, RemoteFolder } from '../../remote-drive.ts';
import { createLog } from '../../base/log.ts';
import { LAG_WINDOW_MS, sentPlaces, type Journal, type JournalTransaction } from '../journal.ts';
import type { TreeDirectory, TreeFile, TreeNode } from '../tree.ts';
import type { Naming } from './naming.ts';
import { samePlace, type PendingRecord, type RemotePlace, type SentContent } from './pending-record.ts';
import { generationsOf } from './records.ts';
import { isKeptTime, sentAs, sentInPartAs } from './sent-content.ts';

const log = createLog('reconcile');

/** What becomes of a listing's entry: merged as any other, or nothing, because what is known here stands. */
export type Verdict = 'merge' | 'skip';

export interface ReconcileOptions {
  readonly journal: Journal;
  readonly naming: Naming;
  readonly directory: TreeDirectory;
  /** The whole listing. */
  readonly entries: readonly RemoteEntry[];
  /** Wall clock, ms, when the listing's request was sent. */
  readonly listedAtMs: number;
}

export class Reconciliation {
  readonly #journal: Journal;
  readonly #naming: Naming;
  readonly #directory: TreeDirectory;
  readonly #entries: readonly RemoteEntry[];
  readonly #listedAtMs: number;
  /** Objects with a record that the listing shows, wherever they are here. */
  readonly #seen = new Set<number>();

  constructor(options: ReconcileOptions) {
    this.#journal = options.journal;
    this.#naming = options.naming;
    this.#directory = options.directory;
    this.#entries = options.entries;
    this.#listedAtMs = options.listedAtMs;
  }

  /** False while nothing is pending in the folder: then every entry is merged. */
  get needed(): boolean {
    return this.#journal.hasPending(this.#directory.inode);
  }

  /** Decides on one entry, and does what follows for the objects here. */
  entry(entry: RemoteEntry): Verdict {
    return this.pending(entry) ?? this.#newHere(entry);
  }

  /** The same for an entry that something is pending for; undefined for another one. */
  pending(entry: RemoteEntry): Verdict | undefined {
    const byId = this.#recordOf(entry);
    if (byId !== undefined) this.#seen.add(byId.inode);
    if (byId?.gone !== undefined) return this.#removedHere(entry, byId);
    const node = byId === undefined ? undefined : this.#journal.tree.node(byId.inode);
    if (byId !== undefined && node?.kind === 'file' && entry.kind === 'file') return this.#knownFile(entry, byId, node);
    if (byId !== undefined && node?.kind === 'directory') {
      if (entry.kind === 'folder' && node.remote === undefined) return this.#adoptFolder(entry, byId, node);
      return this.#knownFolder(entry, byId, node);
    }
    return undefined;
  }

  /** Decides on a node of this folder that the listing does not show. `merge`: it goes. */
  missing(node: TreeNode): Verdict {
    const record = this.#journal.get(node.inode);
    if (record === undefined) {
      if (node.kind === 'file' || !this.#journal.hasPendingBelow(node.inode)) return 'merge';
      this.#strand(node);
      return 'skip';
    }
    if (this.#withinLag(record) || record.asked.length > 0) return 'skip';
    if (record.doneAtMs !== undefined && node.kind === 'file') return 'merge';
    this.#vanished(node, record);
    return 'skip';
  }

  /** What lies here at the service and elsewhere, or nowhere, on this machine, and was not in the listing. */
  missingElsewhere(seen: ReadonlySet<number>): void {
    // While entries were merged, an object may have left its old self behind under a new number.
    const listed = new Set(this.#entries.map(({ kind, id }) => `${kind === 'file' ? 'file' : 'directory'} ${id}`));
    for (const record of [...this.#journal.inFolder(this.#directory.inode)]) {
      if (seen.has(record.inode) || this.#seen.has(record.inode) || record.at?.parent !== this.#directory.inode)
        continue;
      if (record.doneAtMs !== undefined || this.#withinLag(record) || sentPlaces(record).length > 0) continue;
      if (listed.has(this.#journal.remoteId(record.inode) ?? '')) continue;
      if (record.gone !== undefined) {
        this.#journal.change('push', (transaction) => transaction.dropRecord(record.inode));
        continue;
      }
      const node = this.#journal.tree.node(record.inode);
      if (node === undefined || node.parent === this.#directory.inode) continue;
      this.#vanished(node, record);
    }
  }

  #withinLag(record: PendingRecord): boolean {
    const confirmedAtMs = Math.max(record.confirmedAtMs ?? -Infinity, record.doneAtMs ?? -Infinity);
    return this.#listedAtMs < confirmedAtMs + LAG_WINDOW_MS;
  }

  /** The living node with the id of an entry, if something is, or was lately, pending for it. */
  known(entry: RemoteEntry): TreeNode | undefined {
    const record = this.#recordOf(entry);
    return record === undefined || record.gone !== undefined ? undefined : this.#journal.tree.node(record.inode);
  }

  /** The record of the object with that id, a living one before a removed one. */
  #recordOf(entry: RemoteEntry): PendingRecord | undefined {
    const byId = this.#journal.withRemoteId(entry.kind === 'file' ? 'file' : 'directory', entry.id);
    const living = byId.find(({ gone }) => gone === undefined);
    if (living !== undefined || byId.length > 0) return living ?? byId[0];
    // Its ids were never told, and it may have been moved or removed here while it was under way.
    const here = { parent: this.#directory.inode, name: entry.name };
    return this.#journal.sentNear(here).find((record) => {
      if (entry.kind === 'file')
        return (
          sentAs(
            record.sent.filter(({ place }) => samePlace(place, here)),
            entry,
          ) !== undefined
        );
      return record.asked.some((place) => samePlace(place, here)) && this.#isUnknownFolder(record);
    });
  }

  #isUnknownFolder({ inode, gone }: PendingRecord): boolean {
    if (gone !== undefined) return gone.kind === 'directory' && gone.folderId === undefined;
    const node = this.#journal.tree.node(inode);
    return node?.kind === 'directory' && node.remote === undefined;
  }

  #removedHere(entry: RemoteEntry, record: PendingRecord): Verdict {
    const { gone } = record;
    if (entry.kind === 'folder' && gone?.kind === 'directory' && gone.folderId === undefined) {
      this.#journal.change('push', (transaction) =>
        transaction.updateRecord({ ...record, asked: [], gone: { ...gone, folderId: entry.id } }),
      );
    }
    if (entry.kind === 'folder' || gone?.kind !== 'file') return 'skip';
    const known = entry.versionId === gone.versionId || record.replaced.includes(entry.versionId);
    if (known) return 'skip';
    const ours = sentAs(record.sent, entry);
    if (ours !== undefined) {
      // An upload that was under way when the file was removed.
      const { id: fileId, versionId, lengthBytes, modified, created } = entry;
      this.#journal.change('push', (transaction) =>
        transaction.updateRecord({
          ...record,
          // Found: whoever takes the file's place need not look for it.
          sent: record.sent.filter((one) => one !== ours),
          gone: { ...gone, fileId, versionId, lengthBytes, modified, created },
        }),
      );
      return 'skip';
    }
    log('%s was removed here and changed at the service: it is back', gone.path);
    this.#journal.change('push', (transaction) => transaction.dropRecord(record.inode));
    return 'merge';
  }

  #knownFile(entry: RemoteFile, record: PendingRecord, node: TreeFile): Verdict {
    const here: RemotePlace = { parent: this.#directory.inode, name: entry.name };
    const stale = record.replaced.includes(entry.versionId);
    const same = entry.versionId === node.versionId || isOnlyMoved(entry, here, record, node);
    if (record.doneAtMs !== undefined) {
      if (same && isAt(node, here)) return 'merge';
      if (this.#withinLag(record)) return stale || !isAt(node, here) ? 'skip' : 'merge';
      return node.parent === this.#directory.inode ? 'merge' : 'skip';
    }
    // What the service had already is no new version: it may be the one known, or, as a listing shows that does not lag, a former one.
    const present = sentAs(
      record.sent.filter(({ already }) => already === true),
      entry,
    );
    if (stale && (present === undefined || this.#withinLag(record))) return 'skip';
    const sent = same ? present : sentAs(record.sent, entry);
    if (same || sent !== undefined) {
      this.#adopt(entry, record, node, here, sent);
      return 'skip';
    }
    const part = sentInPartAs(record.sent, entry);
    if (part !== undefined) {
      this.#replacePart(entry, record, node, here, part);
      return 'skip';
    }
    if (record.content) {
      this.#conflict(node, record);
      return 'merge';
    }
    // It is to be moved, and has new content: that comes along.
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
      this.#settle(transaction, { ...record, ...this.#placeSeen(record, here) }, node);
    });
    return 'skip';
  }

  #knownFolder(entry: RemoteEntry, record: PendingRecord, node: TreeDirectory): Verdict {
    const here: RemotePlace = { parent: this.#directory.inode, name: entry.name };
    if (record.doneAtMs !== undefined) {
      if (isAt(node, here)) return 'merge';
      return this.#withinLag(record) || node.parent !== this.#directory.inode ? 'skip' : 'merge';
    }
    this.#journal.change('push', (transaction) =>
      this.#settle(transaction, { ...record, ...this.#placeSeen(record, here) }, node),
    );
    return 'skip';
  }

  /** The listing's place, unless it is one that listings may still show in vain. */
  #placeSeen(record: PendingRecord, here: RemotePlace): Pick<PendingRecord, 'at' | 'asked'> {
    const former = record.was.some((place) => samePlace(place, here));
    return former && this.#withinLag(record) ? { at: record.at, asked: record.asked } : { at: here, asked: [] };
  }

  /** An entry whose id is not known here, but its name may be. */
  #newHere(entry: RemoteEntry): Verdict {
    if (entry.kind === 'file') {
      if (this.#isFormer(entry)) return 'skip';
      this.#dropRemovalsAt(entry);
    }
    const holder = this.#localHolder(entry.name);
    if (holder === undefined) return 'merge';
    const { node, record } = holder;
    const here: RemotePlace = { parent: this.#directory.inode, name: entry.name };
    if (node.kind === 'directory' && entry.kind === 'folder' && record.at === undefined) {
      return this.#adoptFolder(entry, record, node);
    }
    if (node.kind === 'file' && entry.kind === 'file') {
      const sent = sentAs(record.sent, entry);
      const same = entry.versionId === node.versionId;
      if (
        same ||
        (sent !== undefined && (record.at === undefined || node.versionId === undefined || samePlace(record.at, here)))
      ) {
        this.#adopt(entry, record, node, here, sent);
        return 'skip';
      }
      const part = sentInPartAs(record.sent, entry);
      if (part !== undefined) {
        this.#replacePart(entry, record, node, here, part);
        return 'skip';
      }
    }
    // A temporary name at the service is nobody's but ours.
    if (record.via === undefined) this.#conflict(node, record);
    return 'merge';
  }

  /** A service may give a file another id with each version. True for a version replaced here, which listings may still show. */
  #isFormer(entry: RemoteFile): boolean {
    return this.#journal.at({ parent: this.#directory.inode, name: entry.name }).some((record) => {
      const { gone, replaced, doneAtMs } = record;
      const former =
        replaced.includes(entry.versionId) || (gone?.kind === 'file' && gone.versionId === entry.versionId);
      return former && (doneAtMs === undefined || this.#withinLag(record));
    });
  }

  /** What took the place of a file removed here is not what was removed: that removal has nothing left to do. */
  #dropRemovalsAt(entry: RemoteFile): void {
    for (const { inode, gone, doneAtMs, sent } of this.#journal.at({
      parent: this.#directory.inode,
      name: entry.name,
    })) {
      if (gone?.kind !== 'file' || gone.versionId === undefined || doneAtMs !== undefined) continue;
      if (sent.length > 0 || this.#entries.some(({ kind, id }) => kind === 'file' && id === gone.fileId)) continue;
      log('%s was removed here and replaced at the service: it is back', gone.path);
      this.#journal.change('push', (transaction) => transaction.dropRecord(inode));
    }
  }

  /** The folder that was made here is there, be it that our call made it or another one. */
  #adoptFolder(entry: RemoteFolder, record: PendingRecord, node: TreeDirectory): Verdict {
    const { remote } = this.#directory;
    if (remote === undefined) throw new Error('a folder without a place at the service was listed');
    const at = { parent: this.#directory.inode, name: entry.name };
    this.#journal.change('push', (transaction) => {
      transaction.put<TreeDirectory>({ ...node, remote: { syncpointId: remote.syncpointId, folderId: entry.id } });
      this.#settle(transaction, { ...record, at, asked: [] }, node);
    });
    // It may hold what nobody here has seen.
    this.#journal.tree.expireListing(node.inode);
    return 'skip';
  }

  /** A node of this folder under that name which the service does not have there. */
  #localHolder(name: string): { node: TreeNode; record: PendingRecord } | undefined {
    const goingRound = this.#journal.goingBy({ parent: this.#directory.inode, name });
    const itsNode = goingRound === undefined ? undefined : this.#journal.tree.node(goingRound.inode);
    if (goingRound !== undefined && itsNode !== undefined) return { node: itsNode, record: goingRound };
    for (const shown of new Set([name, name.normalize('NFC'), name.normalize('NFD')])) {
      const node = this.#journal.tree.child(this.#directory.inode, this.#naming.fit(shown, ''));
      const record = node === undefined ? undefined : this.#journal.get(node.inode);
      if (node === undefined || record === undefined || record.doneAtMs !== undefined) continue;
      return { node, record };
    }
    return undefined;
  }

  /** The service's version is the one known, or one that our upload made: it becomes what is stored. */
  #adopt(
    entry: RemoteFile,
    record: PendingRecord,
    node: TreeFile,
    here: RemotePlace,
    sent: SentContent | undefined,
  ): void {
    this.#journal.change('push', (transaction) => {
      const stored = transaction.put<TreeFile>({
        ...node,
        fileId: entry.id,
        versionId: entry.versionId,
        lengthBytes: entry.lengthBytes,
        modified: entry.modified,
        created: entry.created,
        sha256: sent === undefined ? node.sha256 : sent.sha256,
      });
      const whole = sent !== undefined && holdsGeneration(node, sent);
      this.#settle(
        transaction,
        {
          ...record,
          ...this.#placeSeen(record, here),
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
  #replacePart(
    { id: fileId, versionId, lengthBytes, modified, created }: RemoteFile,
    record: PendingRecord,
    node: TreeFile,
    here: RemotePlace,
    part: SentContent,
  ): void {
    log('%s is at the service in part: the whole is sent anew', this.#journal.tree.path(node));
    this.#journal.change('push', (transaction) => {
      transaction.put<TreeFile>({ ...node, fileId, versionId, lengthBytes, modified, created, sha256: undefined });
      transaction.updateRecord({
        ...record,
        ...this.#placeSeen(record, here),
        content: true,
        copyOf: node.staged === undefined ? (record.copyOf ?? this.#journal.version(node)) : undefined,
        session: undefined,
        sent: record.sent.filter((one) => one !== part),
        replaced: node.versionId === undefined ? record.replaced : [...record.replaced, node.versionId],
      });
    });
  }

  /** Keeps the record while anything is left to do, else as a guard. */
  #settle(transaction: JournalTransaction, record: PendingRecord, node: TreeNode): void {
    const home = record.at !== undefined && isAt(node, record.at);
    if (record.content || !home || record.via !== undefined) transaction.updateRecord(record);
    else transaction.updateRecord({ ...record, failed: undefined, doneAtMs: Date.now() });
  }

  /** J7: theirs keeps the name, ours goes on under another one and is stored as a file of its own. */
  #conflict(node: TreeNode, record: PendingRecord): void {
    const { tree } = this.#journal;
    const path = tree.path(node);
    const parent = node.parent;
    const name = this.#conflictName(node);
    const now = Date.now();
    this.#journal.change('service', (transaction) => {
      if (node.kind === 'directory' || !record.content) {
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

  #conflictName(node: TreeNode): string {
    let name = this.#naming.conflicting(node.name, new Date());
    while (this.#journal.tree.child(node.parent, name) !== undefined) {
      name = this.#naming.distinct(name, String(node.inode));
    }
    return name;
  }

  /** The service no longer has an object with changes pending: a file's content is stored anew, a moved one is gone. */
  #vanished(node: TreeNode, record: PendingRecord): void {
    if (node.kind === 'directory') {
      if (this.#journal.hasPendingBelow(node.inode)) this.#strand(node);
      else {
        this.#journal.change('service', (transaction) => {
          transaction.remove(node);
          transaction.dropRecord(node.inode);
        });
      }
      return;
    }
    this.#journal.change(record.content ? 'push' : 'service', (transaction) => {
      if (record.content) {
        transaction.put<TreeFile>({ ...node, fileId: undefined, versionId: undefined, sha256: undefined });
        transaction.putRecord({ ...record, at: undefined });
      } else {
        transaction.remove(node);
        transaction.dropRecord(node.inode);
      }
    });
  }

  /** A folder that is gone at the service holds what is pending: it is made anew, without what was the service's alone. */
  #strand(directory: TreeDirectory): void {
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
      for (const gone of this.#journal.inFolder(directory.inode)) {
        if (gone.gone !== undefined) transaction.dropRecord(gone.inode);
      }
    });
    for (const child of children) {
      const record = this.#journal.get(child.inode);
      if (child.kind === 'directory' && child.remote === undefined) continue;
      if (child.kind === 'directory' && this.#journal.hasPendingBelow(child.inode)) this.#strand(child);
      else if (
        record === undefined ||
        record.doneAtMs !== undefined ||
        (!record.content && child.kind === 'directory')
      ) {
        this.#journal.change('service', (transaction) => {
          transaction.remove(child);
          transaction.dropRecord(child.inode);
        });
      } else if (record.at?.parent === directory.inode) this.#vanished(child, record);
    }
  }
}

/** Services may count a rename as a version: a file elsewhere than before, with length and time as before, has the content it had. */
function isOnlyMoved(entry: RemoteFile, here: RemotePlace, { at, was }: PendingRecord, node: TreeFile): boolean {
  const moved = was.length > 0 || at === undefined || !samePlace(at, here);
  const known = node.versionId !== undefined && node.lengthBytes === entry.lengthBytes;
  return moved && known && isKeptTime(node.modified, entry.modified);
}

/** True where the node's content is still what was sent. */
function holdsGeneration(node: TreeFile, sent: SentContent): boolean {
  const [generation] = generationsOf(node.staged);
  return (generation ?? 0) === sent.generation;
}

function isAt(node: TreeNode, place: RemotePlace): boolean {
  return node.parent === place.parent && node.remoteName === place.name;
}
