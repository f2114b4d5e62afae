// A store whose listings lag, with a clock of its own: what a listing tells is what was true a while ago.
import { expect, test } from 'vitest';
import { LaggingStore } from '../../src/emulator/lagging-store.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';

test('each change shows in the listings of its folders after the lag, in order', async () => {
  let now = 0;
  const memory = new MemoryStore();
  const { id, rootFolderId } = memory.addSyncpoint('s');
  const store = new LaggingStore(memory, 10, () => now);
  const names = async (folderId = rootFolderId): Promise<string[]> => {
    const listing = await store.list(id, folderId, { deleted: false });
    const active = [...(listing?.folders ?? []), ...(listing?.files ?? [])].filter(({ deleted }) => !deleted);
    return active.map(({ name }) => name).sort();
  };
  const folder = await store.createFolder(id, rootFolderId, 'd');
  now = 4;
  const staged = await store.stage();
  await staged.append(Buffer.from('x'));
  const times = { created: 1n, modified: 1n };
  const base = { syncpointId: id, folderId: rootFolderId, name: 'a', staged, sha256: '', ...times };
  const file = await store.storeFile({ ...base, replace: 'next-version' });
  now = 8;
  await store.moveFile(id, file.id, folder.id, 'b');
  expect([await names(), await names(folder.id)]).toEqual([[], []]);
  now = 11;
  expect([await names(), await names(folder.id)]).toEqual([['d'], []]);
  now = 15;
  expect([await names(), await names(folder.id)]).toEqual([['a', 'd'], []]);
  now = 19;
  expect([await names(), await names(folder.id)]).toEqual([['d'], ['b']]);
  await store.removeFile(id, file.id);
  await store.removeFolder(id, folder.id);
  now = 20;
  expect(await names()).toEqual(['d']);
  now = 30;
  expect(await names()).toEqual([]);
});
