// A directory of the host with a store's state beside it, for tests of directory stores: made, opened, walked as a client does, removed.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DirectoryStore } from '../../src/emulator/directory-store.ts';
import type { DirectoryStoreOptions } from '../../src/emulator/directory-store.ts';
import type { ContentStore, SyncpointRecord } from '../../src/emulator/store.ts';

export class HostDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'emulator-host-'));
  readonly data = join(this.path, 'data');
  readonly state = join(this.path, 'state');

  /** `files`: contents by path below it; a path that ends with "/" is a directory. */
  constructor(files: Readonly<Record<string, string>> = {}) {
    mkdirSync(this.data);
    for (const [path, text] of Object.entries(files)) {
      const at = join(this.data, path);
      mkdirSync(path.endsWith('/') ? at : dirname(at), { recursive: true });
      if (!path.endsWith('/')) writeFileSync(at, text);
    }
  }

  /** With a clock that stands: no look for changes is put off after the one before. */
  open(options: Partial<DirectoryStoreOptions> = {}): Promise<DirectoryStore> {
    return DirectoryStore.open({ directory: this.data, stateDirectory: this.state, nowMs: () => 0, ...options });
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}

/** The syncpoint of a store that has one. */
export async function onlySyncpoint(store: ContentStore): Promise<SyncpointRecord> {
  const [first] = await store.syncpoints();
  if (first === undefined) throw new Error('no syncpoint');
  return first;
}

/** Lists everything below a folder, the root by default, each folder once, as a client that walks. Returns ids by path. */
export async function walk(store: ContentStore, from?: number): Promise<Record<string, number>> {
  const { id, rootFolderId } = await onlySyncpoint(store);
  const listing = await store.list(id, from ?? rootFolderId, { deleted: false });
  const ids: Record<string, number> = {};
  for (const file of listing?.files ?? []) ids[`${listing?.folder.virtualPath}${file.name}`] = file.id;
  for (const folder of listing?.folders ?? [])
    Object.assign(ids, { [folder.virtualPath]: folder.id }, await walk(store, folder.id));
  return ids;
}
