// A whole store at one moment, for tests that compare what the service holds with what a client should have stored.
// Promises: read from the store itself, not as a dialect tells it. Must not know: HTTP.
import type { ContentStore, FileRecord } from './store.ts';
import { wireTime } from './wire-json.ts';

export interface SnapshotFile {
  readonly kind: 'file';
  /** `/` separated, from the syncpoint's root. */
  readonly path: string;
  readonly id: number;
  readonly versionId: number;
  readonly lengthBytes: number;
  readonly sha256: string;
  /** ISO 8601 with 7 fractional digits. */
  readonly created: string;
  readonly modified: string;
}

export interface SnapshotFolder {
  readonly kind: 'folder';
  readonly path: string;
  readonly id: number;
}

export interface SyncpointSnapshot {
  readonly id: number;
  readonly name: string;
  readonly rootFolderId: number;
  readonly lastEventId?: number;
  /** Present ones only, a folder before what it holds. */
  readonly entries: readonly (SnapshotFile | SnapshotFolder)[];
}

export interface StoreSnapshot {
  readonly syncpoints: readonly SyncpointSnapshot[];
}

/** Reads everything. Hashes are computed where the store does not know them, so large content takes its time. */
export async function takeSnapshot(store: ContentStore): Promise<StoreSnapshot> {
  const syncpoints: SyncpointSnapshot[] = [];
  for (const { id, name, rootFolderId, lastEventId } of await store.syncpoints()) {
    const entries: (SnapshotFile | SnapshotFolder)[] = [];
    await addFolder(store, id, rootFolderId, '', entries);
    syncpoints.push({ id, name, rootFolderId, ...(lastEventId !== undefined && { lastEventId }), entries });
  }
  return { syncpoints };
}

async function addFolder(
  store: ContentStore,
  syncpointId: number,
  folderId: number,
  prefix: string,
  entries: (SnapshotFile | SnapshotFolder)[],
): Promise<void> {
  const listing = await store.list(syncpointId, folderId, { deleted: false });
  // Removed since its parent was listed.
  if (listing === undefined) return;
  for (const file of sortedByName(listing.files)) {
    const entry = await fileEntry(store, prefix, file);
    if (entry !== undefined) entries.push(entry);
  }
  for (const { id, name } of sortedByName(listing.folders)) {
    entries.push({ kind: 'folder', path: prefix + name, id });
    await addFolder(store, syncpointId, id, `${prefix}${name}/`, entries);
  }
}

async function fileEntry(store: ContentStore, prefix: string, file: FileRecord): Promise<SnapshotFile | undefined> {
  const { syncpointId, name, id, versionId, lengthBytes, created, modified } = file;
  const sha256 = await store.sha256(syncpointId, versionId);
  if (sha256 === undefined) return undefined;
  const times = { created: wireTime(created, 'iso-7'), modified: wireTime(modified, 'iso-7') };
  return { kind: 'file', path: prefix + name, id, versionId, lengthBytes, sha256, ...times };
}

function sortedByName<T extends { readonly name: string }>(items: Iterable<T>): readonly T[] {
  return [...items].sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}
