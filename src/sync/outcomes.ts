// What the service did but for uploads, written into tree and journal: each outcome one transaction. A result counts for the object as it
// was when the call began; what programs changed since stays pending. J3, J4 and J6 are kept here.
import {
  blankRecord,
  samePlace,
  type Journal,
  type JournalTransaction,
  type PendingRecord,
  type Purge,
  type RemotePlace,
} from '../cache/journal.ts';
import type { TreeDirectory, TreeFile } from '../cache/tree.ts';
import {
  timestampOf,
  type ContentReference,
  type FolderId,
  type RemoteErrorKind,
  type SyncpointId,
} from '../remote-drive.ts';
import { settleRecord } from './settle-record.ts';

export class Outcomes {
  readonly #journal: Journal;
  readonly #nowMs: () => number;

  constructor(journal: Journal, nowMs: () => number) {
    this.#journal = journal;
    this.#nowMs = nowMs;
  }

  /**
   * No listing showed what was sent and not heard of, for as long as listings lag. `keepsSession`: the vault may still hold what it
   * acknowledged of it, and take nothing but the rest.
   */
  notFound(inode: number, { keepsSession }: { readonly keepsSession: boolean }): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record === undefined) return;
      if (record.gone?.kind === 'file' && record.gone.versionId !== undefined && record.sent.length > 0) {
        // Nothing came of the upload: what is to be removed is what was there before.
        transaction.updateRecord({ ...record, sent: [] });
        return;
      }
      if (record.gone !== undefined) {
        transaction.dropRecord(inode);
        this.#journal.endRemovalsIn(transaction, inode);
        return;
      }
      if (record.sent.length === 0 && record.at !== undefined) {
        // Moves that did not come through: it is where it was.
        transaction.updateRecord({ ...record, asked: [], was: [] });
        return;
      }
      const session = keepsSession ? record.session : undefined;
      const unheard = { ...record, sent: [], asked: [], session, at: this.#knownPlace(record) };
      transaction.updateRecord(record.kind === 'directory' ? unheard : { ...unheard, content: true });
    });
  }

  /** Folders are about to be asked for: from here on one of that name there is ours. */
  foldersAsked(asked: readonly { readonly inode: number; readonly place: RemotePlace }[]): void {
    this.#journal.change('push', (transaction) => {
      for (const { inode, place } of asked) {
        const record = transaction.record(inode);
        if (record === undefined || record.asked.some((one) => samePlace(one, place))) continue;
        transaction.updateRecord({ ...record, asked: [...record.asked, place] });
      }
    });
  }

  /** Folders asked for that were not made, for certain. */
  foldersRefused(asked: readonly { readonly inode: number; readonly place: RemotePlace }[]): void {
    this.#journal.change('push', (transaction) => {
      for (const { inode, place } of asked) {
        const record = transaction.record(inode);
        if (record === undefined) continue;
        const left = record.asked.filter((one) => !samePlace(one, place));
        const nothing = left.length === 0 && record.gone?.kind === 'directory' && record.gone.folderId === undefined;
        if (nothing) transaction.dropRecord(inode);
        else transaction.updateRecord({ ...record, asked: left });
      }
    });
  }

  /** Folders were made. */
  foldersMade(
    made: readonly {
      readonly inode: number;
      readonly place: RemotePlace;
      readonly folder: { readonly syncpointId: SyncpointId; readonly folderId: FolderId };
    }[],
  ): void {
    const now = this.#nowMs();
    /** Those that the service had, and that may hold what nobody here has seen. */
    const held: number[] = [];
    this.#journal.change('push', (transaction) => {
      for (const { inode, place, folder } of made) {
        const record = transaction.record(inode);
        const node = this.#journal.tree.node(inode);
        if (node?.kind === 'directory') {
          if (this.#journal.takeOver(transaction, folder.folderId, inode)) held.push(inode);
          const stored = transaction.put<TreeDirectory>({ ...node, remote: folder });
          const base = record ?? { ...this.#journal.freshRecord(node, now), revision: 0 };
          const made = { ...base, at: place, asked: [], confirmedAtMs: now, failed: undefined };
          settleRecord(transaction, stored, made, now);
        } else {
          // Removed while it was being made.
          const placeholder = { inode, kind: 'directory', parent: place.parent } as const;
          this.#leave(transaction, placeholder, place, {
            kind: 'directory',
            ...folder,
            listedAt: this.#journal.tree.moment,
            path: this.#pathOf(place),
          });
        }
      }
    });
    for (const inode of held) this.#journal.tree.expireListing(inode);
  }

  /** A removal is confirmed; of a folder, with all that was removed in it. `purge`: what is to be done about it in the trash. */
  removed(record: PendingRecord, purge?: Purge): void {
    const now = this.#nowMs();
    this.#journal.change('push', (transaction) => {
      const present = transaction.record(record.inode);
      if (present?.gone === undefined) return;
      transaction.updateRecord({ ...present, doneAtMs: now, failed: undefined });
      if (purge !== undefined) transaction.putPurge(purge);
      this.#journal.endRemovalsIn(transaction, record.inode, now);
    });
  }

  /** A move is on its way: listings may show the old place for a while, and that means nothing; soon it may be at the new one. */
  moveSent(inode: number, from: RemotePlace, to: RemotePlace): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record === undefined) return;
      const asked = [...record.asked.filter((place) => !samePlace(place, to)), to];
      if (record.was.some((place) => samePlace(place, from))) transaction.updateRecord({ ...record, asked });
      else transaction.updateRecord({ ...record, asked, was: [...record.was, from], confirmedAtMs: this.#nowMs() });
    });
  }

  /** The service answered a move: the place asked for may be one that it left lately, and from here on means what it says again. */
  moveAnswered(inode: number, to: RemotePlace): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record?.was.some((place) => samePlace(place, to)) !== true) return;
      transaction.updateRecord({ ...record, was: record.was.filter((place) => !samePlace(place, to)) });
    });
  }

  /** A move did not happen: the old place means what it says again. */
  moveFailed(inode: number, from: RemotePlace, to: RemotePlace): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record === undefined) return;
      const asked = record.asked.filter((place) => !samePlace(place, to));
      transaction.updateRecord({
        ...record,
        // Another move of it may have happened nevertheless.
        was: asked.length > 0 ? record.was : record.was.filter((place) => !samePlace(place, from)),
        asked,
      });
    });
  }

  /** None of the moves asked for has happened, for all that anybody can see. */
  movesFailed(inode: number): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record !== undefined) transaction.updateRecord({ ...record, was: [], asked: [] });
    });
  }

  /** Nothing is left to do, or only the way round is over. */
  settle(inode: number): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      const node = this.#journal.tree.node(inode);
      if (record === undefined) return;
      if (node === undefined) transaction.dropRecord(inode);
      else settleRecord(transaction, node, { ...record, via: undefined }, this.#nowMs());
    });
  }

  /** It goes by another place first. */
  detour(inode: number, place: RemotePlace): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record !== undefined) transaction.updateRecord({ ...record, via: place });
    });
  }

  /** The removed file's former life becomes this one's: the next upload is its next version (J6). */
  inherit(inode: number, from: PendingRecord): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      const node = this.#journal.tree.node(inode);
      const left = transaction.record(from.inode);
      if (record === undefined || node?.kind !== 'file' || left?.gone?.kind !== 'file' || left.at === undefined) return;
      const { fileId, versionId, lengthBytes, modified, created, sha256 } = left.gone;
      transaction.put<TreeFile>({ ...node, fileId, versionId, lengthBytes, modified, created, sha256 });
      transaction.dropRecord(from.inode);
      transaction.updateRecord({
        ...record,
        at: left.at,
        sent: [...left.sent, ...record.sent],
        replaced: [...left.replaced, ...record.replaced],
        confirmedAtMs: left.confirmedAtMs,
      });
    });
  }

  /**
   * What the service cannot move leaves its old self behind, as an object that was removed: a file's once the new one is stored, a
   * folder's once all that lives in it has left.
   */
  detach(inode: number): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      const node = this.#journal.tree.node(inode);
      if (record?.at === undefined || node === undefined) return;
      const path = this.#pathOf(record.at);
      const left = transaction.allocateInode();
      const cleared = {
        ...record,
        at: undefined,
        fromSyncpoint: undefined,
        copyOf: undefined,
        session: undefined,
        failed: undefined,
      };
      if (node.kind === 'file') {
        const version = record.content && node.staged !== undefined ? undefined : this.#journal.version(node);
        const { fileId, versionId, lengthBytes, modified, created, sha256 } = node;
        transaction.put<TreeFile>({ ...node, fileId: undefined, versionId: undefined });
        transaction.putRecord({ ...cleared, content: true, sent: [], replaced: [], copyOf: copyOf(node, version) });
        const gone = { kind: 'file', fileId, versionId, lengthBytes, modified, created, sha256, path } as const;
        this.#leave(transaction, { inode: left, kind: 'file' }, record.at, gone, {
          sinceMs: record.sinceMs,
          confirmedAtMs: record.confirmedAtMs,
          after: inode,
          sent: record.sent,
          replaced: record.replaced,
        });
        return;
      }
      if (node.remote === undefined) return;
      const listedAt = this.#journal.tree.listing(inode)?.moment;
      const gone = { kind: 'directory', ...node.remote, listedAt, path } as const;
      // Listings that lag behind its making do not prove that it is gone.
      const { sinceMs, confirmedAtMs } = record;
      this.#leave(transaction, { inode: left, kind: 'directory' }, record.at, gone, { sinceMs, confirmedAtMs });
      transaction.put<TreeDirectory>({ ...node, remote: undefined });
      transaction.putRecord(cleared);
      this.#rehome(transaction, record, left);
    });
  }

  failed(inode: number, kind: RemoteErrorKind, message: string): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record !== undefined)
        transaction.updateRecord({ ...record, failed: { kind, message, sinceMs: this.#nowMs() } });
    });
  }

  /** A folder removed here holds what nobody here has seen: it comes back with that, and the other removals go on one by one. */
  resurrect(record: PendingRecord): void {
    this.#journal.change('service', (transaction) => {
      for (let at: PendingRecord | undefined = record; at?.gone?.kind === 'directory' && at.at !== undefined;) {
        const { syncpointId, folderId } = at.gone;
        if (folderId === undefined) return;
        const parent: PendingRecord | undefined = transaction.record(at.at.parent);
        const name = this.#freeName(at.at, at.inode);
        transaction.put<TreeDirectory>({
          kind: 'directory',
          inode: at.inode,
          parent: at.at.parent,
          name,
          remoteName: at.at.name,
          remote: { syncpointId, folderId },
          syncpoint: undefined,
          modified: timestampOf(this.#nowMs()),
          local: undefined,
        });
        transaction.dropRecord(at.inode);
        at = parent;
      }
    });
  }

  /** Children keep their place at the service, which is the folder left behind; they are to follow it, since it went. */
  #rehome(transaction: JournalTransaction, { inode: directory, sinceMs }: PendingRecord, left: number): void {
    for (const child of [...this.#journal.tree.children(directory)]) {
      if (transaction.record(child.inode) !== undefined) continue;
      const at = { parent: left, name: child.remoteName };
      transaction.putRecord({ ...this.#journal.freshRecord(child, this.#nowMs()), sinceMs, at });
    }
    for (const { inode } of [...this.#journal.index.inFolder(directory)]) {
      const record = transaction.record(inode);
      if (record === undefined) continue;
      const asked = record.asked.map((place) => (place.parent === directory ? { ...place, parent: left } : place));
      if (record.at?.parent !== directory) {
        transaction.updateRecord({ ...record, asked });
        continue;
      }
      const moved = { ...record, asked, at: { parent: left, name: record.at.name } };
      if (record.doneAtMs === undefined || record.gone !== undefined) transaction.updateRecord(moved);
      else transaction.putRecord({ ...moved, sinceMs, doneAtMs: undefined });
    }
  }

  #leave(
    transaction: JournalTransaction,
    object: { readonly inode: number; readonly kind: PendingRecord['kind'] },
    at: RemotePlace,
    gone: NonNullable<PendingRecord['gone']>,
    more: Partial<Pick<PendingRecord, 'confirmedAtMs' | 'sinceMs' | 'after' | 'sent' | 'replaced'>> = {},
  ): void {
    transaction.putRecord({ ...blankRecord(object, at, this.#nowMs()), gone, ...more });
  }

  /** A place that only a reply without ids told of is no place known. */
  #knownPlace(record: PendingRecord): RemotePlace | undefined {
    const node = this.#journal.tree.node(record.inode);
    return node?.kind === 'file' && node.versionId === undefined ? undefined : record.at;
  }

  #freeName(place: RemotePlace, inode: number): string {
    const { tree } = this.#journal;
    let name = place.name;
    for (let holder = tree.child(place.parent, name); holder !== undefined && holder.inode !== inode;) {
      name = `${name} #${inode}`;
      holder = tree.child(place.parent, name);
    }
    return name;
  }

  #pathOf(place: RemotePlace): string {
    const parent = this.#journal.tree.node(place.parent);
    const gone = this.#journal.get(place.parent)?.gone;
    const above = parent === undefined ? (gone?.path ?? '') : this.#journal.tree.path(parent);
    return `${above === '/' ? '' : above}/${place.name}`;
  }
}

/** What the new object's content is read from, where it is not on this machine. */
function copyOf(node: TreeFile, version: ContentReference | undefined): ContentReference | undefined {
  return node.staged === undefined ? version : undefined;
}
