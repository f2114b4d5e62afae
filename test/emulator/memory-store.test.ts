// The store in memory against a plain model: whatever is added, changed, moved and removed, listings tell exactly that.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import type { FileRecord, FolderRecord } from '../../src/emulator/store.ts';

/** Every path of a syncpoint with its content; folders end with `/`. */
async function paths(
  store: MemoryStore,
  syncpointId: number,
  folderId: number,
  prefix = '',
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const listing = await store.list(syncpointId, folderId);
  for (const file of listing?.files ?? []) found.set(prefix + file.name, await content(store, file));
  for (const folder of listing?.folders ?? []) {
    expect(folder.virtualPath).toBe(`\\${(prefix + folder.name).replaceAll('/', '\\')}\\`);
    expect(await store.folder(syncpointId, folder.id)).toEqual(folder);
    found.set(`${prefix}${folder.name}/`, '');
    for (const [path, text] of await paths(store, syncpointId, folder.id, `${prefix}${folder.name}/`))
      found.set(path, text);
  }
  return found;
}

async function content(store: MemoryStore, file: FileRecord): Promise<string> {
  expect(await store.file(file.syncpointId, file.id)).toEqual(file);
  const opened = await store.open(file.syncpointId, file.versionId);
  if (opened === undefined) throw new Error(`version ${file.versionId} is listed and cannot be read`);
  expect(opened.lengthBytes).toBe(file.lengthBytes);
  let text = '';
  for await (const piece of opened.stream(0, opened.lengthBytes)) text += Buffer.from(piece).toString('latin1');
  return text;
}

const name = fc.constantFrom('a', 'b', 'folder-000001', 'file-000001.bin');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
const change = fc.oneof(
  fc.record({ change: fc.constant('write' as const), path, text: fc.string({ maxLength: 5, unit: 'binary-ascii' }) }),
  fc.record({ change: fc.constant('make-folder' as const), path }),
  fc.record({ change: fc.constant('move' as const), path, to: path }),
  fc.record({ change: fc.constant('remove' as const), path }),
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** What the change makes of the model; false when it must be refused. */
function applied(model: Map<string, string>, one: Change): boolean {
  const parentOf = (child: string): string => child.slice(0, child.lastIndexOf('/') + 1);
  const hasParent = (child: string): boolean => parentOf(child) === '' || model.has(parentOf(child));
  const exists = (child: string): boolean => model.has(child) || model.has(`${child}/`);
  switch (one.change) {
    case 'write':
      if (!hasParent(one.path) || model.has(`${one.path}/`)) return false;
      model.set(one.path, one.text);
      return true;
    case 'make-folder':
      if (!hasParent(one.path) || exists(one.path)) return false;
      model.set(`${one.path}/`, '');
      return true;
    case 'remove':
      if (!exists(one.path)) return false;
      for (const key of [...model.keys()]) if (key === one.path || key.startsWith(`${one.path}/`)) model.delete(key);
      return true;
    case 'move': {
      const intoItself = one.to.startsWith(`${one.path}/`);
      if (!exists(one.path) || !hasParent(one.to) || exists(one.to) || intoItself) return false;
      for (const [key, text] of [...model]) {
        if (key !== one.path && !key.startsWith(`${one.path}/`)) continue;
        model.delete(key);
        model.set(one.to + key.slice(one.path.length), text);
      }
      return true;
    }
  }
}

test('any sequence of changes leaves what a plain model says, and LastEvent moves exactly with changes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 25 }), fc.boolean(), async (changes, bulk) => {
      const store = new MemoryStore();
      const { id: syncpointId, rootFolderId } = store.addSyncpoint('s');
      if (bulk) store.addSyntheticTree(syncpointId, { folders: 3, filesPerFolder: 3, bytesPerFile: 3 });
      const model = await paths(store, syncpointId, rootFolderId);
      for (const one of changes) {
        const event = (await store.syncpoints())[0]?.lastEventId;
        const expected = applied(model, one);
        const done = await store.mutate({ ...one, syncpointId }).then(
          () => true,
          () => false,
        );
        expect([one, done]).toEqual([one, expected]);
        expect((await store.syncpoints())[0]?.lastEventId !== event).toBe(expected);
        expect(new Map([...(await paths(store, syncpointId, rootFolderId))].sort())).toEqual(
          new Map([...model].sort()),
        );
      }
    }),
    { numRuns: 60 },
  );
});

describe('bulk trees', () => {
  test('keep ids, names and bytes when one of their files changes', async () => {
    const store = new MemoryStore();
    const { id, rootFolderId } = store.addSyncpoint('s');
    store.addSyntheticTree(id, { folders: 4, filesPerFolder: 3, bytesPerFile: 10 });
    const all = async (): Promise<{ folders: FolderRecord[]; files: FileRecord[] }> => {
      const folders = [...((await store.list(id, rootFolderId))?.folders ?? [])].sort((a, b) => a.id - b.id);
      const files: FileRecord[] = [];
      for (const folder of folders) files.push(...((await store.list(id, folder.id))?.files ?? []));
      return { folders, files: files.sort((a, b) => a.id - b.id) };
    };
    const before = await all();
    const target = before.files[4];
    if (target === undefined) throw new Error('no file');
    const contents = await Promise.all(before.files.map((file) => content(store, file)));
    store.writeFile(id, target.id, Buffer.from('changed'));
    const after = await all();
    expect(after.folders).toEqual(before.folders);
    expect(after.files.filter((file) => file.id !== target.id)).toEqual(before.files.filter((file) => file !== target));
    const now = await Promise.all(after.files.map((file) => content(store, file)));
    expect(now).toEqual(contents.map((text, index) => (index === 4 ? 'changed' : text)));
    expect(new Set(contents).size).toBe(contents.length);
  });

  test('a million files cost next to no memory', async () => {
    const store = new MemoryStore();
    const { id, rootFolderId } = store.addSyncpoint('s');
    const before = process.memoryUsage().heapUsed;
    store.addSyntheticTree(id, { folders: 1000, filesPerFolder: 1000, bytesPerFile: 1000 });
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(10e6);
    const folders = [...((await store.list(id, rootFolderId))?.folders ?? [])];
    const last = [...((await store.list(id, folders[999]?.id ?? 0))?.files ?? [])].at(-1);
    expect(last?.name).toBe('file-000999.bin');
    expect(await store.space()).toMatchObject({ usedBytes: 1e9 });
  });

  test('a listing taken stays as it was', async () => {
    const store = new MemoryStore();
    const { id, rootFolderId } = store.addSyncpoint('s');
    store.addSyntheticTree(id, { folders: 0, filesPerFolder: 5, bytesPerFile: 1 });
    const listing = await store.list(id, rootFolderId);
    const before = [...(listing?.files ?? [])];
    store.writeFile(id, before[0]?.id ?? 0, Buffer.from('x'));
    store.remove(id, before[1]?.id ?? 0);
    expect([...(listing?.files ?? [])]).toEqual(before);
    expect([...((await store.list(id, rootFolderId))?.files ?? [])]).toHaveLength(4);
  });
});
