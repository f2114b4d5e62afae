// Opened contents: what programs read after what they wrote, what is fetched for it and which files are left.
import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Staging, StagingError } from '../../../src/cache/staging.ts';
import { bytesOf, contentReference } from '../../fakes/content-drive.ts';
import { contentOf, FakeBlocks, freshDirectory, open, readAll, stopAll } from './opened.ts';

afterEach(stopAll);

const nothing = { version: undefined, staged: undefined };
const KiB = 1024;
const MiB = 1024 * KiB;

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

test('what is written is read, at once', async () => {
  const staging = await open();
  const content = staging.openContent(nothing);
  const reader = content.reader();
  expect(content.dirty).toBe(false);
  expect(content.writingId).toBeUndefined();
  content.write(0, Buffer.from('hello'));
  content.write(8, Buffer.from('world'));
  expect(content.lengthBytes).toBe(13);
  expect(content.dirty).toBe(true);
  const answer = reader.read(0, 100);
  expect(answer).not.toBeInstanceOf(Promise);
  expect(await readAll(reader)).toEqual(Buffer.from('hello\0\0\0world'));
  expect(await readAll(reader, 9, 2)).toEqual(Buffer.from('or'));
  expect(await readAll(reader, 13, 2)).toEqual(Buffer.alloc(0));
  content.close();
});

test('files are private', async () => {
  const directory = join(await freshDirectory(), 'below', 'staging');
  const staging = await open({ directory });
  const content = staging.openContent(nothing);
  content.write(0, Buffer.from('x'));
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  expect((await stat(join(directory, String(content.writingId)))).mode & 0o777).toBe(0o600);
  content.close();
});

test('a clean file is read through the blocks, and by each handle with a reader of its own', async () => {
  const blocks = new FakeBlocks();
  const staging = await open({ blocks });
  const version = contentReference('clean', 3 * MiB);
  const content = staging.openContent({ version, staged: undefined });
  const readers = [content.reader(), content.reader()];
  for (const reader of readers) {
    expect((await readAll(reader, MiB, 5000)).equals(bytesOf(version, MiB, MiB + 5000))).toBe(true);
  }
  expect(blocks.openReaders).toBe(2);
  for (const reader of readers) reader.close();
  expect(blocks.openReaders).toBe(0);
  content.close();
});

test('a change of a few bytes keeps the rest of the version, and fetches it only when it is read', async () => {
  const blocks = new FakeBlocks();
  const staging = await open({ blocks });
  const version = contentReference('base', MiB);
  const content = staging.openContent({ version, staged: undefined });
  content.write(1000, Buffer.from('changed'));
  content.write(MiB - 2, Buffer.from('longer'));
  expect(blocks.reads).toEqual([]);
  const expected = Buffer.concat([bytesOf(version, 0, MiB), Buffer.alloc(4)]);
  expected.write('changed', 1000);
  expected.write('longer', MiB - 2);
  const reader = content.reader();
  expect((await readAll(reader)).equals(expected)).toBe(true);
  const staged = content.commit();
  content.committed(staged);
  expect(staged).toMatchObject({
    lengthBytes: MiB + 4,
    baseEndBytes: MiB,
    extents: [1000, 1007, MiB - 2, MiB],
    sha256: undefined,
  });
  expect(staged.base).toEqual({ kind: 'version', content: version });
  reader.close();
  content.close();
  expect((await contentOf(staging, staged)).equals(expected)).toBe(true);
});

test('a full overwrite fetches nothing', async () => {
  const blocks = new FakeBlocks();
  const staging = await open({ blocks });
  const content = staging.openContent({ version: contentReference('old', 5 * MiB), staged: undefined });
  const bytes = bytesOf(contentReference('new', 5 * MiB), 0, 5 * MiB);
  for (let at = 0; at < bytes.length; at += 700_000) content.write(at, bytes.subarray(at, at + 700_000));
  const staged = content.commit();
  expect(staged).toMatchObject({ base: undefined, baseEndBytes: 0, extents: [], sha256: sha256(bytes) });
  content.committed(staged);
  const sealed = await staging.seal(staged, new AbortController().signal);
  expect(await sealed.sha256(new AbortController().signal)).toBe(sha256(bytes));
  sealed.close();
  content.close();
  expect(blocks.reads).toEqual([]);
});

test('truncation never shows old bytes again', async () => {
  const staging = await open();
  const version = contentReference('long', 200 * KiB);
  const content = staging.openContent({ version, staged: undefined });
  content.truncate(100_000);
  content.truncate(150_000);
  const reader = content.reader();
  const expected = Buffer.concat([bytesOf(version, 0, 100_000), Buffer.alloc(50_000)]);
  expect((await readAll(reader)).equals(expected)).toBe(true);
  content.committed(content.commit());
  content.write(149_999, Buffer.from('x'));
  content.truncate(120_000);
  content.truncate(150_000);
  expect((await readAll(reader)).equals(expected)).toBe(true);
  content.truncate(0);
  content.truncate(10);
  expect(await readAll(reader)).toEqual(Buffer.alloc(10));
  const staged = content.commit();
  expect(staged).toMatchObject({ lengthBytes: 10, base: undefined });
  content.committed(staged);
  content.close();
});

test('a hash covers the whole content or is not told', async () => {
  const staging = await open();
  const content = staging.openContent(nothing);
  content.write(0, Buffer.from('abc'));
  content.write(3, Buffer.from('def'));
  expect(content.commit().sha256).toBe(sha256(Buffer.from('abcdef')));
  content.write(6, Buffer.from('ghi'));
  expect(content.commit().sha256).toBe(sha256(Buffer.from('abcdefghi')));
  content.write(1, Buffer.from('B'));
  expect(content.commit().sha256).toBeUndefined();
  content.write(0, Buffer.from('ABCDEFGHI'));
  expect(content.commit().sha256).toBe(sha256(Buffer.from('ABCDEFGHI')));
  content.truncate(12);
  expect(content.commit().sha256).toBeUndefined();
  content.truncate(0);
  expect(content.commit().sha256).toBe(sha256(Buffer.alloc(0)));
  content.write(5, Buffer.from('x'));
  expect(content.commit().sha256).toBeUndefined();
  content.close();
});

test('nothing changed: commit names what was there', async () => {
  const staging = await open();
  const content = staging.openContent(nothing);
  content.write(0, Buffer.from('x'));
  content.write(0, Buffer.alloc(0));
  const staged = content.commit();
  expect(content.dirty).toBe(false);
  expect(content.commit()).toEqual(staged);
  content.committed(staged);
  content.truncate(1);
  expect(content.dirty).toBe(false);
  expect(content.commit()).toEqual(staged);
  const other = staging.openContent(nothing);
  const empty = other.commit();
  expect(empty).toMatchObject({ lengthBytes: 0, base: undefined });
  other.committed(empty);
  other.close();
  content.close();
});

test('what was not committed is gone with the last handle, what was committed is not', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory });
  const unlinked = staging.openContent(nothing);
  unlinked.write(0, Buffer.from('never named'));
  unlinked.close();
  const content = staging.openContent(nothing);
  content.write(0, Buffer.from('named'));
  const staged = content.commit();
  content.committed(staged);
  content.write(0, Buffer.from('NAMED'));
  content.close();
  await staging.idle();
  expect(await readdir(directory)).toEqual([String(staged.id)]);
  expect(await contentOf(staging, staged)).toEqual(Buffer.from('named'));
  staging.drop(staged.id);
  await staging.idle();
  expect(await readdir(directory)).toEqual([]);
  expect(staging.statistics()).toEqual({ files: 0, bytes: 0, keptBytes: 0 });
});

test('a dropped generation serves those who have it open', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory });
  const content = staging.openContent(nothing);
  content.write(0, Buffer.from('still here'));
  const staged = content.commit();
  content.committed(staged);
  const reader = content.reader();
  staging.drop(staged.id);
  await staging.idle();
  expect(await readAll(reader)).toEqual(Buffer.from('still here'));
  reader.close();
  content.close();
  await staging.idle();
  expect(await readdir(directory)).toEqual([]);
});

test('sealing fetches what is missing and leaves out the version', async () => {
  const blocks = new FakeBlocks();
  const staging = await open({ blocks });
  const version = contentReference('sealed', 3 * MiB + 17);
  const content = staging.openContent({ version, staged: undefined });
  content.write(MiB, Buffer.from('changed'));
  const staged = content.commit();
  content.committed(staged);
  blocks.when = () => new Promise((resolve) => setImmediate(resolve));
  const sealed = await staging.seal(staged, new AbortController().signal);
  expect(blocks.readBytes).toBe(3 * MiB + 17 - 7);
  expect(blocks.openReaders).toBe(0);
  content.write(0, Buffer.from('later'));
  content.committed(content.commit());
  await staging.idle();
  const expected = bytesOf(version, 0, version.lengthBytes);
  expected.write('changed', MiB);
  const bytes: Uint8Array[] = [];
  for await (const piece of sealed.read(5, version.lengthBytes - 5)) bytes.push(piece);
  expect(Buffer.concat(bytes).equals(expected.subarray(5))).toBe(true);
  expect(await sealed.sha256(new AbortController().signal)).toBe(sha256(expected));
  expect(sealed.staged).toMatchObject({ id: staged.id, base: undefined, sha256: sha256(expected) });
  await sealed.makeDurable();
  sealed.close();
  const reader = content.reader();
  expected.write('later', 0);
  expect((await readAll(reader)).equals(expected)).toBe(true);
  reader.close();
  content.close();
});

test('other names for the same bytes do not take the place of what was committed since', async () => {
  const staging = await open();
  const version = contentReference('stored', 1000);
  const content = staging.openContent({ version, staged: undefined });
  const reader = content.reader();
  const same = { version: { ...version, vaultId: undefined }, staged: undefined };
  content.rebase(same);
  expect((await readAll(reader)).equals(bytesOf(version, 0, 1000))).toBe(true);
  expect(() => content.rebase({ version: contentReference('other', 999), staged: undefined })).toThrow(/999 bytes/);
  const expected = bytesOf(version, 0, 1000);
  expected.write('changed');
  content.write(0, Buffer.from('changed'));
  content.rebase(same);
  expect((await readAll(reader)).equals(expected)).toBe(true);
  const staged = content.commit();
  content.rebase(same);
  expect((await readAll(reader)).equals(expected)).toBe(true);
  content.committed(staged);
  expect((await contentOf(staging, staged)).equals(expected)).toBe(true);
  reader.close();
  content.close();
});

test('a read that waits for the service shows what was written meanwhile, and ends where the content does', async () => {
  const blocks = new FakeBlocks();
  const staging = await open({ blocks });
  const version = contentReference('slow', 1000);
  const content = staging.openContent({ version, staged: undefined });
  const reader = content.reader();
  content.write(10, Buffer.from('a'));
  let arrive = (): void => undefined;
  blocks.when = () => new Promise((resolve) => (arrive = resolve));
  const reading = readAll(reader);
  content.write(500, Buffer.from('meanwhile'));
  content.truncate(600);
  arrive();
  const expected = bytesOf(version, 0, 600);
  expected.write('a', 10);
  expected.write('meanwhile', 500);
  expect((await reading).equals(expected)).toBe(true);
  reader.close();
  content.close();
});

test('a file no vault could store is refused, and the content stays', async () => {
  const staging = await open();
  const content = staging.openContent(nothing);
  content.write(0, Buffer.from('x'));
  for (const attempt of [
    () => content.write(2 ** 43, Buffer.from('x')),
    () => content.truncate(2 ** 43 + 1),
    () => content.allocate(2 ** 43, 1, false),
  ]) {
    expect(attempt).toThrow(StagingError);
    expect(attempt).toThrow(expect.objectContaining({ code: 'EFBIG' }));
  }
  expect(content.lengthBytes).toBe(1);
  content.close();
});

test('six gibibytes with a hole', async () => {
  const staging = await open();
  const content = staging.openContent(nothing);
  const at = 6 * 1024 * MiB;
  content.write(at - 3, Buffer.from('end'));
  content.write(at - MiB, Buffer.from('before'));
  content.committed(content.commit());
  content.write(at - 2, Buffer.from('N'));
  const staged = content.commit();
  content.committed(staged);
  await staging.idle();
  const reader = content.reader();
  expect(await readAll(reader, at - 3, 10)).toEqual(Buffer.from('eNd'));
  expect(await readAll(reader, at - MiB, 8)).toEqual(Buffer.from('before\0\0'));
  expect(staging.statistics().bytes).toBeLessThan(MiB);
  reader.close();
  content.close();
});

test('numbers are not given twice', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory });
  const content = staging.openContent(nothing);
  content.write(0, Buffer.from('x'));
  const staged = content.commit();
  content.committed(staged);
  content.close();
  await staging.stop();
  const next = await Staging.open({ directory, blocks: new FakeBlocks() });
  await next.sweep(new Set([staged.id, 1000]));
  const other = next.openContent(nothing);
  other.write(0, Buffer.from('y'));
  expect(other.writingId).toBe(1001);
  other.close();
  await next.stop();
});
