// Downloads: both URL forms, every reading of Range, versions and their bytes.
import { afterEach, describe, expect, test } from 'vitest';
import { dialects } from '../../src/emulator/dialect.ts';
import type { Dialect } from '../../src/emulator/dialect.ts';
import { startEmulator } from '../../src/emulator/emulator.ts';
import type { Emulator } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { syntheticBytes } from '../../src/emulator/synthetic-tree.ts';
import { download, signIn } from './client.ts';
import type { Session } from './client.ts';

const CONTENT = Buffer.from('0123456789');
const running: Emulator[] = [];
afterEach(async () => {
  for (const emulator of running.splice(0)) await emulator.stop();
});

async function vault(dialect: Partial<Dialect> = {}): Promise<{
  session: Session;
  store: MemoryStore;
  syncpointId: number;
  rootFolderId: number;
  versionId: number;
  fileId: number;
}> {
  const store = new MemoryStore();
  const { id: syncpointId, rootFolderId } = store.addSyncpoint('Projects');
  const { versionId, id: fileId } = store.addFile(syncpointId, rootFolderId, 'n ä.bin', CONTENT);
  const emulator = await startEmulator({ store, dialect });
  running.push(emulator);
  return { session: await signIn(emulator), store, syncpointId, rootFolderId, versionId, fileId };
}

/** Status, body and Content-Range of a download with a Range header. */
async function ranged(dialect: Partial<Dialect>, range: string): Promise<[number, string, string | null]> {
  const { session, syncpointId, versionId } = await vault(dialect);
  const response = await download(session, syncpointId, versionId, { Range: range });
  const text = await response.text();
  return [response.status, response.status < 300 ? text : '', response.headers.get('content-range')];
}

describe('ranges', () => {
  test.each<[string, Partial<Dialect>, string, [number, string, string | null]]>([
    ['bounded', {}, 'bytes=2-4', [206, '234', 'bytes 2-4/10']],
    ['bounded', {}, 'bytes=8-99', [206, '89', 'bytes 8-9/10']],
    ['bounded', {}, 'bytes=7-', [206, '789', 'bytes 7-9/10']],
    ['bounded, as the guide writes it', {}, '7-', [206, '789', 'bytes 7-9/10']],
    ['bounded, past the end', {}, 'bytes=10-', [416, '', 'bytes */10']],
    ['bounded, past the end', { pastEnd: '400' }, 'bytes=10-', [400, '', null]],
    ['bounded, past the end', { pastEnd: 'empty' }, 'bytes=10-', [204, '', null]],
    ['bounded, unreadable', {}, 'bytes=4-2', [400, '', null]],
    ['bounded, unreadable', { badRange: 'ignored' }, 'bytes=-3', [200, '0123456789', null]],
    ['no total', { contentRange: 'no-total' }, 'bytes=2-4', [206, '234', 'bytes 2-4/*']],
    ['no Content-Range', { contentRange: 'absent' }, 'bytes=2-4', [206, '234', null]],
    ['open-ended', { ranges: 'open-ended' }, 'bytes=2-4', [206, '23456789', 'bytes 2-9/10']],
    ['raw', { ranges: 'raw' }, '2-', [206, '23456789', 'bytes 2-9/10']],
    ['raw', { ranges: 'raw' }, 'bytes=2-', [400, '', null]],
    ['raw', { ranges: 'raw', badRange: 'ignored' }, 'bytes=2-', [200, '0123456789', null]],
    ['ignored', { ranges: 'ignored' }, 'bytes=2-4', [200, '0123456789', null]],
  ])('%s %o: %s', async (_name, dialect, range, expected) => {
    expect(await ranged(dialect, range)).toEqual(expected);
  });
});

test('each URL form can be missing', async () => {
  for (const name of ['observed', 'ranges-raw', 'ranges-open-ended'] as const) {
    const { session, syncpointId, versionId } = await vault(dialects[name]);
    const first = await download(session, syncpointId, versionId);
    const query = `syncpoint_id=${syncpointId}&file_version_id=${versionId}`;
    const { AppKey = '', Authorization = '' } = session.headers;
    const second = await fetch(`${session.emulator.vaultUrl}/v2/files?${query}`, {
      headers: { AppKey, Authorization },
    });
    const statuses = { observed: [200, 200], 'ranges-raw': [200, 404], 'ranges-open-ended': [404, 200] };
    expect([first.status, second.status]).toEqual(statuses[name]);
  }
});

test('versions, syncpoints and tokens that do not belong together are refused', async () => {
  const { session, store, syncpointId, versionId, fileId } = await vault();
  const other = store.addSyncpoint('Other');
  const status = async (...args: [number, number | string, Record<string, string>?]): Promise<number> =>
    (await download(session, ...args)).status;
  expect(await status(other.id, versionId)).toBe(404);
  expect(await status(syncpointId, fileId)).toBe(404);
  expect(await status(syncpointId, 'x')).toBe(400);
  expect(await status(syncpointId, versionId, { Authorization: 'Bearer no' })).toBe(401);
  expect(await status(syncpointId, versionId, { AppKey: 'no' })).toBe(401);
});

test('an older version keeps its bytes', async () => {
  const { session, store, syncpointId, versionId, fileId } = await vault();
  const newer = store.writeFile(syncpointId, fileId, Buffer.from('new'));
  expect(await (await download(session, syncpointId, versionId)).text()).toBe('0123456789');
  expect(await (await download(session, syncpointId, newer.versionId)).text()).toBe('new');
});

test('names travel in Content-Disposition', async () => {
  const { session, syncpointId, versionId } = await vault();
  const response = await download(session, syncpointId, versionId);
  expect(response.headers.get('content-disposition')).toBe("attachment; filename*=UTF-8''n%20%C3%A4.bin");
  expect(await response.text()).toBe('0123456789');
});

test('a file larger than 4 GiB has its own bytes past that offset', async () => {
  const { session, store, syncpointId, rootFolderId } = await vault();
  const lengthBytes = 5 * 2 ** 30;
  const at = (offset: number, length: number): Uint8Array => syntheticBytes(9, offset, length);
  const { versionId } = store.addFile(syncpointId, rootFolderId, 'large', { lengthBytes, at });
  const start = 2 ** 32 + 123;
  const response = await download(session, syncpointId, versionId, { Range: `bytes=${start}-${start + 999}` });
  expect(response.headers.get('content-range')).toBe(`bytes ${start}-${start + 999}/${lengthBytes}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  expect(Buffer.from(bytes).equals(Buffer.from(syntheticBytes(9, start, 1000)))).toBe(true);
  expect(Buffer.from(bytes).equals(Buffer.from(syntheticBytes(9, 123, 1000)))).toBe(false);
});

test('an empty file is downloaded whole', async () => {
  const { session, store, syncpointId, rootFolderId } = await vault();
  const { versionId } = store.addFile(syncpointId, rootFolderId, 'empty', Buffer.alloc(0));
  const response = await download(session, syncpointId, versionId);
  expect([response.status, response.headers.get('content-length'), await response.text()]).toEqual([200, '0', '']);
});
