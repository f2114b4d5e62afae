// A directory store beside other programs: what they made or changed and no listing told yet is neither overwritten nor removed.
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DirectoryStore } from '../../src/emulator/directory-store.ts';
import type { FileRecord } from '../../src/emulator/store.ts';

let directory: string;
let data: string;
let store: DirectoryStore;
let syncpointId: number;
let rootFolderId: number;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'emulator-unseen-'));
  data = join(directory, 'data');
  mkdirSync(join(data, 'sub', 'deep'), { recursive: true });
  writeFileSync(join(data, 'a.txt'), 'hello');
  writeFileSync(join(data, 'sub', 'deep', 'b.txt'), 'below');
  store = await DirectoryStore.open({ directory: data, stateDirectory: join(directory, 'state'), nowMs: () => 0 });
  const [syncpoint] = await store.syncpoints();
  if (syncpoint === undefined) throw new Error('no syncpoint');
  ({ id: syncpointId, rootFolderId } = syncpoint);
});
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

/** Lists everything, as a client that walks. Returns ids by path. */
async function walk(folderId = rootFolderId): Promise<Record<string, number>> {
  const listing = await store.list(syncpointId, folderId);
  const ids: Record<string, number> = {};
  for (const { name, id } of listing?.files ?? []) ids[`${listing?.folder.virtualPath}${name}`] = id;
  for (const { id, virtualPath } of listing?.folders ?? []) Object.assign(ids, { [virtualPath]: id }, await walk(id));
  return ids;
}

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
    await walk();
    change();
    const theirs = readFileSync(join(data, name), 'utf8');
    await expect(put(name, 'ours')).rejects.toMatchObject({ reason: 'unseen' });
    expect(readFileSync(join(data, name), 'utf8')).toBe(theirs);
    await walk();
    await put(name, 'ours');
    expect(readFileSync(join(data, name), 'utf8')).toBe('ours');
  });

  test.each(Object.entries(changes))('%s and was found when events were asked for', async (_name, [name, change]) => {
    await walk();
    change();
    await store.syncpoints({ lookForChanges: true });
    await expect(put(name, 'ours')).rejects.toMatchObject({ reason: 'unseen' });
  });
});

test('what was stored by a call, and what nobody listed, is stored over', async () => {
  await put('a.txt', 'one');
  await walk();
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
    const id = (await walk())['\\sub\\'] ?? 0;
    change();
    await expect(store.removeFolder(syncpointId, id)).rejects.toMatchObject({ reason: 'unseen' });
    await store.syncpoints({ lookForChanges: true });
    await expect(store.removeFolder(syncpointId, id)).rejects.toMatchObject({ reason: 'unseen' });
    expect(readdirSync(data)).toContain('sub');
    await walk();
    await store.removeFolder(syncpointId, id);
    expect(readdirSync(data)).toEqual(['a.txt']);
  });
});
