// Whatever becomes of the disk cache's files and of its disk's room, between reads and under them: a read answers the content's bytes, the
// cache keeps its limit, and it works again once the disk does.
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { bytesOf, contentReference, FakeContentDrive } from '../../fakes/content-drive.ts';
import { freshDirectory, open, readBytes, stopAll } from './opened.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const lengths = [4000, 16 * KiB + 1, 128 * KiB + 1, 700_001, 3_000_000, 9_000_001];
const contents = lengths.map((lengthBytes, at) => contentReference(`torn-${at}`, lengthBytes));

beforeEach(() => {
  // A cache that pauses says so.
  vi.spyOn(console, 'error').mockImplementation(() => undefined);
});
afterEach(async () => {
  await stopAll();
  vi.restoreAllMocks();
});

const read = fc.record({
  step: fc.constant('read' as const),
  content: fc.nat(contents.length - 1),
  /** Thousandths of the content. */
  at: fc.nat(1000),
  lengthBytes: fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 2_100_000 })),
});
const tear = fc.record({
  step: fc.constant('tear' as const),
  file: fc.nat(40),
  how: fc.constantFrom('flip' as const, 'cut' as const, 'grow' as const, 'remove' as const),
  /** Thousandths of the file. */
  at: fc.nat(1000),
});
const room = fc.record({
  step: fc.constant('room' as const),
  freeBytes: fc.constantFrom(0, 200 * KiB, 4 * MiB, 1024 * MiB),
});
const calm = fc.constantFrom({ step: 'settle' as const }, { step: 'remount' as const });
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: read },
    { weight: 3, arbitrary: tear },
    { weight: 1, arbitrary: room },
    { weight: 2, arbitrary: calm },
  ),
  { minLength: 1, maxLength: 50 },
);

/** The segments' files. */
function filesIn(directory: string): string[] {
  const data = join(directory, 'data');
  if (!existsSync(data)) return [];
  return readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .toSorted();
}

function damage(path: string, how: 'flip' | 'cut' | 'grow' | 'remove', at: number): void {
  if (how === 'remove') {
    rmSync(path, { force: true });
    return;
  }
  let file: number;
  try {
    file = openSync(path, 'r+');
  } catch (error) {
    // Evicted meanwhile.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    const { size } = fstatSync(file);
    const offset = Math.floor((size * at) / 1000);
    if (how === 'cut') ftruncateSync(file, offset);
    if (how === 'grow') writeSync(file, Buffer.alloc(70 * KiB, 1), 0, 70 * KiB, size);
    if (how !== 'flip' || size === 0) return;
    const byte = Buffer.alloc(1);
    const place = Math.min(offset, size - 1);
    readSync(file, byte, 0, 1, place);
    byte[0] = (byte[0] ?? 0) ^ 0x55;
    writeSync(file, byte, 0, 1, place);
  } finally {
    closeSync(file);
  }
}

test('every read equals the model, whatever becomes of the files', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({ diskBytesMax: fc.constantFrom(300 * KiB, 3000 * KiB, 100_000 * KiB), steps }),
      async ({ diskBytesMax, steps: taken }) => {
        const directory = await freshDirectory();
        let freeBytes = 1024 * MiB;
        const drive = new FakeContentDrive({});
        const limits = {
          directory,
          drive,
          diskBytesMax,
          memoryBytesMax: 200 * KiB,
          reserveBytes: MiB,
          freeBytes: () => freeBytes,
        };
        let blocks = await open(limits);
        let under: Promise<void>[] = [];
        const settle = async (): Promise<void> => {
          await Promise.all(under);
          under = [];
        };
        const remount = async (): Promise<void> => {
          await settle();
          await blocks.stop();
          blocks = await open(limits);
        };
        const check = async (at: number, from: number, lengthBytes: number): Promise<void> => {
          const content = contents[at] ?? contentReference('none', 0);
          const reader = blocks.reader(content);
          const bytes = await readBytes(reader, from, lengthBytes);
          reader.close();
          const expected = bytesOf(content, from, Math.min(content.lengthBytes, from + lengthBytes));
          expect(bytes.equals(expected), `${content.versionId} at ${from}`).toBe(true);
        };
        for (const step of taken) {
          switch (step.step) {
            case 'read': {
              const { lengthBytes = 0 } = contents[step.content] ?? {};
              under.push(check(step.content, Math.floor((lengthBytes * step.at) / 1000), step.lengthBytes));
              break;
            }
            case 'tear': {
              const files = filesIn(directory);
              const path = files[step.file % Math.max(1, files.length)];
              if (path !== undefined) damage(path, step.how, step.at);
              break;
            }
            case 'room':
              ({ freeBytes } = step);
              break;
            case 'settle':
              await settle();
              break;
            case 'remount':
              await remount();
          }
        }
        await settle();
        freeBytes = 1024 * MiB;
        // What paused for want of room begins anew.
        await remount();
        for (const [at, { lengthBytes }] of contents.entries()) await check(at, 0, lengthBytes);
        await settle();
        await blocks.stop();
        expect(blocks.statistics().diskBytes).toBeLessThanOrEqual(diskBytesMax);
        const onDisk = filesIn(directory).reduce((sum, path) => sum + statSync(path).blocks * 512, 0);
        expect(onDisk).toBeLessThanOrEqual(diskBytesMax + 64 * KiB);
        expect(drive.openCalls).toBe(0);
      },
    ),
    { numRuns: 60, timeout: 15_000 },
  );
});
