// What a directory store owes to the host's directory when it changes it: modes, links, its own state, other file systems, limits.
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DirectoryIndex } from '../../src/emulator/directory-index.ts';
import { FileStaged } from '../../src/emulator/directory-staging.ts';
import { DirectoryStore } from '../../src/emulator/directory-store.ts';
import { diskRefusal } from '../../src/emulator/disk-refusal.ts';
import { StoreRefusal } from '../../src/emulator/store.ts';
import type { FileRecord } from '../../src/emulator/store.ts';
import { sha256 } from './upload-client.ts';

let directory: string;
let data: string;
let store: DirectoryStore;
let syncpointId: number;
let rootFolderId: number;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'emulator-changes-'));
  data = join(directory, 'data');
  mkdirSync(data);
  await open(join(directory, 'state'));
});
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

async function open(stateDirectory: string): Promise<void> {
  store = await DirectoryStore.open({ directory: data, stateDirectory });
  const [syncpoint] = await store.syncpoints();
  ({ id: syncpointId, rootFolderId } = syncpoint ?? { id: 0, rootFolderId: 0 });
}

async function put(name: string, text: string, folderId = rootFolderId): Promise<FileRecord> {
  const staged = await store.stage();
  try {
    await staged.append(Buffer.from(text));
    const times = { created: 1n, modified: 14_459_872_824_128_366n };
    const target = { syncpointId, folderId, name, staged, sha256: sha256(text), ...times };
    return await store.storeFile({ ...target, replace: 'next-version' });
  } finally {
    await staged.drop();
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof StoreRefusal) return error.reason;
    throw error;
  }
  return 'done';
}

test('a replaced file keeps its mode, and has its time to 100 ns', async () => {
  writeFileSync(join(data, 'a'), 'first');
  chmodSync(join(data, 'a'), 0o751);
  const file = await put('a', 'second');
  const stats = statSync(join(data, 'a'), { bigint: true });
  expect([stats.mode & 0o7777n, stats.mtimeNs]).toEqual([0o751n, 1_445_987_282_412_836_600n]);
  expect(await store.versions(syncpointId, file.versionId)).toHaveLength(2);
});

test('a link is neither followed nor replaced', async () => {
  const outside = join(directory, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'file'), 'theirs');
  symlinkSync(join(outside, 'file'), join(data, 'link'));
  symlinkSync(outside, join(data, 'folder'));
  expect(await refusal(put('link', 'x'))).toBe('taken');
  expect(await refusal(store.createFolder(syncpointId, rootFolderId, 'folder'))).toBe('taken');
  expect(await store.child(syncpointId, rootFolderId, 'folder', { ignoreCase: true })).toBeUndefined();
  const file = await put('a', 'x');
  expect(await refusal(store.moveFile(syncpointId, file.id, rootFolderId, 'link'))).toBe('taken');
  expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('theirs');
});

test('a folder that was moved while it was empty gives what comes into it ids of its own', async () => {
  const folder = await store.createFolder(syncpointId, rootFolderId, 'folder');
  await store.moveFolder(syncpointId, folder.id, rootFolderId, 'moved');
  const there = await put('there', 'x');
  await store.moveFile(syncpointId, there.id, folder.id, 'there');
  const made = await put('made', 'y', folder.id);
  expect(made.id).toBeGreaterThan(there.id);
});

test('its own state is out of reach', async () => {
  await store.close();
  mkdirSync(join(data, 'sub'));
  await open(join(data, 'sub', 'state'));
  const sub = await store.child(syncpointId, rootFolderId, 'sub', { ignoreCase: false });
  const id = sub?.kind === 'folder' ? sub.folder.id : 0;
  expect(await store.child(syncpointId, id, 'state', { ignoreCase: false })).toBeUndefined();
  expect(await refusal(put('state', 'x', id))).toBe('taken');
  expect(await refusal(store.removeFolder(syncpointId, id))).toBe('forbidden');
  expect(await refusal(store.moveFolder(syncpointId, id, rootFolderId, 'moved'))).toBe('forbidden');
  expect(await refusal(put('.syncplicityfs-emulator-x', 'x'))).toBe('invalid');
});

test('a change made beside it is seen by the next one', async () => {
  const first = await put('a', 'first');
  writeFileSync(join(data, 'a'), 'theirs');
  utimesSync(join(data, 'a'), 1e9, 1e9);
  const second = await put('a', 'second');
  expect(second.id).toBe(first.id);
  // The first version's bytes were overwritten by another program; theirs were not.
  expect(await store.open(syncpointId, first.versionId)).toBeUndefined();
  const versions = (await store.versions(syncpointId, second.versionId)) ?? [];
  expect(versions.map(({ lengthBytes }) => lengthBytes)).toEqual([6, 6]);
  rmSync(join(data, 'a'));
  expect(await refusal(store.removeFile(syncpointId, first.id))).toBe('missing');
});

test('what is large goes by way of a file, not memory, and leaves none behind', async () => {
  const staged = await store.stage();
  const piece = Buffer.alloc(300_000, 'x');
  for (let turn = 0; turn < 4; turn++) await staged.append(piece);
  const uploads = join(directory, 'state', 'uploads');
  expect(readdirSync(uploads)).toHaveLength(1);
  await staged.cut(1_000_000);
  await staged.append(Buffer.from('end'));
  let bytes = 0;
  for await (const part of staged.bytes()) bytes += part.byteLength;
  expect(bytes).toBe(1_000_003);
  const times = { created: 1n, modified: 1n };
  const target = { syncpointId, folderId: rootFolderId, name: 'large', staged, sha256: '', ...times };
  await store.storeFile({ ...target, replace: 'next-version' });
  await staged.drop();
  expect(readFileSync(join(data, 'large')).subarray(999_998).toString()).toBe('xxend');
  expect(readdirSync(uploads)).toEqual([]);
});

test('what an ended process had not kept is removed at the next start', async () => {
  const [kept, lost] = [await store.stage(), await store.stage()];
  await kept.append(Buffer.from('kept'));
  await kept.keep('note');
  await lost.append(Buffer.alloc(600_000));
  await store.close();
  await open(join(directory, 'state'));
  expect((await store.kept()).map(({ note, lengthBytes }) => [note, lengthBytes])).toEqual([['note', 4]]);
  expect(readdirSync(join(directory, 'state', 'uploads')).filter((name) => name.endsWith('.bytes'))).toHaveLength(1);
  const [again] = await store.kept();
  await again?.append(Buffer.from(' and more'));
  let text = '';
  for await (const part of again?.bytes() ?? []) text += Buffer.from(part).toString();
  expect(text).toBe('kept and more');
  await again?.drop();
  expect(existsSync(join(directory, 'state', 'uploads'))).toBe(true);
  expect(readdirSync(join(directory, 'state', 'uploads'))).toEqual([]);
});

/** Another file system than that of temporary files, where there is one. */
const otherDisk = ['/dev/shm', '/run'].find(
  (path) => existsSync(path) && statSync(path).dev !== statSync(tmpdir()).dev && isWritable(path),
);

test.skipIf(otherDisk === undefined)(
  'a copy from another disk that a kill cut off is removed at the next start',
  async () => {
    await store.close();
    data = mkdtempSync(join(otherDisk ?? '', 'emulator-changes-'));
    try {
      await open(join(directory, 'state'));
      const staged = await store.stage();
      if (!(staged instanceof FileStaged)) throw new Error('a directory store stages files');
      await staged.append(Buffer.from('half'));
      const arriving = await staged.finish(data, 1n);
      expect(readdirSync(data)).toEqual([basename(arriving)]);
      await put('whole', 'content');
      await store.close();
      await open(join(directory, 'state'));
      expect(readdirSync(data)).toEqual(['whole']);
      expect(readdirSync(join(directory, 'state', 'uploads'))).toEqual([]);
    } finally {
      rmSync(data, { recursive: true });
    }
  },
);

test.skipIf(process.getuid?.() === 0)('a directory that cannot be written is a syncpoint to read', async () => {
  chmodSync(data, 0o500);
  expect((await store.syncpoints())[0]?.permission).toBe(3);
  chmodSync(data, 0o700);
  expect((await store.syncpoints())[0]?.permission).toBe(1);
});

test.each(['moved already', 'not moved yet'] as const)(
  'a file keeps its id when a kill meets its move: %s',
  async (how) => {
    const folder = await store.createFolder(syncpointId, rootFolderId, 'folder');
    const { id, versionId } = await put('a', 'content');
    const { ino } = statSync(join(data, 'a'));
    await store.close();
    const index = await DirectoryIndex.open(join(directory, 'state', 'index'));
    const path = join(data, 'folder', 'b');
    const times = { created: 1n, modified: 2n, added: 3n };
    await index.history.beginMove(id, { path, inode: String(ino), parentId: folder.id, name: 'b', times });
    await index.close();
    if (how === 'moved already') renameSync(join(data, 'a'), path);
    await open(join(directory, 'state'));
    const place = how === 'moved already' ? folder.id : rootFolderId;
    const listing = await store.list(syncpointId, place);
    expect([...(listing?.files ?? [])].map((file) => [file.name, file.id, file.versionId])).toEqual([
      [how === 'moved already' ? 'b' : 'a', id, versionId],
    ]);
  },
);

test.each([
  ['EEXIST', 'taken'],
  ['ENOENT', 'missing'],
  ['ENAMETOOLONG', 'invalid'],
  ['EROFS', 'forbidden'],
  ['EACCES', 'forbidden'],
  ['ENOSPC', 'full'],
  ['EDQUOT', 'full'],
])('the disk’s %s is the store’s %s', (code, reason) => {
  const error = Object.assign(new Error('no'), { code });
  expect(diskRefusal(error)).toMatchObject({ name: 'StoreRefusal', reason });
  const other = Object.assign(new Error('no'), { code: 'EIO' });
  expect(diskRefusal(other)).toBe(other);
});

test('an older version is deleted with its bytes, and the others stay', async () => {
  const { id, versionId: first } = await put('a', 'one');
  const { versionId: second } = await put('a', 'two');
  const { versionId: third } = await put('a', 'three');
  await store.removeVersion(syncpointId, id, second);
  expect((await store.versions(syncpointId, third))?.map((version) => version.id)).toEqual([third, first]);
  expect(await store.open(syncpointId, second)).toBeUndefined();
  expect(readdirSync(join(directory, 'state', 'versions', String(id)))).toHaveLength(1);
});
