// Whatever is written, committed, sealed, stored, evicted and cut off by a crash, in whatever order and with whatever failing: what is read
// is what a plain buffer would hold, and what a crash leaves is what the journal named.
import { readdir } from 'node:fs/promises';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import {
  type HandleReader,
  type OpenContent,
  type SealedContent,
  type Staging,
  StagingError,
} from '../../../src/cache/staging.ts';
import { fallocate } from '../../../src/base/fallocate.ts';
import type { StagingSystem } from '../../../src/cache/staging/staged-files.ts';
import { idsOf } from '../../../src/cache/staging/generation.ts';
import type { StagedContent } from '../../../src/cache/tree/records.ts';
import type { ContentReference } from '../../../src/remote-drive.ts';
import { contentReference } from '../../fakes/content-drive.ts';
import { FakeBlocks, FaultySystem, freshDirectory, open, readAll, snapshot, stopAll, VolatileDisk } from './opened.ts';

afterEach(stopAll);

const at = fc.nat(1000);
const steps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        step: fc.constant('write' as const),
        at,
        length: fc.nat(300),
        byte: fc.integer({ min: 1, max: 255 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        step: fc.constant('append' as const),
        length: fc.nat(50),
        byte: fc.integer({ min: 1, max: 255 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ step: fc.constant('truncate' as const), at: fc.oneof(at, fc.constant(0)) }) },
    {
      weight: 1,
      arbitrary: fc.record({ step: fc.constantFrom('punch' as const, 'zero' as const), at, length: fc.nat(300) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ step: fc.constant('allocate' as const), at, length: fc.nat(300), keepSize: fc.boolean() }),
    },
    { weight: 6, arbitrary: fc.record({ step: fc.constant('commit' as const), told: fc.boolean() }) },
    { weight: 3, arbitrary: fc.record({ step: fc.constant('read' as const), at, length: fc.nat(1000) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        step: fc.constantFrom('seal' as const, 'unseal' as const, 'flush' as const, 'sync' as const),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        step: fc.constantFrom('reopen' as const, 'crash' as const, 'idle' as const, 'look' as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ step: fc.constant('stored' as const), kept: fc.boolean() }) },
  ),
  { minLength: 1, maxLength: 50 },
);
type Step = typeof steps extends fc.Arbitrary<(infer S)[]> ? S : never;

interface Setup {
  readonly scale: number;
  readonly versionUnits: number;
  readonly fails: number[];
  readonly looks: number[];
  /** On a disk that knows holes. */
  readonly punches?: boolean;
}

/** What the journal says, and what that is. */
interface Journal {
  readonly version: ContentReference | undefined;
  readonly staged: StagedContent | undefined;
  readonly bytes: Buffer;
  /** Each byte that was promised to be safe against power loss and not changed since; -1 for all others. */
  readonly safe: Int16Array;
}

class Run {
  readonly #scale: number;
  readonly #system = new FaultySystem();
  readonly #calls: Partial<StagingSystem>;
  readonly #blocks = new FakeBlocks();
  #directory = '';
  #disk!: VolatileDisk;
  #cuts = 0;
  #staging!: Staging;
  #content!: OpenContent;
  #reader!: HandleReader;
  /** What programs see. */
  #bytes: Buffer;
  #safe: Int16Array;
  #journal: Journal;
  /** As of the last time its database was safe on the disk, and whether the bytes it names were promised to be. */
  #flushed: Journal & { readonly promised: boolean };
  #promised = false;
  #untold: { staged: StagedContent; bytes: Buffer; safe: Int16Array }[] = [];
  #onFlushed: (() => void)[] = [];
  #sealed: { sealed: SealedContent; bytes: Buffer } | undefined;
  #versions = 0;
  readonly #leftByCrashes: { directory: string; journal: Journal; is: 'exact' | 'whole' | 'anything' }[] = [];
  #snapshots: string[];

  constructor(setup: Setup, snapshots: string[]) {
    this.#scale = setup.scale;
    this.#calls = setup.punches === true ? { ...this.#system.calls, fallocate } : this.#system.calls;
    this.#snapshots = snapshots;
    for (const call of setup.fails) this.#system.fails.add(call);
    for (const call of setup.looks) this.#system.looks.add(call);
    this.#system.look = () => this.#look();
    const version = contentReference('first', setup.versionUnits * setup.scale);
    this.#bytes = Buffer.from(this.#blocks.bytesOf(version, 0, version.lengthBytes));
    this.#safe = Int16Array.from(this.#bytes);
    this.#journal = { version, staged: undefined, bytes: this.#bytes, safe: this.#safe };
    this.#flushed = { ...this.#journal, promised: true };
    // Every second answer takes a while.
    this.#blocks.when = (offset) => (offset % 2 === 0 ? undefined : new Promise((resolve) => setImmediate(resolve)));
  }

  async start(directory: string): Promise<void> {
    this.#directory = directory;
    this.#disk = new VolatileDisk(directory);
    this.#staging = await open({
      directory,
      blocks: this.#blocks,
      keptBytesMax: 400 * this.#scale,
      system: { ...this.#calls, ...this.#disk.calls },
      journalFlushed: () => new Promise((resolve) => this.#onFlushed.push(() => resolve(undefined))),
    });
    await this.#staging.sweep(new Set(this.#journal.staged === undefined ? [] : idsOf(this.#journal.staged)));
    this.#openContent();
  }

  async step(step: Step): Promise<void> {
    switch (step.step) {
      case 'write':
        return this.#write(step.at * this.#scale, Buffer.alloc(step.length * this.#scale, step.byte));
      case 'append':
        return this.#write(this.#bytes.length, Buffer.alloc(step.length * this.#scale, step.byte));
      case 'truncate': {
        const length = step.at * this.#scale;
        return this.#change(() => this.#content.truncate(length), resized(this.#bytes, length), [0, 0]);
      }
      case 'punch':
      case 'zero': {
        const start = step.at * this.#scale;
        const end = start + step.length * this.#scale;
        const grown = step.step === 'zero' ? Math.max(this.#bytes.length, end) : this.#bytes.length;
        const after = resized(this.#bytes, grown);
        after.fill(0, Math.min(start, grown), Math.min(end, grown));
        const { step: which } = step;
        return this.#change(
          () =>
            which === 'punch' ? this.#content.punch(start, end - start) : this.#content.zeroRange(start, end - start),
          after,
          [start, end],
        );
      }
      case 'allocate': {
        const start = step.at * this.#scale;
        const length = step.length * this.#scale;
        const grown = step.keepSize ? this.#bytes.length : Math.max(this.#bytes.length, start + length);
        return this.#change(
          () => this.#content.allocate(start, length, step.keepSize),
          resized(this.#bytes, grown),
          [0, 0],
        );
      }
      case 'commit':
        return this.#commit(step.told);
      case 'read':
        expectSame(
          await readAll(this.#reader, step.at * this.#scale, step.length * this.#scale),
          this.#bytes.subarray(step.at * this.#scale, (step.at + step.length) * this.#scale),
        );
        return;
      case 'seal':
        return this.#seal();
      case 'unseal':
        return this.#unseal();
      case 'flush':
        this.#flush();
        await turn();
        return;
      case 'sync': {
        const named = this.#journal;
        await this.#content.sync();
        if (this.#journal === named) this.#promise();
        return;
      }
      case 'reopen':
        this.#tell();
        this.#closeContent();
        this.#bytes = this.#journal.bytes;
        this.#safe = this.#journal.safe;
        this.#openContent();
        return;
      case 'crash':
        return this.#crash();
      case 'idle':
        this.#flush();
        await turn();
        return;
      case 'look':
        this.#look();
        return;
      case 'stored':
        return this.#stored(step.kept);
    }
  }

  async end(): Promise<void> {
    expectSame(await readAll(this.#reader), this.#bytes);
    await this.#unseal();
    await this.#commit(true);
    this.#closeContent();
    await this.#flushing(this.#staging.idle());
    const named = this.#journal.staged === undefined ? [] : idsOf(this.#journal.staged).map(String);
    expect((await readdir(this.#directory)).sort()).toEqual(named.sort());
    expect(this.#staging.statistics().files).toBe(named.length);
    await this.#flushing(this.#staging.stop());
    expect(this.#blocks.openReaders).toBe(0);
    for (const { directory, journal, is } of this.#leftByCrashes) {
      const staging = await open({ directory, blocks: this.#blocks });
      await staging.sweep(new Set(journal.staged === undefined ? [] : idsOf(journal.staged)));
      const content = staging.openContent(journal);
      const reader = content.reader();
      if (is === 'exact') expectSame(await readAll(reader), journal.bytes);
      else if (is === 'whole') await expectAllOrRefusal(reader, journal.bytes.length);
      else await expectSafe(reader, journal.safe);
      reader.close();
      content.close();
      await staging.stop();
    }
  }

  async #write(offset: number, data: Buffer): Promise<void> {
    if (data.length === 0) return;
    const after = resized(this.#bytes, Math.max(this.#bytes.length, offset + data.length));
    data.copy(after, offset);
    await this.#change(() => this.#content.write(offset, data), after, [offset, offset + data.length]);
  }

  /** Changes the content; where that fails, it is as before, but for bytes of the range, which may be what they were to be. */
  async #change(change: () => void, after: Buffer, range: readonly [number, number]): Promise<void> {
    const before = this.#bytes;
    try {
      change();
      this.#bytes = after;
      this.#changed(range);
    } catch (error) {
      if (!(error instanceof StagingError)) throw error;
      const found = await readAll(this.#reader);
      expect(found.length).toBe(before.length);
      for (let index = range[0]; index < Math.min(range[1], found.length); index++) {
        if (found[index] === after[index]) continue;
        expect(found[index]).toBe(before[index]);
      }
      const outside = Buffer.from(found);
      const start = Math.min(range[0], before.length);
      before.copy(outside, start, start, Math.min(range[1], before.length));
      expectSame(outside, before);
      this.#bytes = found;
      this.#changed(range);
    }
    expect(this.#content.lengthBytes).toBe(this.#bytes.length);
  }

  #changed([start, end]: readonly [number, number]): void {
    const { length } = this.#bytes;
    const safe = new Int16Array(length).fill(-1);
    safe.set(this.#safe.subarray(0, length));
    this.#safe = safe.fill(-1, Math.min(start, length), Math.min(end, length));
  }

  /** All that the journal names is safe now. */
  #promise(): void {
    this.#promised = true;
    if (this.#journal.bytes !== this.#bytes) return;
    this.#safe = Int16Array.from(this.#bytes);
    this.#journal = { ...this.#journal, safe: this.#safe };
  }

  async #commit(told: boolean): Promise<void> {
    if (this.#content.dirty) {
      try {
        this.#untold.push({ staged: this.#content.commit(), bytes: this.#bytes, safe: this.#safe });
      } catch (error) {
        if (!(error instanceof StagingError)) throw error;
      }
    }
    if (told) this.#tell();
    expectSame(await readAll(this.#reader), this.#bytes);
  }

  /** The journal names all commits. */
  #tell(): void {
    for (const { staged, bytes, safe } of this.#untold.splice(0)) {
      const before = this.#journal.staged;
      this.#journal = { ...this.#journal, staged, bytes, safe };
      this.#promised = false;
      this.#content.committed(staged);
      // The tree tells as well what it does not name any more.
      const named = idsOf(staged);
      if (before !== undefined) for (const id of idsOf(before)) if (!named.includes(id)) this.#staging.drop(id);
      expect(named.length).toBeLessThanOrEqual(12);
    }
  }

  #flush(): void {
    this.#flushed = { ...this.#journal, promised: this.#promised };
    for (const resolve of this.#onFlushed.splice(0)) resolve();
  }

  async #seal(): Promise<void> {
    const { staged, bytes } = this.#journal;
    if (this.#sealed !== undefined || staged === undefined) return;
    try {
      this.#sealed = { sealed: await this.#staging.seal(staged, new AbortController().signal), bytes };
    } catch (error) {
      if (!(error instanceof StagingError)) throw error;
    }
  }

  async #unseal(): Promise<void> {
    if (this.#sealed === undefined) return;
    const { sealed, bytes } = this.#sealed;
    this.#sealed = undefined;
    const pieces: Uint8Array[] = [];
    for await (const piece of sealed.read(0, sealed.lengthBytes)) pieces.push(piece);
    expectSame(Buffer.concat(pieces), bytes);
    await sealed.makeDurable();
    sealed.close();
  }

  /** What the journal names is at the service now. */
  async #stored(kept: boolean): Promise<void> {
    if (this.#untold.length > 0 || this.#sealed !== undefined) return;
    await this.#seal();
    const { staged, bytes } = this.#journal;
    const sealing = this.#sealed as { sealed: SealedContent; bytes: Buffer } | undefined;
    if (staged === undefined || sealing === undefined) return;
    const complete = sealing.sealed.staged;
    await this.#unseal();
    this.#promise();
    const { safe } = this.#journal;
    const version = this.#blocks.store(contentReference(`stored ${++this.#versions}`, bytes.length), bytes);
    this.#name({ version, staged: kept ? complete : undefined, bytes, safe });
    if (!kept) return;
    const evict = (id: number): void => {
      if (this.#journal.staged?.id === id && this.#journal.version === version)
        this.#name({ version, staged: undefined, bytes, safe });
    };
    this.#staging.keep(complete, evict);
  }

  #name(journal: Journal): void {
    const before = this.#journal.staged;
    this.#journal = journal;
    this.#content.rebase(journal);
    const named = journal.staged === undefined ? [] : idsOf(journal.staged);
    if (before !== undefined) for (const id of idsOf(before)) if (!named.includes(id)) this.#staging.drop(id);
  }

  /** Keeps the directory as a crash leaves it now: the journal is as it is, or, without power, as it was flushed. */
  #look(): void {
    for (const journal of [{ ...this.#journal, promised: true }, this.#flushed]) {
      const directory = this.#snapshots.pop();
      if (directory === undefined) return;
      snapshot(this.#directory, directory);
      this.#leftByCrashes.push({ directory, journal, is: journal.promised ? 'exact' : 'whole' });
    }
    const directory = this.#snapshots.pop();
    if (directory === undefined) return;
    this.#cuts += 1;
    this.#disk.cutOff(directory, (name) => ((Number(name) * 7 + this.#cuts) & 3) === 0);
    this.#leftByCrashes.push({
      directory,
      journal: this.#flushed,
      is: this.#flushed.promised ? 'exact' : 'anything',
    });
  }

  /** Flushes the journal until the work is through: what is done in the background waits for that, whenever the disk lets it come so far. */
  async #flushing(work: Promise<unknown>): Promise<void> {
    const state = { isDone: false };
    const done = work.finally(() => (state.isDone = true));
    done.catch(() => undefined);
    while (!state.isDone) {
      this.#flush();
      await turn();
    }
    await done;
  }

  async #crash(): Promise<void> {
    const directory = this.#snapshots.pop();
    if (directory === undefined) return;
    snapshot(this.#directory, directory);
    this.#closeContent();
    this.#sealed?.sealed.close();
    this.#sealed = undefined;
    this.#untold = [];
    this.#flush();
    await this.#flushing(this.#staging.stop());
    this.#bytes = this.#journal.bytes;
    this.#safe = this.#journal.safe;
    await this.start(directory);
    expectSame(await readAll(this.#reader), this.#bytes);
  }

  #openContent(): void {
    this.#content = this.#staging.openContent(this.#journal);
    this.#reader = this.#content.reader();
  }

  #closeContent(): void {
    this.#reader.close();
    this.#content.close();
  }
}

/** A later state may have been shorter, and its file is what is left: that is told, and nothing made up. */
async function expectAllOrRefusal(reader: HandleReader, lengthBytes: number): Promise<void> {
  try {
    expect((await readAll(reader)).length).toBe(lengthBytes);
  } catch (error) {
    if (!(error instanceof StagingError)) throw error;
    expect(error.message).toMatch(/ends at \d+ bytes, before its content does: it is damaged$/);
  }
}

/** What was promised is there, in whatever company. */
async function expectSafe(reader: HandleReader, safe: Int16Array): Promise<void> {
  for (let start = 0; start < safe.length;) {
    if (safe[start] === -1) {
      start++;
      continue;
    }
    let end = start;
    while (end < safe.length && safe[end] !== -1) end++;
    expectSame(await readAll(reader, start, end - start), Buffer.from(safe.subarray(start, end)));
    start = end;
  }
}

function resized(bytes: Buffer, length: number): Buffer {
  const after = Buffer.alloc(length);
  bytes.copy(after);
  return after;
}

function expectSame(actual: Buffer, expected: Buffer): void {
  if (actual.equals(expected)) return;
  expect(actual.length).toBe(expected.length);
  const first = actual.findIndex((byte, index) => byte !== expected[index]);
  throw new Error(`byte ${first} of ${expected.length} is ${actual[first]} instead of ${expected[first]}`);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

/** Power is lost when a shorter state, which the journal named since it was last safe, has been folded into the file of the one before. */
const powerLossAfterShrinking: [Setup, Step[]] = [
  { scale: 1, versionUnits: 0, fails: [], looks: [6] },
  [
    { step: 'write', at: 0, length: 3, byte: 1 },
    { step: 'commit', told: true },
    { step: 'write', at: 0, length: 1, byte: 1 },
    { step: 'truncate', at: 2 },
    { step: 'flush' },
  ],
];

/** What fsync(2) made safe has come into the file of a later state, which nobody synced, when power is lost. */
const powerLossAfterFoldingUp: [Setup, Step[]] = [
  { scale: 1, versionUnits: 0, fails: [], looks: [] },
  [
    { step: 'write', at: 0, length: 3, byte: 1 },
    { step: 'commit', told: true },
    { step: 'sync' },
    { step: 'flush' },
    { step: 'append', length: 50, byte: 2 },
    { step: 'commit', told: true },
    { step: 'idle' },
    { step: 'append', length: 5, byte: 3 },
    { step: 'commit', told: true },
    { step: 'idle' },
    { step: 'idle' },
    { step: 'look' },
  ],
];

test('every read and every crash equals the model', { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        /** Bytes a unit: content of kilobytes is folded at once, of megabytes in the background. */
        scale: fc.constantFrom(1, 1, 1, 17, 1500),
        versionUnits: fc.oneof(fc.constant(0), fc.nat(1000)),
        fails: fc.oneof(
          { weight: 3, arbitrary: fc.constant<number[]>([]) },
          { weight: 1, arbitrary: fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 4 }) },
        ),
        looks: fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 4 }),
        punches: fc.boolean(),
      }),
      steps,
      async (setup, sequence) => {
        const snapshots = await Promise.all(Array.from({ length: 18 }, () => freshDirectory()));
        const run = new Run(setup, snapshots);
        await run.start(await freshDirectory());
        for (const step of sequence) await run.step(step);
        await run.end();
        await stopAll();
      },
    ),
    {
      numRuns: Number(process.env['STAGING_RUNS'] ?? 300),
      // A sequence that comes to no end is to be named, and not to be looked for again and again.
      timeout: 60_000,
      endOnFailure: true,
      examples: [powerLossAfterShrinking, powerLossAfterFoldingUp],
    },
  );
});
