// Spare files: what is done with is used again, empty, and nobody ever sees the bytes of the file it was.
import { pbkdf2 } from 'node:crypto';
import fs from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import type { Staging } from '../../../src/cache/staging.ts';
import { SpareFiles } from '../../../src/cache/staging/spare-files.ts';
import type { StagedContent } from '../../../src/cache/tree/records.ts';
import { contentOf, freshDirectory, open, stopAll } from './opened.ts';

afterEach(stopAll);

const hashed = promisify(pbkdf2);
const nothing = { version: undefined, staged: undefined };
const inodeOf = (directory: string, name: string | number): number => fs.statSync(join(directory, String(name))).ino;

const sizesIn = (directory: string): number[] =>
  fs.readdirSync(directory).map((name) => fs.statSync(join(directory, name)).size);

function stored(staging: Staging, bytes: Buffer): StagedContent {
  const content = staging.openContent(nothing);
  content.write(0, bytes);
  const staged = content.commit();
  content.committed(staged);
  content.close();
  return staged;
}

test('a file that nobody needs any more becomes another one, empty at first', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory, spareFilesMax: 2 });
  const first = stored(staging, Buffer.alloc(100_000, 1));
  const inode = inodeOf(directory, first.id);
  staging.drop(first.id);
  await staging.idle();
  expect(await readdir(directory)).toEqual(['2']);
  expect(staging.statistics()).toMatchObject({ files: 0, bytes: 0 });
  const content = staging.openContent(nothing);
  content.write(10, Buffer.from('x'));
  const second = content.commit();
  content.committed(second);
  expect(inodeOf(directory, second.id)).toBe(inode);
  expect(second.id).toBeGreaterThan(first.id);
  expect(await contentOf(staging, second)).toEqual(Buffer.concat([Buffer.alloc(10), Buffer.from('x')]));
  content.close();
});

test('no more are kept than was said', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory, spareFilesMax: 2 });
  const contents = [1, 2, 3, 4].map((byte) => stored(staging, Buffer.alloc(10, byte)));
  for (const { id } of contents) staging.drop(id);
  await staging.idle();
  expect(await readdir(directory)).toHaveLength(2);
});

test('another process goes on with them, emptied where they are not', async () => {
  const directory = await freshDirectory();
  const before = await open({ directory, spareFilesMax: 2 });
  const { id } = stored(before, Buffer.from('secret'));
  before.drop(id);
  await before.idle();
  await before.stop();
  await writeFile(join(directory, '7'), 'left over');
  // Which of them is ready first is the disk's to say.
  const inodes = (await readdir(directory)).map((name) => inodeOf(directory, name));
  const staging = await open({ directory, spareFilesMax: 2 });
  await staging.sweep(new Set());
  expect(sizesIn(directory)).toEqual([0, 0]);
  const content = stored(staging, Buffer.from('new'));
  expect(inodes).toContain(inodeOf(directory, content.id));
  expect(await contentOf(staging, content)).toEqual(Buffer.from('new'));
});

test('the names of many are made safe against power loss by one sync of their directory', async () => {
  const directory = await freshDirectory();
  let syncs = 0;
  const syncDirectory = (): Promise<void> => Promise.resolve(void (syncs += 1));
  const staging = await open({ directory, spareFilesMax: 3, system: { syncDirectory } });
  const save = async (): Promise<number> => {
    const content = staging.openContent(nothing);
    content.write(0, Buffer.from('x'));
    const staged = content.commit();
    content.committed(staged);
    await content.sync();
    content.close();
    return staged.id;
  };
  const first = await Promise.all([save(), save(), save()]);
  expect(syncs).toBeLessThanOrEqual(2);
  syncs = 0;
  // They become spare files under new names: the first one taken has them all synced.
  for (const id of first) staging.drop(id);
  await staging.idle();
  for (let turn = 0; turn < 3; turn += 1) await save();
  expect(syncs).toBe(1);
  await save();
  expect(syncs).toBe(2);
});

test('one that somebody deleted is done without', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory, spareFilesMax: 2 });
  const { id } = stored(staging, Buffer.from('a'));
  staging.drop(id);
  await staging.idle();
  fs.unlinkSync(join(directory, '2'));
  expect(await contentOf(staging, stored(staging, Buffer.from('b')))).toEqual(Buffer.from('b'));
});

test('one that is given twice is emptied before another generation takes it, not after', async () => {
  const directory = await freshDirectory();
  const spares = new SpareFiles(directory, 1000, { nextNumber: () => (last += 1), onNamed: () => undefined });
  const turn = promisify(setImmediate);
  let last = 0;
  for (let round = 1; round <= 100; round++) {
    const given = join(directory, `given-${round}`);
    const taken = join(directory, `taken-${round}`);
    await writeFile(given, 'old');
    let kept = 0;
    const give = async (): Promise<void> => {
      if (!(await spares.give(given))) return;
      kept += 1;
      fs.renameSync(join(directory, String(spares.take())), taken);
      fs.writeFileSync(taken, 'new');
    };
    // One after the other, so that some are under way when the first is done, between others who have the threads wait.
    const work: Promise<unknown>[] = [];
    for (let turns = 0; turns < 20; turns++) {
      work.push(give(), hashed('password', 'salt', 200, 64, 'sha512'));
      await turn();
    }
    await Promise.all(work);
    expect(kept).toBe(1);
    expect(fs.readFileSync(taken, 'utf8')).toBe('new');
  }
  await spares.stop();
});

test('they are made when nothing is written for a while', async () => {
  const directory = await freshDirectory();
  await open({ directory, spareFilesMax: 20 });
  await expect.poll(() => readdir(directory), { timeout: 10_000 }).toHaveLength(20);
});

test("what the journal names is nobody's spare file, not even an empty one", async () => {
  const directory = await freshDirectory();
  const before = await open({ directory });
  const empty = stored(before, Buffer.alloc(0));
  await before.stop();
  const staging = await open({ directory, spareFilesMax: 20 });
  await staging.sweep(new Set([empty.id]));
  for (let turn = 0; turn < 30; turn++) expect(stored(staging, Buffer.from('x')).id).not.toBe(empty.id);
  expect(await contentOf(staging, empty)).toEqual(Buffer.alloc(0));
});

test('a drive that keeps none makes none', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory, spareFilesMax: 0 });
  const { id } = stored(staging, Buffer.from('a'));
  staging.drop(id);
  await staging.idle();
  expect(await readdir(directory)).toEqual([]);
});
