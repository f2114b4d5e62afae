// Large numbers through the kernel: a folder of 100,000 files, and a file past 4 GiB, compared with what the emulator's synthetic
// content is made of. SYNCPLICITYFS_FULL_SCALE=1 also reads the 5 GiB from front to back.
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { syntheticBytes, syntheticFile, type SyntheticRange } from '../../src/emulator/synthetic-tree.ts';
import { Drive, fuseExists } from '../mount/drive.ts';

const MANY = 100_000;
const SMALL_BYTES = 5_000;
const GIBIBYTE = 2 ** 30;
const HUGE_BYTES = 5 * GIBIBYTE + 12_345;
const fullScale = process.env['SYNCPLICITYFS_FULL_SCALE'] === '1';

let drive: Drive;
let small: SyntheticRange;
let huge: SyntheticRange;

beforeAll(async () => {
  if (!fuseExists) return;
  drive = new Drive();
  const many = drive.store.addSyncpoint('many');
  small = drive.store.addSyntheticTree(many.id, { folders: 0, filesPerFolder: MANY, bytesPerFile: SMALL_BYTES });
  const one = drive.store.addSyncpoint('huge');
  huge = drive.store.addSyntheticTree(one.id, { folders: 0, filesPerFolder: 1, bytesPerFile: HUGE_BYTES });
  await drive.serve();
  await drive.mount();
});

afterAll(async () => {
  if (fuseExists) await drive.stop();
});

/** Hashes [start, end) of a synthetic content. */
function expected(version: number, start: number, end: number, hash: Hash = createHash('sha256')): string {
  for (let at = start; at < end;) {
    const bytes = syntheticBytes(version, at, end - at);
    hash.update(bytes);
    at += bytes.byteLength;
  }
  return hash.digest('hex');
}

async function hashOf(path: string, start?: number, end?: number): Promise<string> {
  const hash = createHash('sha256');
  const range = start === undefined || end === undefined ? {} : { start, end: end - 1 };
  const stream = createReadStream(path, { ...range, highWaterMark: 2 ** 20 });
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

describe.skipIf(!fuseExists)('a folder of 100,000 files', () => {
  it('lists each once, for one listing call', async () => {
    const names = new Set<string>();
    let entries = 0;
    drive.emulator.resetCalls();
    for await (const entry of await opendir(join(drive.mountpoint, 'many'), { bufferSize: 1024 })) {
      entries++;
      if (entry.isFile()) names.add(entry.name);
    }
    expect([entries, names.size]).toEqual([MANY, MANY]);
    const made = new Set(Array.from({ length: MANY }, (_value, index) => syntheticFile(small, index).name));
    expect([...names].filter((name) => !made.has(name))).toEqual([]);
    expect(drive.emulator.calls().byEndpoint['folder']).toBe(1);
  });

  it('shows size, time and content of each as they are', async () => {
    const paths = Array.from({ length: 100 }, (_value, index) => (index * 997 * 13) % MANY).map((index) => {
      const record = syntheticFile(small, index);
      return { record, path: join(drive.mountpoint, 'many', record.name) };
    });
    drive.emulator.resetCalls();
    for (const { record, path } of paths) {
      const found = await stat(path, { bigint: true });
      const modifiedNs = record.modified * 100n;
      expect([record.name, found.size, found.mtimeNs]).toEqual([record.name, BigInt(SMALL_BYTES), modifiedNs]);
      expect(await hashOf(path)).toBe(expected(record.versionId, 0, SMALL_BYTES));
    }
    expect(drive.emulator.calls().byEndpoint['folder'] ?? 0).toBe(0);
  });
});

describe.skipIf(!fuseExists)('a file of 5 GiB', () => {
  const path = (): string => join(drive.mountpoint, 'huge', syntheticFile(huge, 0).name);
  const version = (): number => syntheticFile(huge, 0).versionId;

  it.each([
    ['its start', 0, 2 ** 20],
    ['2 GiB', 2 * GIBIBYTE - 1_500_001, 2 * GIBIBYTE + 1_500_003],
    ['4 GiB', 4 * GIBIBYTE - 1_500_001, 4 * GIBIBYTE + 1_500_003],
    ['4 GiB and a bit, which 32 bits take for the start', 4 * GIBIBYTE + 5, 4 * GIBIBYTE + 4_101],
    ['its end', HUGE_BYTES - 3_000_017, HUGE_BYTES],
  ])('has the right bytes at %s', async (_where, start, end) => {
    expect((await stat(path())).size).toBe(HUGE_BYTES);
    expect(await hashOf(path(), start, end)).toBe(expected(version(), start, end));
  });

  it('ends where it ends', async () => {
    const file = await open(path());
    try {
      const buffer = Buffer.alloc(4096);
      expect((await file.read(buffer, 0, 4096, HUGE_BYTES - 10)).bytesRead).toBe(10);
      expect((await file.read(buffer, 0, 4096, HUGE_BYTES)).bytesRead).toBe(0);
    } finally {
      await file.close();
    }
  });

  it.runIf(fullScale)(
    'is the same from front to back',
    async () => {
      const start = performance.now();
      expect(await hashOf(path())).toBe(expected(version(), 0, HUGE_BYTES));
      const seconds = (performance.now() - start) / 1000;
      console.log(`5 GiB read and hashed twice in ${seconds.toFixed(1)} s`);
      expect((await drive.status()).memory.ownBytes).toBeLessThan(250 * 2 ** 20);
    },
    600_000,
  );
});
