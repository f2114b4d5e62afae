// Brings one complete listing of a folder into the tree: entries keep their inode by remote id, names are made fit and
// unique, the rest is added, changed or removed. Works in slices of one transaction each and yields between them.
import { Slices } from '../../base/event-loop.ts';
import { timestampOf, type RemoteEntry, type RemoteFile, type RemoteSyncpoint } from '../../remote-drive.ts';
import type { Journal } from '../journal.ts';
import {
  SLICE_NODES,
  type ListingTime,
  type SyncpointFacts,
  type Tree,
  type TreeDirectory,
  type TreeFile,
  type TreeNode,
} from '../tree.ts';
import type { Naming } from './naming.ts';
import { Reconciliation } from './reconcile.ts';
import { sameNode } from './records.ts';
import { shownSyncpoints } from './shown-syncpoints.ts';

/** Has one composition only. */
const PLAIN_NAME = /^[\x20-\x7e]*$/;

/** An entry to be merged: everything but its inode and its final name. */
type Candidate = {
  readonly id: string;
  /** What tells it from others of its name. */
  readonly mark: string;
  readonly wished: string;
  /** As the listing has it; of what was known before, `before` keeps what is of this machine. */
  readonly build: (before: TreeNode | undefined, name: string) => TreeNode;
  /** Undefined for syncpoints: nothing is ever pending for those. */
  readonly entry: RemoteEntry | undefined;
};

/** A folder went, or became another one at the service, while its listing was brought or merged, and the listing says nothing of that one. */
export class FolderReplaced extends Error {
  constructor() {
    super('the folder is gone, or another one at the service by now');
  }
}

/** Merges the content of a folder as of when it was asked for. True if anything changed. Rejects with {@link FolderReplaced}. */
export async function mergeFolder(
  journal: Journal,
  naming: Naming,
  directory: TreeDirectory,
  listed: readonly RemoteEntry[],
  asked: ListingTime,
): Promise<boolean> {
  const { remote } = directory;
  if (remote === undefined) throw new Error('only folders that the service has are listed');
  const now = timestampOf(Date.now());
  const entries = await inOwnSpelling(journal, naming, directory, listed);
  const candidates = function* (): Generator<Candidate> {
    for (const entry of entries) {
      yield {
        id: entry.kind === 'file' ? `f${entry.id}` : `d${entry.id}`,
        mark: entry.id,
        wished: naming.fit(entry.name, entry.id),
        entry,
        build: (before, name): TreeNode =>
          entry.kind === 'file'
            ? fileOf(entry, before, directory.inode, name)
            : {
                kind: 'directory',
                inode: before?.inode ?? 0,
                parent: directory.inode,
                name,
                remoteName: entry.name,
                remote: { syncpointId: remote.syncpointId, folderId: entry.id },
                syncpoint: undefined,
                modified: before?.modified ?? now,
                local: before?.local,
              },
      };
    }
  };
  const { listedAtMs } = asked;
  const reconciliation = new Reconciliation({ journal, naming, directory, entries, listedAtMs });
  return merge(journal, naming, directory, asked, candidates(), reconciliation);
}

/**
 * A service may compose accents as it likes: what has another composition of its name here keeps the one it has here, also as a name
 * at the service, for it would be renamed for ever.
 */
async function inOwnSpelling(
  journal: Journal,
  naming: Naming,
  directory: TreeDirectory,
  entries: readonly RemoteEntry[],
): Promise<readonly RemoteEntry[]> {
  const { tree } = journal;
  const { inode: parent } = directory;
  const work = new MergeWork(tree, directory);
  const isKnown = (name: string): boolean =>
    tree.child(parent, naming.fit(name, '')) !== undefined || journal.index.at({ parent, name }).length > 0;
  let listed: Set<string> | undefined;
  const spelled: RemoteEntry[] = [];
  for (const entry of entries) {
    const { name } = entry;
    const others = PLAIN_NAME.test(name) ? [] : [name.normalize('NFC'), name.normalize('NFD')];
    const differing = others.filter((other) => other !== name);
    if (differing.length === 0 || isKnown(name)) spelled.push(entry);
    else {
      const names = (listed ??= new Set(entries.map((one) => one.name)));
      const own = differing.find((other) => !names.has(other) && isKnown(other));
      spelled.push(own === undefined ? entry : { ...entry, name: own });
    }
    if (work.due) await work.pause();
  }
  return spelled;
}

/** A file as listed; times, content and hash kept here are bound to a version. */
function fileOf(entry: RemoteFile, before: TreeNode | undefined, parent: number, name: string): TreeFile {
  const known = before?.kind === 'file' ? before : undefined;
  const same = known?.versionId === entry.versionId;
  let local = known?.local;
  if (!same && local !== undefined) local = { ...local, modified: undefined, changed: undefined };
  return {
    kind: 'file',
    inode: before?.inode ?? 0,
    parent,
    name,
    remoteName: entry.name,
    fileId: entry.id,
    versionId: entry.versionId,
    lengthBytes: entry.lengthBytes,
    modified: entry.modified,
    created: entry.created,
    sha256: same ? known.sha256 : undefined,
    staged: same ? known.staged : undefined,
    local,
  };
}

/**
 * Merges the list of syncpoints into the root. A syncpoint whose enclosing one is visible is reached through it and not shown
 * again; names that several share get ` (owner)`, then ` #id`, whatever the order of the list.
 */
export function mergeSyncpoints(
  journal: Journal,
  naming: Naming,
  syncpoints: readonly RemoteSyncpoint[],
  asked: ListingTime,
): Promise<boolean> {
  const { tree } = journal;
  const now = timestampOf(Date.now());
  let seenAt: number | undefined;
  const lastEventOf = (
    syncpoint: RemoteSyncpoint,
    before: TreeNode | undefined,
  ): Pick<SyncpointFacts, 'lastEvent' | 'lastEventMoment'> => {
    const lastEvent = eventOf(syncpoint, syncpoints);
    if (lastEvent === undefined) return { lastEvent, lastEventMoment: 0 };
    const known = before?.kind === 'directory' ? before.syncpoint : undefined;
    const isSame = known !== undefined && known.lastEvent === lastEvent;
    if (isSame && known.lastEventMoment <= tree.moment) return { lastEvent, lastEventMoment: known.lastEventMoment };
    // It happened before now: what is listed from now on is later.
    seenAt ??= tree.advance();
    return { lastEvent, lastEventMoment: seenAt };
  };
  const candidates = function* (): Generator<Candidate> {
    for (const { syncpoint, name: wished } of shownSyncpoints(naming, syncpoints)) {
      yield {
        id: `d${syncpoint.id}/${syncpoint.rootFolderId}`,
        mark: syncpoint.id,
        wished,
        entry: undefined,
        build: (before, name): TreeNode => ({
          kind: 'directory',
          inode: before?.inode ?? 0,
          parent: tree.root().inode,
          name,
          remoteName: syncpoint.name,
          remote: { syncpointId: syncpoint.id, folderId: syncpoint.rootFolderId },
          syncpoint: {
            permission: syncpoint.permission,
            vaultId: syncpoint.vaultId,
            owner: syncpoint.owner,
            ...lastEventOf(syncpoint, before),
          },
          modified: before?.modified ?? now,
          local: before?.local,
        }),
      };
    }
  };
  return merge(journal, naming, tree.root(), asked, candidates(), undefined);
}

/** The last event of what is shown as one syncpoint: also of the ones in it that are syncpoints of their own, should its own not tell. */
function eventOf(syncpoint: RemoteSyncpoint, all: readonly RemoteSyncpoint[]): string | undefined {
  if (syncpoint.lastEvent === undefined) return undefined;
  const inside = all
    .filter(({ parentId }) => parentId === syncpoint.id)
    .toSorted((one, other) => byIdValue(one.id, other.id))
    .map((one) => `${one.id}:${eventOf(one, all) ?? ''}`);
  return [syncpoint.lastEvent, ...inside].join(' ');
}

async function merge(
  journal: Journal,
  naming: Naming,
  folder: TreeDirectory,
  asked: ListingTime,
  entries: Iterable<Candidate>,
  reconciliation: Reconciliation | undefined,
): Promise<boolean> {
  const { tree } = journal;
  const { inode: directory } = folder;
  const first = tree.listing(directory) === undefined;
  const work = new MergeWork(tree, folder);
  const { existing, doubles } = await readExisting(journal, directory, work);
  const { candidates, names } = await assignNames(naming, entries, existing, work);
  const listedHere = new Set([...existing.values()].map(({ inode }) => inode));
  const formers = new Formers(journal, directory, existing, candidates);
  const seen = new Set<number>();
  let put: TreeNode[] = [];
  let changed = false;
  // What is decided is stored before others are let in: they may change what it was decided on.
  const store = async (): Promise<void> => {
    if (put.length > 0) {
      tree.apply(put, [], first);
      changed = true;
      put = [];
    }
    await work.pause();
  };
  for (const candidate of candidates) {
    const { id, mark, wished, build, entry } = candidate;
    const listed = existing.get(id);
    existing.delete(id);
    if (listed !== undefined) seen.add(listed.inode);
    const pending = reconciliation?.needed === true;
    if (pending && entry !== undefined && reconciliation.entry(entry, listed) === 'skip') {
      const holder = listed === undefined ? undefined : reconciliation.known(entry);
      if (listed !== undefined && holder !== undefined && holder.inode !== listed.inode) doubles.push(listed.inode);
      if (work.due) await store();
      continue;
    }
    // Programs may have changed it while this merge paused, or it came to be stored.
    const known = listed ?? (pending && entry !== undefined ? reconciliation.known(entry) : undefined);
    const present = known === undefined ? undefined : tree.node(known.inode);
    if (known !== undefined && present?.parent !== directory) continue;
    // What was in conflict has left its id to theirs, which is another object from here on.
    const before = present !== undefined && remoteKey(present) === id ? present : undefined;
    const name = names.get(id) ?? wished;
    // T2: what had the name and is not listed any more may stay.
    const former = before?.name === name ? undefined : formers.at(name);
    const isFolder = before === undefined && entry?.kind === 'folder' && former?.kind === 'directory';
    if (isFolder && reconciliation?.succeeds(entry, former) === 'skip') {
      existing.delete(remoteKey(former) ?? '');
      if (work.due) await store();
      continue;
    }
    const stays = former !== undefined && (reconciliation?.keeps(former) ?? journal.hasPendingBelow(former.inode));
    if (stays) listedHere.delete(former.inode);
    const place = { mark, wished: name, directory, inode: before?.inode };
    const node = build(before, pending || stays ? freeName(tree, naming, place, listedHere) : name);
    if (before === undefined || !sameNode(before, node)) put.push(node);
    if (put.length >= SLICE_NODES || work.due) await store();
  }
  await store();
  reconciliation?.missingElsewhere(seen);
  // What is left was not in the listing.
  let removed: TreeNode[] = [];
  const remove = async (): Promise<void> => {
    if (removed.length === 0) return;
    tree.apply([], removed, first);
    changed = true;
    removed = [];
    await work.pause();
  };
  for (const inode of [...[...existing.values()].map((node) => node.inode), ...doubles]) {
    const node = tree.node(inode);
    if (node?.parent !== directory) continue;
    const stays =
      reconciliation === undefined
        ? journal.hasPendingBelow(inode)
        : reconciliation.missing(node, doubles.includes(inode)) === 'skip';
    if (stays) continue;
    removed.push(node);
    if (removed.length >= SLICE_NODES || work.due) await remove();
  }
  await remove();
  tree.completeListing(directory, asked, changed, reconciliation?.againAtMs);
  return changed;
}

/** The name, or another one where a node that is not the service's holds it here: one of the service's gets another one, or goes. */
function freeName(
  tree: Tree,
  naming: Naming,
  candidate: {
    readonly mark: string;
    readonly wished: string;
    readonly directory: number;
    readonly inode: number | undefined;
  },
  listed: ReadonlySet<number>,
): string {
  let name = candidate.wished;
  for (;;) {
    const holder = tree.child(candidate.directory, name);
    if (holder === undefined || holder.inode === candidate.inode || listed.has(holder.inode)) return name;
    name = naming.distinct(name, candidate.mark);
  }
}

/** What a folder had and a listing does not show any more, by name. */
class Formers {
  readonly #journal: Journal;
  readonly #directory: number;
  readonly #existing: ReadonlyMap<string, TreeNode>;
  readonly #candidates: readonly Candidate[];
  #listed: ReadonlySet<string> | undefined;

  /** `existing` is what was not met in the listing yet. */
  constructor(
    journal: Journal,
    directory: number,
    existing: ReadonlyMap<string, TreeNode>,
    candidates: readonly Candidate[],
  ) {
    this.#journal = journal;
    this.#directory = directory;
    this.#existing = existing;
    this.#candidates = candidates;
  }

  /** The one of that name, if it is still there. */
  at(name: string): TreeNode | undefined {
    if (this.#existing.size === 0) return undefined;
    const holder = this.#journal.tree.child(this.#directory, name);
    const key = holder === undefined ? undefined : remoteKey(holder);
    if (holder === undefined || key === undefined || this.#existing.get(key)?.inode !== holder.inode) return undefined;
    // Names that pass from one to another are rare.
    this.#listed ??= new Set(this.#candidates.map(({ id }) => id));
    return this.#listed.has(key) ? undefined : holder;
  }
}

/** The slices of one merge, which ends when the tree is closed, or the folder is no longer the one that was listed. */
class MergeWork {
  readonly #tree: Tree;
  readonly #folder: TreeDirectory;
  readonly #slices = new Slices();

  constructor(tree: Tree, folder: TreeDirectory) {
    this.#tree = tree;
    this.#folder = folder;
    this.#check();
  }

  get due(): boolean {
    return this.#slices.due;
  }

  async pause(): Promise<void> {
    await this.#slices.pause();
    if (this.#tree.closed) throw new Error('the tree was closed while a listing was merged');
    this.#check();
  }

  /**
   * What cannot be moved is stored anew: what lies in its old self would be taken for being in the new one. And a folder that is gone here would
   * have a listing, and children that nobody removes.
   */
  #check(): void {
    const { inode, remote } = this.#folder;
    const present = this.#tree.node(inode);
    const { syncpointId, folderId } = present?.kind === 'directory' ? (present.remote ?? {}) : {};
    if (present === undefined || syncpointId !== remote?.syncpointId || folderId !== remote?.folderId)
      throw new FolderReplaced();
  }
}

/**
 * The folder's present entries that are in it at the service too, by remote id, read a slice at a time: a read transaction must not outlive
 * its turn. What was stored here under a name that others had given a file known here went into that file: of the two, `doubles` has the
 * inode of what the file was before.
 */
async function readExisting(
  journal: Journal,
  directory: number,
  work: MergeWork,
): Promise<{ existing: Map<string, TreeNode>; doubles: number[] }> {
  const { tree } = journal;
  const existing = new Map<string, TreeNode>();
  const doubles: number[] = [];
  let after = 0;
  for (;;) {
    let taken = 0;
    for (const node of tree.children(directory, after)) {
      const key = remoteKey(node);
      if (key !== undefined && journal.place(node.inode)?.parent === directory) {
        const other = existing.get(key);
        existing.set(key, other === undefined ? node : laterStored(journal, other, node));
        if (other !== undefined) doubles.push(existing.get(key) === node ? other.inode : node.inode);
      }
      after = node.inode;
      taken += 1;
      if (taken === SLICE_NODES) break;
    }
    if (taken < SLICE_NODES) return { existing, doubles };
    if (work.due) await work.pause();
  }
}

/** Of two nodes that are one file at the service, the one that came to be stored last. */
function laterStored(journal: Journal, one: TreeNode, other: TreeNode): TreeNode {
  const storedMs = ({ inode }: TreeNode): number => journal.get(inode)?.confirmedAtMs ?? 0;
  return storedMs(one) > storedMs(other) ? one : other;
}

/** Undefined for what the service has not, or has not told the id of. */
function remoteKey(node: TreeNode): string | undefined {
  if (node.kind === 'file') return node.fileId === undefined ? undefined : `f${node.fileId}`;
  if (node.remote === undefined) return undefined;
  return node.syncpoint === undefined
    ? `d${node.remote.folderId}`
    : `d${node.remote.syncpointId}/${node.remote.folderId}`;
}

/**
 * The candidates, and names for those of them that cannot have the one they wish, by id. Of several that wish the same name, the
 * one that has it already keeps it, else the one with the smallest id gets it: the choice does not depend on the order of the
 * listing.
 */
async function assignNames(
  naming: Naming,
  entries: Iterable<Candidate>,
  existing: ReadonlyMap<string, TreeNode>,
  work: MergeWork,
): Promise<{ candidates: Candidate[]; names: Map<string, string> }> {
  const candidates: Candidate[] = [];
  const byName = new Map<string, Candidate>();
  const contested = new Map<string, Candidate[]>();
  for (const candidate of entries) {
    const { wished } = candidate;
    candidates.push(candidate);
    const holder = byName.get(wished);
    if (holder === undefined) byName.set(wished, candidate);
    else contested.set(wished, [...(contested.get(wished) ?? [holder]), candidate]);
    if (work.due) await work.pause();
  }
  const names = new Map<string, string>();
  for (const [wished, rivals] of contested) {
    const keeper =
      rivals.find(({ id }) => existing.get(id)?.name === wished) ??
      rivals.toSorted((one, other) => byIdValue(one.id, other.id))[0];
    for (const candidate of rivals) {
      if (candidate === keeper) continue;
      let name = naming.distinct(wished, candidate.mark);
      while (byName.has(name)) name = naming.distinct(name, candidate.mark);
      byName.set(name, candidate);
      names.set(candidate.id, name);
    }
    if (work.due) await work.pause();
  }
  return { candidates, names };
}

/** Smaller ids first: by length, then by digits, so that decimal strings of any size order as numbers. */
function byIdValue(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}
