// Where a listing meets what is pending here: decides, entry by entry, whether the listing, the local state or both win, and has that
// written down. J7: a remote change under a pending local one keeps both. A listing counts as of when its request was sent: what the
// service confirmed later, or within the lag window before, keeps its state.
import { foldName } from '../../base/fold-name.ts';
import { createLog } from '../../base/log.ts';
import type { RemoteEntry, RemoteFile, RemoteFolder } from '../../remote-drive.ts';
import type { Journal } from '../journal.ts';
import type { TreeDirectory, TreeFile, TreeNode } from '../tree.ts';
import { ListingOutcomes, type ListedFolder } from './listing-outcomes.ts';
import type { Naming } from './naming.ts';
import {
  isAlikePlace,
  isWantedAt,
  samePlace,
  sentPlaces,
  type PendingRecord,
  type RemotePlace,
} from './pending-record.ts';
import { isOnlyMoved, isRemovedAfterMove, sentAs, sentInPartAs, storedAs } from './sent-content.ts';

const log = createLog('reconcile');

/** What becomes of a listing's entry: merged as any other, or nothing, because what is known here stands. */
export type Verdict = 'merge' | 'skip';

export interface ReconcileOptions extends ListedFolder {
  /** The whole listing. */
  readonly entries: readonly RemoteEntry[];
}

export class Reconciliation {
  readonly #journal: Journal;
  readonly #naming: Naming;
  readonly #directory: TreeDirectory;
  readonly #entries: readonly RemoteEntry[];
  readonly #listedAtMs: number;
  readonly #outcomes: ListingOutcomes;
  /** Objects with a record that the listing shows, wherever they are here. */
  readonly #seen = new Set<number>();
  /** Files that the listing shows, by name; made when first asked for. */
  #filesByName: ReadonlyMap<string, readonly RemoteFile[]> | undefined;
  #againAtMs: number | undefined;

  constructor(options: ReconcileOptions) {
    this.#journal = options.journal;
    this.#naming = options.naming;
    this.#directory = options.directory;
    this.#entries = options.entries;
    this.#listedAtMs = options.listedAtMs;
    this.#outcomes = new ListingOutcomes(options);
  }

  /** False while nothing is pending in the folder: then every entry is merged. */
  get needed(): boolean {
    return this.#journal.index.hasPending(this.#directory.inode);
  }

  /** Wall clock, ms: when what was believed against the listing is to be held against another one; undefined: nothing was. */
  get againAtMs(): number | undefined {
    return this.#againAtMs;
  }

  /** Decides on one entry, and does what follows for the objects here. `known`: the node of this folder that has its id. */
  entry(entry: RemoteEntry, known: TreeNode | undefined): Verdict {
    return this.pending(entry, known) === 'skip' ? 'skip' : this.#newHere(entry, known);
  }

  /**
   * Decides on a folder that the listing shows in place of another one, which was here under that name: where anything of that one is
   * pending, the two are one, as two of one name always are. `skip`: they are, or the listing may lag.
   */
  succeeds(entry: RemoteFolder, former: TreeDirectory): Verdict {
    const record = this.#journal.get(former.inode);
    if (record !== undefined && (this.#isBelieved(record) || record.asked.length > 0)) return 'skip';
    if (!this.#journal.hasPendingBelow(former.inode)) return 'merge';
    log('%s is another folder at the service by now', this.#journal.tree.path(former));
    const fresh = { ...this.#journal.freshRecord(former, Date.now()), revision: 0 };
    this.#outcomes.adoptFolder(entry, record ?? fresh, former);
    return 'skip';
  }

  /** True for a node of this folder that the listing does not show and that stays nevertheless. */
  keeps(node: TreeNode): boolean {
    const record = this.#journal.get(node.inode);
    if (node.kind === 'directory' && this.#journal.hasPendingBelow(node.inode)) return true;
    if (record === undefined || this.#isReplaced(node, record)) return false;
    return (
      record.doneAtMs === undefined || this.#journal.isWithinLag(record, this.#listedAtMs) || record.asked.length > 0
    );
  }

  /** The same for an entry that something is pending for; undefined for another one. */
  pending(entry: RemoteEntry, known?: TreeNode): Verdict | undefined {
    const byId = this.#recordOf(entry, known);
    if (byId === undefined) return undefined;
    this.#seen.add(byId.inode);
    if (byId.gone === undefined) return this.#livingHere(entry, byId);
    const verdict = this.#removedHere(entry, byId);
    if (verdict !== undefined) return verdict;
    // Services may give the id of what was removed to what is stored there next, of which that is a former version then.
    const sent = this.#sentHere(entry);
    if (sent === undefined) return undefined;
    const { gone } = byId;
    const former = gone.kind === 'file' && gone.versionId !== undefined ? [gone.versionId] : [];
    const next = { ...sent, replaced: [...sent.replaced, ...former] };
    this.#seen.add(next.inode);
    return next.gone === undefined ? this.#livingHere(entry, next) : this.#removedHere(entry, next);
  }

  /**
   * Decides on a node of this folder that the listing does not show. `merge`: it goes. `isDouble`: the listing shows its object as another
   * node, however much it may lag.
   */
  missing(node: TreeNode, isDouble = false): Verdict {
    const record = this.#journal.get(node.inode);
    if (record === undefined) {
      if (node.kind === 'file' || !this.#journal.hasPendingBelow(node.inode)) return 'merge';
      this.#outcomes.strand(node);
      return 'skip';
    }
    const mayLag = !isDouble && (this.#isBelieved(record) || record.asked.length > 0);
    if (mayLag && !this.#isReplaced(node, record)) return 'skip';
    if (record.doneAtMs !== undefined && node.kind === 'file') return 'merge';
    this.#outcomes.vanished(node, record);
    return 'skip';
  }

  /** What lies here at the service and elsewhere, or nowhere, on this machine, and was not in the listing. */
  missingElsewhere(seen: ReadonlySet<number>): void {
    // While entries were merged, an object may have left its old self behind under a new number.
    const listed = new Set(this.#entries.map(({ kind, id }) => `${kind === 'file' ? 'file' : 'directory'} ${id}`));
    for (const record of [...this.#journal.index.inFolder(this.#directory.inode)]) {
      if (seen.has(record.inode) || this.#seen.has(record.inode) || record.at?.parent !== this.#directory.inode)
        continue;
      if (
        record.doneAtMs !== undefined ||
        this.#journal.isWithinLag(record, this.#listedAtMs) ||
        sentPlaces(record).length > 0
      )
        continue;
      if (listed.has(this.#journal.index.remoteId(record.inode) ?? '')) continue;
      if (record.gone !== undefined) {
        this.#outcomes.removalIsOver(record);
        continue;
      }
      const node = this.#journal.tree.node(record.inode);
      if (node === undefined || node.parent === this.#directory.inode) continue;
      this.#outcomes.vanished(node, record);
    }
  }

  /** The folder was removed here, and the service says that it is gone: nothing is left to be removed, in it neither. */
  folderIsGone(): void {
    const record = this.#journal.get(this.#directory.inode);
    if (record?.gone !== undefined && !this.#journal.isWithinLag(record, this.#listedAtMs))
      this.#outcomes.removalIsOver(record);
  }

  /** The living node with the id of an entry, if something is, or was lately, pending for it. */
  known(entry: RemoteEntry): TreeNode | undefined {
    const record = this.#recordOf(entry);
    return record === undefined || record.gone !== undefined ? undefined : this.#journal.tree.node(record.inode);
  }

  /** The record of the object with that id, a living one before a removed one. `known`: the node of this folder that has it. */
  #recordOf(entry: RemoteEntry, known?: TreeNode): PendingRecord | undefined {
    const byId = this.#journal.index
      .withRemoteId(entry.kind === 'file' ? 'file' : 'directory', entry.id)
      .filter((record) => !this.#isOver(record));
    const living = byId.filter(({ gone }) => gone === undefined);
    // Of two that are one file at the service, the one that came to be stored last.
    const last = living.toSorted((a, b) => (b.confirmedAtMs ?? 0) - (a.confirmedAtMs ?? 0))[0];
    if (last !== undefined && entry.kind === 'file' && !this.#isLike(last, entry)) {
      // Services may give what is stored next the id of what others removed, and tell nobody.
      const stored = living.find(({ inode }) => this.#hasVersion(inode, entry)) ?? this.#sentHere(entry);
      return stored ?? (known !== undefined && this.#hasVersion(known.inode, entry) ? undefined : last);
    }
    if (last !== undefined || byId.length > 0) return last ?? byId[0];
    if (known !== undefined && entry.kind === 'folder') return undefined;
    return this.#sentHere(entry);
  }

  /** True for a version that a file has, had, or was sent as. */
  #isLike(record: PendingRecord, entry: RemoteFile): boolean {
    const { inode, replaced, sent } = record;
    const node = this.#journal.tree.node(inode);
    if (this.#hasVersion(inode, entry) || replaced.includes(entry.versionId)) return true;
    const here: RemotePlace = { parent: this.#directory.inode, name: entry.name };
    return sentAs(sent, entry) !== undefined || (node?.kind === 'file' && isOnlyMoved(entry, here, record, node));
  }

  #hasVersion(inode: number, { versionId }: RemoteFile): boolean {
    const node = this.#journal.tree.node(inode);
    return node?.kind === 'file' && node.versionId === versionId;
  }

  /** True for the guard of what is not in this folder here, whose time was over when the listing was asked for: the listing wins. */
  #isOver(record: PendingRecord): boolean {
    const { doneAtMs, asked, gone, inode } = record;
    if (doneAtMs === undefined || asked.length > 0 || this.#journal.isWithinLag(record, this.#listedAtMs)) return false;
    return gone !== undefined || this.#journal.tree.node(inode)?.parent !== this.#directory.inode;
  }

  /** The record of an object whose ids were never told, and that may have been moved or removed here while it was under way. */
  #sentHere(entry: RemoteEntry): PendingRecord | undefined {
    const here = { parent: this.#directory.inode, name: entry.name };
    const near = this.#journal.index.sentNear(here);
    const sentTo = (isHere: (place: RemotePlace) => boolean): PendingRecord | undefined =>
      near.find((record) =>
        entry.kind === 'file'
          ? sentAs(
              record.sent.filter(({ place }) => isHere(place)),
              entry,
            ) !== undefined
          : record.asked.some(isHere) && this.#isUnknownFolder(record),
      );
    // Services may compose accents, and keep the case that a name had there.
    return sentTo((place) => samePlace(place, here)) ?? sentTo((place) => isAlikePlace(place, here));
  }

  #isUnknownFolder({ inode, gone }: PendingRecord): boolean {
    if (gone !== undefined) return gone.kind === 'directory' && gone.folderId === undefined;
    const node = this.#journal.tree.node(inode);
    return node?.kind === 'directory' && node.remote === undefined;
  }

  /** True where what the service confirmed of an object stands against the listing, which may lag: another one will tell. */
  #isBelieved(record: PendingRecord): boolean {
    if (!this.#journal.isWithinLag(record, this.#listedAtMs)) return false;
    // What is still pending is looked for anyway.
    if (record.doneAtMs !== undefined) this.#againAtMs = Math.max(this.#againAtMs ?? 0, this.#journal.lagEndMs(record));
    return true;
  }

  /** True where the listing shows another file in the place of one that is stored as wanted: it does not lag, that one is gone. */
  #isReplaced(node: TreeNode, { doneAtMs }: PendingRecord): boolean {
    if (node.kind !== 'file' || doneAtMs === undefined) return false;
    this.#filesByName ??= byName(this.#entries);
    const here = this.#filesByName.get(node.remoteName) ?? [];
    return here.some((entry) => entry.id !== node.fileId && !this.#isFormer(entry));
  }

  /** Decides on an entry that is an object of ours, which was not removed here. */
  #livingHere(entry: RemoteEntry, record: PendingRecord): Verdict | undefined {
    this.#endRemovalsOf(entry, record);
    if (this.#isRemovedSelf(entry, record)) return 'skip';
    const node = this.#journal.tree.node(record.inode);
    if (node?.kind === 'file') return entry.kind === 'file' ? this.#knownFile(entry, record, node) : undefined;
    if (node === undefined) return undefined;
    if (entry.kind === 'file' || node.remote !== undefined) return this.#knownFolder(entry, record, node);
    this.#outcomes.adoptFolder(entry, record, node);
    return 'skip';
  }

  /** Undefined where the removal is over, and the entry is one as any other that is new here. */
  #removedHere(entry: RemoteEntry, record: PendingRecord): Verdict | undefined {
    const { gone } = record;
    if (record.doneAtMs !== undefined) this.#isBelieved(record);
    if (entry.kind === 'folder' && gone?.kind === 'directory' && gone.folderId === undefined) {
      this.#outcomes.removedFolderWasMade(record, gone, entry.id);
    }
    if (entry.kind === 'folder' && !this.#adoptMoved(entry, record)) this.#outcomes.removedIsAt(record, entry.name);
    if (entry.kind === 'folder' || gone?.kind !== 'file') return 'skip';
    const known = entry.versionId === gone.versionId || record.replaced.includes(entry.versionId);
    if (known) return 'skip';
    const ours = sentAs(record.sent, entry);
    if (ours !== undefined || isRemovedAfterMove(record, entry)) {
      this.#outcomes.removedFileIsNow(entry, record, gone, ours);
      return 'skip';
    }
    log('%s was removed here and changed at the service: it is back', gone.path);
    this.#outcomes.removalIsOver(record);
    return undefined;
  }

  /** Others moved a folder that is to be removed to where another one is to be made: it is that one. */
  #adoptMoved(entry: RemoteFolder, { at, asked, doneAtMs }: PendingRecord): boolean {
    const here: RemotePlace = { parent: this.#directory.inode, name: entry.name };
    const isMoved = at !== undefined && [at, ...asked].every((place) => !samePlace(place, here));
    const holder = isMoved && doneAtMs === undefined ? this.#localHolder(entry.name) : undefined;
    if (holder?.node.kind !== 'directory' || holder.record.at !== undefined) return false;
    this.#outcomes.adoptFolder(entry, holder.record, holder.node);
    return true;
  }

  /** What was removed here came to be another object's: its removal is over, unless the listing still shows what was to be removed. */
  #endRemovalsOf(entry: RemoteEntry, living: PendingRecord): void {
    for (const record of this.#journal.removals(entry.kind === 'file' ? 'file' : 'directory', entry.id))
      if (record.inode !== living.inode) this.#removedHere(entry, record);
  }

  /**
   * True for a version that was removed here while its file was stored anew under another name, which a service may take for the same file:
   * listings may still show it.
   */
  #isRemovedSelf(entry: RemoteEntry, living: PendingRecord): boolean {
    if (entry.kind !== 'file') return false;
    return this.#journal.index.withRemoteId('file', entry.id).some((record) => {
      const { inode, gone, replaced, doneAtMs } = record;
      if (inode === living.inode || gone?.kind !== 'file') return false;
      const isRemoved = gone.versionId === entry.versionId || replaced.includes(entry.versionId);
      return isRemoved && (doneAtMs === undefined || this.#isBelieved(record));
    });
  }

  #knownFile(entry: RemoteFile, record: PendingRecord, node: TreeFile): Verdict {
    const here: RemotePlace = { parent: this.#directory.inode, name: entry.name };
    const stale = record.replaced.includes(entry.versionId);
    const same = entry.versionId === node.versionId || isOnlyMoved(entry, here, record, node);
    if (record.doneAtMs !== undefined) {
      // What was stored here last and a name that it never had here: no listing that lags shows both.
      if (same && !stale && this.#isRenamedByOthers(here, record, node)) {
        this.#outcomes.follow(entry, record, node);
        return 'merge';
      }
      if (same && isWantedAt(node, here)) return 'merge';
      if (!stale && isWantedAt(node, here)) {
        // Theirs, or what ours has replaced unseen, if the listing lags: another one will tell.
        this.#isBelieved(record);
        return 'merge';
      }
      if (this.#isBelieved(record)) return 'skip';
      return node.parent === this.#directory.inode ? 'merge' : 'skip';
    }
    // What the service had already is no new version: it may be the one known, or, as a listing shows that does not lag, a former one.
    const present = sentAs(
      record.sent.filter(({ already }) => already === true),
      entry,
    );
    if (stale && (present === undefined || this.#journal.isWithinLag(record, this.#listedAtMs))) return 'skip';
    const sent = same ? present : sentAs(record.sent, entry);
    if (same || sent !== undefined) {
      const followed = this.#isRenamedByOthers(here, record, node)
        ? this.#outcomes.follow(entry, record, node)
        : undefined;
      this.#outcomes.adopt(entry, followed?.record ?? record, followed?.node ?? node, sent);
      return 'skip';
    }
    const part = sentInPartAs(record.sent, entry);
    if (part !== undefined) {
      this.#outcomes.replacePart(entry, record, node, part);
      return 'skip';
    }
    if (record.content && record.onlyTime !== true) {
      this.#outcomes.conflict(node, record);
      return 'merge';
    }
    this.#outcomes.newContent(entry, { ...record, content: false, onlyTime: undefined, session: undefined }, node);
    return 'skip';
  }

  /** True for a file whose name nobody here changed, and that has another one in its folder; a listing that lags may show a former one. */
  #isRenamedByOthers(here: RemotePlace, record: PendingRecord, node: TreeFile): boolean {
    const { at, asked, via, was } = record;
    if (at?.parent !== here.parent || at.name === here.name || !isWantedAt(node, at)) return false;
    const mayLag = this.#journal.isWithinLag(record, this.#listedAtMs) && was.some((place) => samePlace(place, here));
    return via === undefined && asked.length === 0 && !mayLag;
  }

  #knownFolder(entry: RemoteEntry, record: PendingRecord, node: TreeDirectory): Verdict {
    const here: RemotePlace = { parent: this.#directory.inode, name: entry.name };
    if (record.doneAtMs !== undefined) {
      if (isWantedAt(node, here)) return 'merge';
      return this.#isBelieved(record) || node.parent !== this.#directory.inode ? 'skip' : 'merge';
    }
    this.#outcomes.seen(record, node, entry.name);
    return 'skip';
  }

  /** An entry of which nothing is pending here, but what has its name here may be. */
  #newHere(entry: RemoteEntry, known: TreeNode | undefined): Verdict {
    if (entry.kind === 'file') {
      if (this.#isFormer(entry)) return 'skip';
      this.#dropRemovalsAt(entry);
    }
    const holder = this.#localHolder(entry.name);
    if (holder === undefined) return 'merge';
    const { node, record } = holder;
    const here: RemotePlace = { parent: this.#directory.inode, name: entry.name };
    if (node.kind === 'directory' && entry.kind === 'folder' && record.at === undefined && known === undefined) {
      this.#outcomes.adoptFolder(entry, record, record.via === undefined ? this.#spelledAs(entry, node) : node);
      return 'skip';
    }
    if (node.kind === 'file' && entry.kind === 'file' && !this.#isAnothers(entry, known, node)) {
      const sent = sentAs(record.sent, entry);
      const same = entry.versionId === node.versionId;
      if (
        same ||
        (sent !== undefined && (record.at === undefined || node.versionId === undefined || samePlace(record.at, here)))
      ) {
        this.#outcomes.adopt(entry, record, node, sent);
        return 'skip';
      }
      const part = sentInPartAs(record.sent, entry);
      if (part !== undefined) {
        this.#outcomes.replacePart(entry, record, node, part);
        return 'skip';
      }
      const stored = storedAs(
        record.sent.filter(({ place }) => samePlace(place, here)),
        entry,
      );
      if (stored !== undefined) {
        this.#outcomes.adopt(entry, record, node, stored, false);
        return 'skip';
      }
    }
    if (node.kind === 'file' && record.onlyTime === true && record.content) {
      this.#outcomes.vanished(node, record);
      return 'merge';
    }
    // A temporary name at the service is nobody's but ours; the name that it leads to is anybody's.
    if (record.via === undefined || !samePlace(record.via, here))
      this.#outcomes.conflict(node, record, record.at === undefined || samePlace(record.at, here));
    return 'merge';
  }

  /** True for the version that another file here has: whatever it looks like, no upload of this one made it. */
  #isAnothers({ id, versionId }: RemoteFile, known: TreeNode | undefined, { inode }: TreeFile): boolean {
    const { index, tree } = this.#journal;
    const living = index.withRemoteId('file', id).filter(({ gone }) => gone === undefined);
    return [known, ...living].some((one) => {
      const other = one === undefined || one.inode === inode ? undefined : tree.node(one.inode);
      return other?.kind === 'file' && other.versionId === versionId;
    });
  }

  /** Two folders of one name become one, under the name that the service has. */
  #spelledAs(entry: RemoteFolder, node: TreeDirectory): TreeDirectory {
    const name = this.#naming.fit(entry.name, entry.id);
    const holder = this.#journal.tree.child(node.parent, name);
    return holder === undefined ? { ...node, name, remoteName: entry.name } : node;
  }

  /** A service may give a file another id with each version. True for a version replaced here, which listings may still show. */
  #isFormer(entry: RemoteFile): boolean {
    return this.#journal.index.at({ parent: this.#directory.inode, name: entry.name }).some((record) => {
      const { gone, replaced, doneAtMs } = record;
      const former =
        replaced.includes(entry.versionId) || (gone?.kind === 'file' && gone.versionId === entry.versionId);
      return former && (doneAtMs === undefined || this.#isBelieved(record));
    });
  }

  /** What took the place of a file removed here is not what was removed: that removal has nothing left to do. */
  #dropRemovalsAt(entry: RemoteFile): void {
    for (const record of this.#journal.index.at({ parent: this.#directory.inode, name: entry.name })) {
      const { gone, doneAtMs, sent } = record;
      if (gone?.kind !== 'file' || gone.versionId === undefined || doneAtMs !== undefined) continue;
      if (sent.length > 0 || this.#entries.some(({ kind, id }) => kind === 'file' && id === gone.fileId)) continue;
      log('%s was removed here and replaced at the service: it is back', gone.path);
      this.#outcomes.removalIsOver(record);
    }
  }

  /** A node of this folder under that name which the service does not have there. */
  #localHolder(name: string): { node: TreeNode; record: PendingRecord } | undefined {
    const goingRound = this.#journal.index.goingBy({ parent: this.#directory.inode, name });
    const itsNode = goingRound === undefined ? undefined : this.#journal.tree.node(goingRound.inode);
    if (goingRound !== undefined && itsNode !== undefined) return { node: itsNode, record: goingRound };
    for (const shown of new Set([name, name.normalize('NFC'), name.normalize('NFD')])) {
      const node = this.#journal.tree.child(this.#directory.inode, this.#naming.fit(shown, ''));
      const record = node === undefined ? undefined : this.#journal.get(node.inode);
      if (node === undefined || record === undefined || record.doneAtMs !== undefined) continue;
      return { node, record };
    }
    return this.#alike(name);
  }

  /**
   * A node that is to have a name at the service which differs from this one by case alone: who is blind to that would take the two for one,
   * refuse the second or put it over the first.
   */
  #alike(name: string): { node: TreeNode; record: PendingRecord } | undefined {
    const { index, tree } = this.#journal;
    for (const record of index.wantedNear({ parent: this.#directory.inode, name })) {
      const node = tree.node(record.inode);
      if (node === undefined || record.doneAtMs !== undefined || record.localOnly) continue;
      // Where the service has both, it tells them apart. Under a name that is not alike it may have this one as well.
      const present =
        record.at?.parent === this.#directory.inode ? [node.remoteName, record.at.name] : [node.remoteName];
      const own = present.filter((one) => foldName(one) === foldName(name));
      if (this.#entries.some((entry) => entry.name !== name && own.includes(entry.name))) continue;
      return { node, record };
    }
    return undefined;
  }
}

function byName(entries: readonly RemoteEntry[]): Map<string, RemoteFile[]> {
  const files = new Map<string, RemoteFile[]>();
  for (const entry of entries) {
    if (entry.kind !== 'file') continue;
    const sameName = files.get(entry.name);
    if (sameName === undefined) files.set(entry.name, [entry]);
    else sameName.push(entry);
  }
  return files;
}
