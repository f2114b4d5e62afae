// A directory store beside other programs: what they made or changed and no listing told yet is neither overwritten nor removed.
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DirectoryStore } from '../../src/emulator/directory-store.ts';
import type { FileRecord } from '../../src/emulator/store.ts';
import { HostDirectory, onlySyncpoint, walk } from './host-directory.ts';

let host: HostDirectory;
let data: string;
let store: DirectoryStore;
let syncpointId: number;
let rootFolderId: number;

beforeEach(async () => {
  host = new HostDirectory({ 'a.txt': 'hello', 'sub/deep/b.txt': 'below' });
  ({ data } = host);
  store = await host.open();
  ({ id: syncpointId, rootFolderId } = await onlySyncpoint(store));
});
afterEach(async () => {
  await store.close();
  host.remove();
});

async function put(name: string, text: string, before?: () => void): Promise<FileRecord> {
  const staged = await store.stage();
  try {
    await staged.append(Buffer.from(text));
    before?.();
    const [created, modified] = [1n, 1n];
    const replace = 'next-version' as const;
    const sha256 = '00'.repeat(32);
    return await store.storeFile({
      ...{ syncpointId, folderId: rootFolderId, name, staged, sha256, created, modified, replace },
    });
  } finally {
    await staged.drop();
  }
}

describe('a file is not stored over', () => {
  const changes: Readonly<Record<string, readonly [name: string, change: () => void]>> = {
    'one that was changed since it was listed': ['a.txt', () => appendFileSync(join(data, 'a.txt'), '!')],
    'one that was made since its folder was listed': ['new.txt', () => writeFileSync(join(data, 'new.txt'), 'theirs')],
  };
  test.each(Object.entries(changes))('%s, until it is listed', async (_name, [name, change]) => {
    await walk(store);
    change();
    const theirs = readFileSync(join(data, name), 'utf8');
    await expect(put(name, 'ours')).rejects.toMatchObject({ reason: 'unseen' });
    expect(readFileSync(join(data, name), 'utf8')).toBe(theirs);
    await walk(store);
    await put(name, 'ours');
    expect(readFileSync(join(data, name), 'utf8')).toBe('ours');
  });

  test.each(Object.entries(changes))('%s and was found when events were asked for', async (_name, [name, change]) => {
    await walk(store);
    change();
    await store.syncpoints({ lookForChanges: true });
    await expect(put(name, 'ours')).rejects.toMatchObject({ reason: 'unseen' });
  });
});

test('what was stored by a call, and what nobody listed, is stored over', async () => {
  await put('a.txt', 'one');
  await walk(store);
  await put('a.txt', 'two');
  await put('new.txt', 'three');
  await put('new.txt', 'four');
  expect(['a.txt', 'new.txt'].map((name) => readFileSync(join(data, name), 'utf8'))).toEqual(['two', 'four']);
});

describe('a folder is not removed', () => {
  const changes: Readonly<Record<string, () => void>> = {
    'with a file made': () => writeFileSync(join(data, 'sub', 'deep', 'new'), 'theirs'),
    'with a file changed': () => appendFileSync(join(data, 'sub', 'deep', 'b.txt'), '!'),
    'with a folder made': () => mkdirSync(join(data, 'sub', 'new')),
  };
  test.each(Object.entries(changes))('%s in it, or below it, since it was listed', async (_name, change) => {
    const id = (await walk(store))['\\sub\\'] ?? 0;
    change();
    await expect(store.removeFolder(syncpointId, id)).rejects.toMatchObject({ reason: 'unseen' });
    await store.syncpoints({ lookForChanges: true });
    await expect(store.removeFolder(syncpointId, id)).rejects.toMatchObject({ reason: 'unseen' });
    expect(readdirSync(data)).toContain('sub');
    await walk(store);
    await store.removeFolder(syncpointId, id);
    expect(readdirSync(data)).toEqual(['a.txt']);
  });
});

test('a folder of which nobody listed what is below it goes with that: nobody was told otherwise', async () => {
  const sub = await store.child(syncpointId, rootFolderId, 'sub', { ignoreCase: false });
  if (sub?.kind !== 'folder') throw new Error('there is no folder sub');
  await store.list(syncpointId, rootFolderId);
  await store.removeFolder(syncpointId, sub.folder.id);
  expect(readdirSync(data)).toEqual(['a.txt']);
});
