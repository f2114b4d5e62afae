// A host directory as a store: what is shown, what is left out, ids over restarts, changes made beside the emulator.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DirectoryStore } from '../../src/emulator/directory-store.ts';
import { leftOutSummary } from '../../src/emulator/left-out.ts';
import { ContentChanged } from '../../src/emulator/store.ts';
import type { FileRecord, FolderRecord, SyncpointRecord } from '../../src/emulator/store.ts';

let directory: string;
let data: string;
let store: DirectoryStore;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'emulator-store-'));
  data = join(directory, 'data');
  mkdirSync(join(data, 'sub', 'deep'), { recursive: true });
  writeFileSync(join(data, 'a.txt'), 'hello');
  writeFileSync(join(data, 'sub', 'deep', 'b.txt'), 'deep');
  store = await open();
});
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

function open(layout: 'single' | 'children' = 'single'): Promise<DirectoryStore> {
  return DirectoryStore.open({ directory: data, stateDirectory: join(directory, 'state'), layout });
}

async function restart(layout?: 'single' | 'children'): Promise<void> {
  await store.close();
  store = await open(layout);
}

async function syncpoint(): Promise<SyncpointRecord> {
  const [first] = await store.syncpoints();
  if (first === undefined) throw new Error('no syncpoint');
  return first;
}

async function list(folderId?: number): Promise<{ files: FileRecord[]; folders: FolderRecord[] }> {
  const { id, rootFolderId } = await syncpoint();
  const listing = await store.list(id, folderId ?? rootFolderId);
  if (listing === undefined) throw new Error('no such folder');
  return { files: [...listing.files], folders: [...listing.folders] };
}

async function fileNamed(name: string): Promise<FileRecord> {
  const found = (await list()).files.find((file) => file.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

async function read(versionId: number): Promise<string | undefined> {
  const content = await store.open((await syncpoint()).id, versionId);
  if (content === undefined) return undefined;
  const pieces: Buffer[] = [];
  for await (const piece of content.stream(0, content.lengthBytes)) pieces.push(Buffer.from(piece));
  await content.close();
  return Buffer.concat(pieces).toString();
}

test('the directory is one syncpoint named after it', async () => {
  expect(await store.syncpoints()).toMatchObject([{ name: 'data', type: 6, permission: 1 }]);
  const { files, folders } = await list();
  expect(files.map((file) => file.name)).toEqual(['a.txt']);
  expect(folders).toMatchObject([{ name: 'sub', virtualPath: '\\sub\\' }]);
});

test('layout children: one syncpoint for each directory', async () => {
  mkdirSync(join(data, 'other'));
  await restart('children');
  expect((await store.syncpoints()).map(({ name }) => name).sort()).toEqual(['other', 'sub']);
  mkdirSync(join(data, 'third'));
  const ids = new Map((await store.syncpoints()).map(({ name, id }) => [name, id]));
  expect([...ids.keys()].sort()).toEqual(['other', 'sub', 'third']);
  await restart('children');
  expect(new Map((await store.syncpoints()).map(({ name, id }) => [name, id]))).toEqual(ids);
});

test('after a restart a folder and a version are found by id without a walk', async () => {
  const sub = (await list()).folders[0]?.id ?? 0;
  const deep = (await list(sub)).folders[0]?.id ?? 0;
  const { files } = await list(deep);
  const file = await fileNamed('a.txt');
  await restart();
  expect(await read(file.versionId)).toBe('hello');
  expect(await list(deep)).toEqual({ files, folders: [] });
  const { id } = await syncpoint();
  expect(await store.folder(id, deep)).toMatchObject({ name: 'deep', virtualPath: '\\sub\\deep\\', parentId: sub });
  expect(await store.file(id, file.id)).toEqual(file);
});

test('two emulators never share one state directory', async () => {
  await expect(open()).rejects.toThrow('another emulator is using');
});

describe('changes beside the emulator', () => {
  test('new content of the same length and time is a new version; the old one is gone', async () => {
    const before = await fileNamed('a.txt');
    utimesSync(join(data, 'a.txt'), 1e9, 1e9);
    const touched = await fileNamed('a.txt');
    writeFileSync(join(data, 'a.txt'), 'HELLO');
    utimesSync(join(data, 'a.txt'), 1e9, 1e9);
    const after = await fileNamed('a.txt');
    expect(new Set([before.versionId, touched.versionId, after.versionId]).size).toBe(3);
    expect(after.id).toBe(before.id);
    expect(await read(before.versionId)).toBeUndefined();
    expect(await read(after.versionId)).toBe('HELLO');
  });

  test('what did not change keeps its version, also over a restart', async () => {
    const before = await fileNamed('a.txt');
    expect(await fileNamed('a.txt')).toEqual(before);
    await restart();
    expect(await fileNamed('a.txt')).toEqual(before);
  });

  test('changes while stopped are seen', async () => {
    const before = await fileNamed('a.txt');
    await store.close();
    appendFileSync(join(data, 'a.txt'), '!');
    store = await open();
    expect(await read(before.versionId)).toBeUndefined();
    const after = await fileNamed('a.txt');
    expect([after.id === before.id, after.lengthBytes, await read(after.versionId)]).toEqual([true, 6, 'hello!']);
  });

  test('a version that was never listed since the change is not served', async () => {
    const before = await fileNamed('a.txt');
    writeFileSync(join(data, 'a.txt'), 'HELLO');
    expect(await read(before.versionId)).toBeUndefined();
    const current = await store.file((await syncpoint()).id, before.id);
    expect(current?.versionId).not.toBe(before.versionId);
    expect(await read(current?.versionId ?? 0)).toBe('HELLO');
  });

  test('a file in place of a folder, and the reverse, get new ids', async () => {
    const { files, folders } = await list();
    rmSync(join(data, 'a.txt'));
    mkdirSync(join(data, 'a.txt'));
    rmSync(join(data, 'sub'), { recursive: true });
    writeFileSync(join(data, 'sub'), 'now a file');
    const now = await list();
    expect([now.files.map(({ name }) => name), now.folders.map(({ name }) => name)]).toEqual([['sub'], ['a.txt']]);
    const old = [...files, ...folders].map(({ id }) => id);
    expect([...now.files, ...now.folders].some(({ id }) => old.includes(id))).toBe(false);
    await expect(list(folders[0]?.id)).rejects.toThrow('no such folder');
  });

  test('a file that changes while it is read breaks off with right bytes only', async () => {
    const path = join(data, 'large');
    writeFileSync(path, Buffer.alloc(3_000_000, 'a'));
    const { versionId } = await fileNamed('large');
    const content = await store.open((await syncpoint()).id, versionId);
    if (content === undefined) throw new Error('not opened');
    const received: Buffer[] = [];
    const reading = (async () => {
      for await (const piece of content.stream(0, content.lengthBytes)) {
        received.push(Buffer.from(piece));
        writeFileSync(path, Buffer.alloc(3_000_000, 'b'));
      }
    })();
    await expect(reading).rejects.toThrow(ContentChanged);
    await content.close();
    const bytes = Buffer.concat(received);
    expect(bytes.byteLength).toBeLessThan(3_000_000);
    expect(bytes.equals(Buffer.alloc(bytes.byteLength, 'a'))).toBe(true);
  });

  test('a directory replaced by a link leads nowhere', async () => {
    const sub = (await list()).folders[0]?.id ?? 0;
    const deep = (await list(sub)).folders[0]?.id ?? 0;
    const file = (await list(deep)).files[0];
    renameSync(join(data, 'sub'), join(directory, 'outside'));
    symlinkSync(join(directory, 'outside'), join(data, 'sub'));
    await expect(list(deep)).rejects.toThrow('no such folder');
    expect(await read(file?.versionId ?? 0)).toBeUndefined();
  });
});

test('links, fifos and names that are not UTF-8 are left out and reported', async () => {
  symlinkSync('a.txt', join(data, 'link'));
  execFileSync('mkfifo', [join(data, 'fifo')]);
  writeFileSync(Buffer.concat([Buffer.from(`${data}/bad-`), Buffer.from([0xff, 0xfe])]), 'x');
  writeFileSync(join(data, 'good-\uFFFD'), 'x');
  const { files, folders } = await list();
  expect(files.map(({ name }) => name).sort()).toEqual(['a.txt', 'good-\uFFFD']);
  expect(folders.map(({ name }) => name)).toEqual(['sub']);
  const report = store.leftOut();
  expect(report).toMatchObject({ symbolicLinks: 1, specialFiles: 1, namesNotUtf8: 1, unreadable: 0 });
  expect(report.examples).toContainEqual({ path: join(data, 'link'), cause: 'symbolic link' });
  expect(leftOutSummary(report)).toBe('left out: 1 symbolic link, 1 special file, 1 name that is not UTF-8');
  await list();
  expect(store.leftOut().symbolicLinks).toBe(1);
  rmSync(join(data, 'link'));
  await list();
  expect(store.leftOut().symbolicLinks).toBe(0);
});

test('times keep 100 ns', async () => {
  execFileSync('touch', ['-d', '2016-09-12T06:44:31.123456789Z', join(data, 'a.txt')]);
  expect((await fileNamed('a.txt')).modified).toBe(14_736_626_711_234_567n);
});

test('a folder that grows keeps every id it told, over restarts', async () => {
  const ids = new Map<string, number>();
  for (let round = 0; round < 5; round++) {
    for (let file = 0; file < 1 + round * 13; file++) writeFileSync(join(data, `r${round}-${file}`), `${file}`);
    const { files } = await list();
    for (const { name, id } of files) {
      expect(ids.get(name) ?? id).toBe(id);
      ids.set(name, id);
    }
    await restart();
  }
  expect(new Set(ids.values()).size).toBe(ids.size);
  expect(ids.size).toBe(136);
});

test('listings asked for at once agree', async () => {
  const { id, rootFolderId } = await syncpoint();
  writeFileSync(join(data, 'new'), 'x');
  const listings = await Promise.all([1, 2, 3, 4].map(() => store.list(id, rootFolderId)));
  const files = listings.map((listing) => [...(listing?.files ?? [])]);
  for (const other of files) expect(other).toEqual(files[0]);
  expect(files[0]?.length).toBe(2);
});

test('a state directory inside the data is not shown', async () => {
  await store.close();
  const stateDirectory = join(data, 'sub', 'state');
  store = await DirectoryStore.open({ directory: data, stateDirectory });
  const { folders } = await list((await list()).folders[0]?.id);
  expect(folders.map(({ name }) => name)).toEqual(['deep']);
});

test('a missing directory is refused in one line', async () => {
  const missing = { directory: join(directory, 'no'), stateDirectory: join(directory, 'state2') };
  await expect(DirectoryStore.open(missing)).rejects.toThrow(/^no such directory: /);
  await expect(DirectoryStore.open({ ...missing, directory: join(data, 'a.txt') })).rejects.toThrow('not a directory');
});

test.each([100, 4096, 8192, 20_000])(
  'an index cut to %i bytes is made anew, and no id of the lost one returns',
  async (lengthBytes) => {
    const before = { ...(await syncpoint()), file: await fileNamed('a.txt') };
    await store.close();
    truncateSync(join(directory, 'state', 'index', 'data.mdb'), lengthBytes);
    store = await open();
    const after = { ...(await syncpoint()), file: await fileNamed('a.txt') };
    expect(after.id).toBeGreaterThan(before.id);
    expect(after.rootFolderId).toBeGreaterThan(before.file.id);
    expect(after.file.id).toBeGreaterThan(before.file.id);
    expect(after.file.versionId).toBeGreaterThan(before.file.versionId);
    await restart();
    expect(await fileNamed('a.txt')).toEqual(after.file);
  },
);
