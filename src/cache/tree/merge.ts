// Brings one complete listing of a folder into the tree: entries keep their inode by remote id, names are made fit and
// unique, the rest is added, changed or removed. Works in slices of one transaction each and yields between them.
import { Slices } from '../../base/event-loop.ts';
import type { RemoteEntry, RemoteSyncpoint, Timestamp } from '../../remote-drive.ts';
import { SLICE_NODES, type Tree, type TreeDirectory, type TreeNode } from '../tree.ts';
import { sameNode } from './records.ts';

/** How remote names become names of a POSIX directory; given by the file system, which owns that meaning. */
export interface Naming {
  /** A name POSIX can hold, the same for the same remote name and id. */
  fit(remoteName: string, id: string): string;
  /** A name for an entry whose own is taken by another one of the same folder. */
  distinct(name: string, id: string): string;
}

/** An entry to be merged: everything but its inode and its final name. */
type Candidate = {
  readonly id: string;
  readonly wished: string;
  readonly build: (inode: number, name: string) => TreeNode;
};

/** Merges the content of a folder, or throws before anything is written when `signal` aborts. True if anything changed. */
export function mergeFolder(
  tree: Tree,
  naming: Naming,
  directory: TreeDirectory,
  entries: readonly RemoteEntry[],
  listedAtMs: number,
): Promise<boolean> {
  const remote = directory.remote;
  if (remote === undefined) throw new Error('the root holds syncpoints, not entries');
  const now = wallClock();
  const candidates = function* (): Generator<Candidate> {
    for (const entry of entries) {
      yield {
        id: entry.kind === 'file' ? `f${entry.id}` : `d${entry.id}`,
        wished: naming.fit(entry.name, entry.id),
        build: (inode, name): TreeNode =>
          entry.kind === 'file'
            ? {
                kind: 'file',
                inode,
                parent: directory.inode,
                name,
                remoteName: entry.name,
                fileId: entry.id,
                versionId: entry.versionId,
                lengthBytes: entry.lengthBytes,
                modified: entry.modified,
                created: entry.created,
                sha256: undefined,
                staged: undefined,
                local: undefined,
              }
            : {
                kind: 'directory',
                inode,
                parent: directory.inode,
                name,
                remoteName: entry.name,
                remote: { syncpointId: remote.syncpointId, folderId: entry.id },
                syncpoint: undefined,
                modified: now,
                local: undefined,
              },
      };
    }
  };
  return merge(tree, naming, directory.inode, listedAtMs, candidates());
}

/**
 * Merges the list of syncpoints into the root. A syncpoint whose enclosing one is visible is reached through it and not shown
 * again; names that several share get ` (owner)`, then ` #id`, whatever the order of the list.
 */
export function mergeSyncpoints(
  tree: Tree,
  naming: Naming,
  syncpoints: readonly RemoteSyncpoint[],
  listedAtMs: number,
): Promise<boolean> {
  const now = wallClock();
  const visible = new Set(syncpoints.map((syncpoint) => syncpoint.id));
  const shown = syncpoints.filter((syncpoint) => syncpoint.parentId === undefined || !visible.has(syncpoint.parentId));
  const plain = (syncpoint: RemoteSyncpoint): string => naming.fit(syncpoint.name, syncpoint.id);
  const owned = (syncpoint: RemoteSyncpoint): string =>
    naming.fit(syncpoint.owner === undefined ? syncpoint.name : `${syncpoint.name} (${syncpoint.owner})`, syncpoint.id);
  const plainCounts = countBy(shown, plain);
  const ownedCounts = countBy(shown, owned);
  const candidates = function* (): Generator<Candidate> {
    for (const syncpoint of shown) {
      let wished = plain(syncpoint);
      if ((plainCounts.get(wished) ?? 0) > 1) {
        wished = owned(syncpoint);
        if (syncpoint.owner === undefined || (ownedCounts.get(wished) ?? 0) > 1) {
          wished = naming.distinct(wished, syncpoint.id);
        }
      }
      yield {
        id: `d${syncpoint.id}/${syncpoint.rootFolderId}`,
        wished,
        build: (inode, name): TreeNode => ({
          kind: 'directory',
          inode,
          parent: tree.root().inode,
          name,
          remoteName: syncpoint.name,
          remote: { syncpointId: syncpoint.id, folderId: syncpoint.rootFolderId },
          syncpoint: {
            permission: syncpoint.permission,
            vaultId: syncpoint.vaultId,
            owner: syncpoint.owner,
            lastEvent: syncpoint.lastEvent,
          },
          modified: now,
          local: undefined,
        }),
      };
    }
  };
  return merge(tree, naming, tree.root().inode, listedAtMs, candidates());
}

async function merge(
  tree: Tree,
  naming: Naming,
  directory: number,
  listedAtMs: number,
  entries: Iterable<Candidate>,
): Promise<boolean> {
  const first = tree.listing(directory) === undefined;
  const work = new MergeWork(tree);
  const existing = await readExisting(tree, directory, work);
  const { candidates, names } = await assignNames(naming, entries, existing, work);
  let put: TreeNode[] = [];
  let changed = false;
  const store = async (remove: readonly TreeNode[]): Promise<void> => {
    if (put.length === 0 && remove.length === 0) return;
    tree.apply(put, remove, first);
    changed = true;
    put = [];
    await work.pause();
  };
  for (const { id, wished, build } of candidates) {
    const before = existing.get(id);
    existing.delete(id);
    const built = build(before?.inode ?? 0, names.get(id) ?? wished);
    const node =
      before?.kind === 'directory' && built.kind === 'directory' ? { ...built, modified: before.modified } : built;
    if (before === undefined || !sameNode(before, node)) put.push(node);
    if (put.length >= SLICE_NODES) await store([]);
    else if (work.due) await work.pause();
  }
  await store([]);
  // What is left was not in the listing.
  const removed = [...existing.values()];
  for (let from = 0; from < removed.length; from += SLICE_NODES) await store(removed.slice(from, from + SLICE_NODES));
  tree.completeListing(directory, listedAtMs, changed);
  return changed;
}

/** The slices of one merge, which ends when the tree is closed. */
class MergeWork {
  readonly #tree: Tree;
  readonly #slices = new Slices();

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  get due(): boolean {
    return this.#slices.due;
  }

  async pause(): Promise<void> {
    await this.#slices.pause();
    if (this.#tree.closed) throw new Error('the tree was closed while a listing was merged');
  }
}

/** The folder's present entries by remote id, read a slice at a time: a read transaction must not outlive its turn. */
async function readExisting(tree: Tree, directory: number, work: MergeWork): Promise<Map<string, TreeNode>> {
  const existing = new Map<string, TreeNode>();
  let after = 0;
  for (;;) {
    let taken = 0;
    for (const node of tree.children(directory, after)) {
      existing.set(remoteKey(node), node);
      after = node.inode;
      taken += 1;
      if (taken === SLICE_NODES) break;
    }
    if (taken < SLICE_NODES) return existing;
    if (work.due) await work.pause();
  }
}

function remoteKey(node: TreeNode): string {
  if (node.kind === 'file') return `f${node.fileId}`;
  if (node.remote === undefined) throw new Error('the root is in no folder');
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
  const byName = new Map<string, string>();
  const contested = new Map<string, string[]>();
  for (const candidate of entries) {
    const { id, wished } = candidate;
    candidates.push(candidate);
    const holder = byName.get(wished);
    if (holder === undefined) byName.set(wished, id);
    else contested.set(wished, [...(contested.get(wished) ?? [holder]), id]);
    if (work.due) await work.pause();
  }
  const names = new Map<string, string>();
  for (const [wished, ids] of contested) {
    const keeper = ids.find((id) => existing.get(id)?.name === wished) ?? ids.toSorted(byIdValue)[0];
    for (const id of ids) {
      if (id === keeper) continue;
      let name = naming.distinct(wished, id.slice(1));
      while (byName.has(name)) name = naming.distinct(name, id.slice(1));
      byName.set(name, id);
      names.set(id, name);
    }
    if (work.due) await work.pause();
  }
  return { candidates, names };
}

/** Smaller ids first: by length, then by digits, so that decimal strings of any size order as numbers. */
function byIdValue(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  return counts;
}

function wallClock(): Timestamp {
  const now = Date.now();
  return { seconds: Math.floor(now / 1000), nanoseconds: (now % 1000) * 1e6 };
}
