// Whatever the vault, the faults, the limits and the order of things: what a read answers is the content's bytes.
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import type { ContentReader } from '../../../src/cache/blocks.ts';
import { bytesOf, contentReference, FakeContentDrive, faultyContentDrive } from '../../fakes/content-drive.ts';
import { freshDirectory, open, readBytes, stopAll } from './opened.ts';

afterEach(stopAll);

const KiB = 1024;
const lengths = [0, 1, 4000, 16 * KiB, 16 * KiB + 1, 128 * KiB, 128 * KiB + 1, 700_001, 3_000_000, 9_000_001];
const contents = lengths.map((lengthBytes, at) => contentReference(`model-${at}`, lengthBytes));

const readStep = fc.record({
  step: fc.constant('read' as const),
  reader: fc.nat(5),
  content: fc.nat(contents.length - 1),
  /** Thousandths of the content; or 'on': where this reader's last read ended. */
  at: fc.oneof(fc.nat(1000), fc.constant('on' as const)),
  lengthBytes: fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 1_100_000 })),
  abort: fc.boolean().chain((abort) => (abort ? fc.nat(3) : fc.constant(undefined))),
});
const otherStep = fc.constantFrom(
  { step: 'close' as const },
  { step: 'remount' as const },
  { step: 'settle' as const },
  { step: 'settle' as const },
);
const fault = fc.option(
  fc.record({
    failAfterBytes: fc.integer({ min: 0, max: 600_000 }),
    how: fc.constantFrom('break' as const, 'short' as const, 'hang' as const),
  }),
  { freq: 4 },
);

test('every read equals the model', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        ranges: fc.constantFrom('bounded' as const, 'open' as const, 'none' as const),
        learns: fc.boolean(),
        chunkBytes: fc.constantFrom(1000, 16 * KiB, 65_537, 300_000),
        memoryBytesMax: fc.constantFrom(200 * KiB, 1024 * KiB, 8192 * KiB),
        diskBytesMax: fc.constantFrom(0, 300 * KiB, 3000 * KiB, 100_000 * KiB),
        faults: fc.array(fault, { maxLength: 12 }),
        steps: fc.array(fc.oneof({ weight: 6, arbitrary: readStep }, { weight: 1, arbitrary: otherStep }), {
          minLength: 1,
          maxLength: 60,
        }),
      }),
      async ({ faults, steps, memoryBytesMax, diskBytesMax, ...vault }) => {
        const directory = await freshDirectory();
        let peakBytes = 0;
        const measure = (): void => {
          peakBytes = Math.max(peakBytes, blocks.statistics().memoryBytes);
        };
        const healthy = new FakeContentDrive({ ...vault, pace: measure });
        const drive = faultyContentDrive(healthy, (call) => faults[call] ?? undefined);
        const limits = { directory, drive, memoryBytesMax, diskBytesMax, times: { stallMs: 20 } };
        let blocks = await open(limits);
        const readers = new Map<number, { reader: ContentReader; content: number; endBytes: number }>();
        let under: Promise<void>[] = [];
        const settle = async (): Promise<void> => {
          await Promise.all(under);
          under = [];
        };
        for (const step of steps) {
          if (step.step === 'settle') await settle();
          if (step.step === 'close') {
            for (const { reader } of readers.values()) reader.close();
            readers.clear();
          }
          if (step.step === 'remount') {
            await settle();
            await blocks.stop();
            readers.clear();
            blocks = await open(limits);
          }
          if (step.step !== 'read') continue;
          const content = contents[step.content] ?? contentReference('none', 0);
          let slot = readers.get(step.reader);
          if (slot?.content !== step.content) {
            slot?.reader.close();
            slot = { reader: blocks.reader(content), content: step.content, endBytes: 0 };
            readers.set(step.reader, slot);
          }
          const from = step.at === 'on' ? slot.endBytes : Math.floor((content.lengthBytes * step.at) / 1000);
          slot.endBytes = Math.min(content.lengthBytes, from + step.lengthBytes);
          const expected = bytesOf(content, from, slot.endBytes);
          const aborting = new AbortController();
          const { abort } = step;
          under.push(
            readBytes(slot.reader, from, step.lengthBytes, aborting.signal).then(
              (bytes) => {
                measure();
                expect(bytes.equals(expected), `${content.versionId} at ${from}`).toBe(true);
              },
              (error: unknown) => {
                // There are fewer faults than attempts: only the test's own abort may fail a read.
                if (!aborting.signal.aborted) throw error;
              },
            ),
          );
          if (abort !== undefined) setTimeout(() => aborting.abort(), abort);
        }
        await settle();
        // Reads hold their blocks to the end of the tick they settle in; transfers under way hold one block each.
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        // While reads wait: one in either line may be larger than its share of the memory; transfers hold a block each.
        expect(peakBytes).toBeLessThanOrEqual(memoryBytesMax + 2 * 10 * 128 * KiB + 20 * 128 * KiB);
        expect(blocks.statistics().memoryBytes).toBeLessThanOrEqual(memoryBytesMax + 20 * 128 * KiB);
        await blocks.stop();
        expect(healthy.openCalls).toBe(0);
        expect(blocks.statistics().memoryBytes).toBe(0);
      },
    ),
    { numRuns: 300, timeout: 15_000 },
  );
});
