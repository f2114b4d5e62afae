// Makes, renames and removes the syncpoints of a directory store that has one for each directory in it. Promises: what is removed is kept
// under the state directory; ids stay through a rename. Must not know: HTTP, what lies in a syncpoint.
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { DirectoryTree } from './directory-tree.ts';
import { onDisk } from './disk-refusal.ts';
import type { KeptFiles } from './kept-files.ts';
import { StoreRefusal } from './store.ts';
import type { SyncpointChange, SyncpointRecord } from './store.ts';

export interface DirectorySyncpointsOptions {
  readonly directory: string;
  readonly layout: 'single' | 'children';
  readonly tree: DirectoryTree;
  readonly kept: KeptFiles;
}

export class DirectorySyncpoints {
  readonly #options: DirectorySyncpointsOptions;

  constructor(options: DirectorySyncpointsOptions) {
    this.#options = options;
  }

  async create(name: string, type: number): Promise<SyncpointRecord> {
    const { tree } = this.#options;
    onDisk(() => mkdirSync(this.#path(name), { mode: 0o755 }));
    const { id } = await this.#find((one) => one.name === name);
    await tree.index.setFacts(id, { type });
    return this.#find((one) => one.id === id);
  }

  async change(id: number, { name, ...facts }: SyncpointChange): Promise<SyncpointRecord> {
    const { tree } = this.#options;
    const before = await this.#find((one) => one.id === id);
    if (name !== undefined && name !== before.name) {
      if ((await tree.syncpoints()).some((one) => one.name === name)) throw new StoreRefusal(`taken: ${name}`, 'taken');
      onDisk(() => renameSync(this.#path(before.name), this.#path(name)));
      // A process that ends here has new ids for it: what a client knows of it is gone then, the content is not.
      await tree.index.renameSyncpoint(before.name, name);
    }
    await tree.index.setFacts(id, facts);
    return this.#find((one) => one.id === id);
  }

  async remove(id: number): Promise<void> {
    const { tree, kept } = this.#options;
    const { name, rootFolderId } = await this.#find((one) => one.id === id);
    onDisk(() => kept.keepRemoved(this.#path(name), rootFolderId));
    await tree.index.forgetSyncpoint(name);
  }

  #path(name: string): string {
    const { directory, layout } = this.#options;
    if (layout === 'children') return join(directory, name);
    throw new StoreRefusal('this directory is served as the only syncpoint there is', 'forbidden');
  }

  async #find(isWanted: (one: SyncpointRecord) => boolean): Promise<SyncpointRecord> {
    const found = (await this.#options.tree.syncpoints()).find(isWanted);
    if (found === undefined) throw new StoreRefusal('no such syncpoint', 'missing');
    return found;
  }
}
