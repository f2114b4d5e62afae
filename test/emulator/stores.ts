// Both kinds of store behind one emulator each, for tests that must hold for either: started, restarted over the same content, ended.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryStore } from '../../src/emulator/directory-store.ts';
import { startEmulator } from '../../src/emulator/emulator.ts';
import type { Emulator, EmulatorOptions } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import type { SyncpointOptions } from '../../src/emulator/memory-store.ts';
import type { ContentStore, FolderRecord, FileRecord } from '../../src/emulator/store.ts';
import { signIn } from './client.ts';
import type { Session } from './client.ts';

export const storeKinds = ['memory', 'directory'] as const;
export type StoreKind = (typeof storeKinds)[number];

/** A running emulator over one empty syncpoint. */
export interface Service {
  readonly session: Session;
  readonly emulator: Emulator;
  readonly store: ContentStore;
  readonly syncpointId: number;
  readonly rootFolderId: number;
  /** Where a directory store's files lie. */
  readonly data: string;
  readonly state: string;
  /** The same content behind a new emulator, with other options if wanted. */
  restart(options?: Partial<EmulatorOptions>): Promise<Service>;
}

export class Services {
  readonly #running: Emulator[] = [];
  readonly #directories: string[] = [];

  async start(
    kind: StoreKind,
    options: Partial<EmulatorOptions> = {},
    syncpoint: SyncpointOptions = {},
  ): Promise<Service> {
    const directory = mkdtempSync(join(tmpdir(), 'emulator-service-'));
    this.#directories.push(directory);
    const [data, state] = [join(directory, 'data'), join(directory, 'state')];
    mkdirSync(data);
    if (kind === 'memory') {
      const store = new MemoryStore();
      store.addSyncpoint('data', syncpoint);
      return this.#serve(() => Promise.resolve(store), data, state, options);
    }
    const open = (): Promise<ContentStore> =>
      DirectoryStore.open({ directory: data, stateDirectory: state, exclusive: true });
    return this.#serve(open, data, state, options);
  }

  /** An emulator over a store of the test's own, which has one syncpoint. */
  serve(store: ContentStore, options: Partial<EmulatorOptions> = {}): Promise<Service> {
    return this.#serve(() => Promise.resolve(store), '', '', options);
  }

  async stop(): Promise<void> {
    for (const emulator of this.#running.splice(0)) await emulator.stop();
    for (const directory of this.#directories.splice(0)) rmSync(directory, { recursive: true });
  }

  async #serve(
    open: () => Promise<ContentStore>,
    data: string,
    state: string,
    options: Partial<EmulatorOptions>,
  ): Promise<Service> {
    const store = await open();
    const emulator = await startEmulator({ store, ...options });
    this.#running.push(emulator);
    const [first] = await store.syncpoints();
    if (first === undefined) throw new Error('no syncpoint');
    return {
      session: await signIn(emulator),
      emulator,
      store,
      syncpointId: first.id,
      rootFolderId: first.rootFolderId,
      data,
      state,
      restart: async (changed = options) => {
        await emulator.stop();
        return this.#serve(open, data, state, changed);
      },
    };
  }
}

/** Every path of a service's syncpoint with its text; folders end with `/`. Sorted. */
export async function tree({ store, syncpointId, rootFolderId }: Service): Promise<Record<string, string>> {
  const found: [string, string][] = [];
  const walk = async (folderId: number, prefix: string): Promise<void> => {
    const { files, folders } = await listed(store, syncpointId, folderId);
    for (const file of files) found.push([prefix + file.name, await textOf(store, file)]);
    for (const folder of folders) {
      found.push([`${prefix}${folder.name}/`, '']);
      await walk(folder.id, `${prefix}${folder.name}/`);
    }
  };
  await walk(rootFolderId, '');
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

export async function listed(
  store: ContentStore,
  syncpointId: number,
  folderId: number,
): Promise<{ files: FileRecord[]; folders: FolderRecord[] }> {
  const listing = await store.list(syncpointId, folderId, { deleted: false });
  if (listing === undefined) throw new Error(`no folder ${folderId}`);
  return { files: [...listing.files], folders: [...listing.folders] };
}

/** The file of that name in the root folder. */
export async function fileNamed(service: Service, name: string): Promise<FileRecord> {
  const { files } = await listed(service.store, service.syncpointId, service.rootFolderId);
  const file = files.find((one) => one.name === name);
  if (file === undefined) throw new Error(`no file ${name}`);
  return file;
}

export async function textOf(store: ContentStore, file: FileRecord, versionId = file.versionId): Promise<string> {
  const content = await store.open(file.syncpointId, versionId);
  if (content === undefined) throw new Error(`version ${versionId} of ${file.name} cannot be read`);
  const pieces: Buffer[] = [];
  for await (const piece of content.stream(0, content.lengthBytes)) pieces.push(Buffer.from(piece));
  await content.close();
  return Buffer.concat(pieces).toString('latin1');
}
