// Keeps the generations of a file few: what a committed one holds goes into the file of the one below (down), or what shows through it
// from the one below goes into its own (up), whichever is less. Knows nothing of programs, journal or service.
//
// Invariants, asserted in tests. U lies over L; the journal names U over L, with L as it was.
// F1 Down changes in L only what U hides: where U was written, and behind what U shows of L. So however far it gets before a crash,
//    U over L as the journal names them is the same content, and folding again ends the same.
// F2 Up changes in U only what it does not show.
// F3 L's content as such is nobody's when it is folded into: the journal names U, and no sealed content relies on L. Where somebody was
//    told that L is safe against power loss, U is named safely as well.
// F4 U's file stays until the journal no longer names it: it learns of the fold with the next commit.
// F5 Bytes of which somebody was told that they are safe against power loss are so in the other file, too, before anything names that one
//    alone.
import { isDeepStrictEqual } from 'node:util';
import { createLog } from '../../base/log.ts';
import { Slices } from '../../base/event-loop.ts';
import { isZero } from '../../base/sparse.ts';
import type { DiskRoom } from './disk-room.ts';
import { eachPart, totalBytes } from './extents.ts';
import { type Generation, generationsBelow, type Lineage } from './generation.ts';
import type { Generations } from './generations.ts';
import { secure } from './secure.ts';
import type { StagedFiles } from './staged-files.ts';

const log = createLog('staging');

/** Folded at once, within the commit's own turn: what a few pages of a database or lines of a log take. */
const quickBytesMax = 128 * 1024;
const chunkBytes = 256 * 1024;

interface Fold {
  readonly upper: Generation;
  readonly lower: Generation;
  readonly direction: 'up' | 'down';
  readonly bytes: number;
  /** Of the lower one's own file, what the upper one shows, as of when the fold began: it may be filled meanwhile. */
  readonly held: (readonly [start: number, end: number])[];
}

/** Folds the generations of files. */
export class Folding {
  readonly #files: StagedFiles;
  readonly #room: DiskRoom;
  readonly #generations: Generations;
  #stopped = false;

  constructor(files: StagedFiles, room: DiskRoom, generations: Generations) {
    this.#files = files;
    this.#room = room;
    this.#generations = generations;
  }

  /** Folds what can be folded: at once where it is little, the rest in the background. To be called when that may have become more. */
  settle(lineage: Lineage): void {
    const quick = this.#next(lineage, quickBytesMax, (fold) => !movesPromised(fold));
    if (quick !== undefined) {
      try {
        const steps = this.#steps(quick);
        while (steps.next().done !== true);
        this.#end(quick);
      } catch (error) {
        // It stays as it is, which is right as well; the next commit tries again.
        log('%s', error instanceof Error ? error.message : String(error));
        return;
      }
    }
    if (lineage.folding || this.#next(lineage, Infinity) === undefined) return;
    lineage.folding = true;
    const hold = this.#generations.hold(lineage.top);
    this.#generations.inBackground(
      this.#foldAll(lineage).finally(() => {
        lineage.folding = false;
        hold.release();
      }),
    );
  }

  stop(): void {
    this.#stopped = true;
  }

  async #foldAll(lineage: Lineage): Promise<void> {
    const slices = new Slices();
    for (;;) {
      await slices.pause();
      const fold = this.#stopped ? undefined : this.#next(lineage, Infinity);
      if (fold === undefined) return;
      const folds = movesPromised(fold) ? this.#together(fold, lineage) : [fold];
      const uppers = folds.map(({ upper }) => upper);
      const hold = this.#generations.hold(uppers.at(-1) as Generation);
      for (const each of [...uppers, fold.lower]) each.busy = true;
      try {
        for (const each of folds) {
          const steps = this.#steps(each);
          while (steps.next().done !== true) {
            if (slices.due) await slices.pause();
            if (this.#stopped) return;
          }
        }
        if (folds.some(movesPromised)) await secure(targetOf(fold), this.#files);
        if (this.#stopped) return;
        // Else what was filled in meanwhile would show from where it came: once more, with that.
        if (folds.every(isWhole)) for (const each of folds) this.#end(each);
      } finally {
        for (const each of [...uppers, fold.lower]) each.busy = false;
        hold.release();
      }
    }
  }

  /** A fold, and those over it that can go the same way for little: one sync of the disk serves all of them. */
  #together(fold: Fold, lineage: Lineage): Fold[] {
    const folds = [fold];
    if (fold.direction === 'up') return folds;
    const generations = generationsBelow(lineage.top);
    for (let at = generations.indexOf(fold.upper) - 1; at >= 0; at--) {
      const [upper, below] = [generations[at] as Generation, generations[at + 1] as Generation];
      // Each would change what the one below it shows.
      if (upper.busy || below.seals > 0 || !upper.flushed) break;
      const bytes = this.#bytesOver(upper);
      if (bytes > quickBytesMax) break;
      folds.push({ upper, lower: fold.lower, direction: 'down', bytes, held: [] });
    }
    return folds;
  }

  /** The lowest two that can be folded for at most so many bytes. */
  #next(lineage: Lineage, bytesMax: number, isMeant: (fold: Fold) => boolean = () => true): Fold | undefined {
    const generations = generationsBelow(lineage.top);
    for (let at = generations.length - 2; at >= 0; at--) {
      const fold = this.#foldOf(generations[at] as Generation, generations[at + 1] as Generation);
      if (fold !== undefined && fold.bytes <= bytesMax && isMeant(fold)) return fold;
    }
    return undefined;
  }

  #foldOf(upper: Generation, lower: Generation): Fold | undefined {
    if (upper.busy || lower.busy) return undefined;
    const upBytes = this.#bytesShown(upper, lower);
    const downBytes = this.#bytesOver(upper);
    if (upBytes < downBytes) return { upper, lower, direction: 'up', bytes: upBytes, held: [] };
    if (lower.seals > 0 || (lower.promised && !upper.flushed)) return undefined;
    return { upper, lower, direction: 'down', bytes: downBytes, held: [] };
  }

  /** What a generation holds itself. */
  #bytesOver({ id, extents, lengthBytes, baseEndBytes }: Generation): number {
    return totalBytes(extents) + Math.min(lengthBytes - baseEndBytes, this.#files.measured(id));
  }

  /** Of the lower one's own file, what the upper one shows. */
  #bytesShown(upper: Generation, lower: Generation): number {
    let bytes = 0;
    eachHeld(upper, lower, (start, end) => {
      bytes += end - start;
    });
    return Math.min(bytes, this.#files.measured(lower.id));
  }

  #steps(fold: Fold): Iterator<void> {
    return fold.direction === 'up' ? this.#up(fold) : this.#down(fold.upper, fold.lower);
  }

  /** What was copied counts from here on. */
  #end({ upper, lower, direction, held }: Fold): void {
    if (direction === 'up') {
      for (const [start, end] of held) upper.filled(start, end);
      // All that is hidden from here on by the upper one's own bytes, or shows from below the lower one.
      upper.replaceBase(lower.base, lower.baseEndBytes);
      upper.holdsPromised ||= lower.holdsPromised;
      this.#files.measure(upper.id);
      return;
    }
    lower.sha256 = upper.sha256;
    lower.seals += upper.seals;
    lower.promised = upper.promised;
    lower.holdsPromised ||= upper.holdsPromised;
    upper.foldedInto = lower;
    if (upper.lineage.top === upper) upper.lineage.top = lower;
    this.#files.measure(lower.id);
  }

  *#up({ upper, lower, held }: Fold): Iterator<void> {
    held.push(...heldBy(upper, lower));
    for (const [start, end] of held) yield* this.#copy(lower, upper, start, end);
  }

  *#down(upper: Generation, lower: Generation): Iterator<void> {
    const { lengthBytes, baseEndBytes } = upper;
    if (baseEndBytes < lower.lengthBytes || lower.overlong) {
      this.#files.truncate(lower.id, baseEndBytes);
      lower.overlong = false;
      lower.resized(baseEndBytes);
    }
    this.#files.truncate(lower.id, lengthBytes);
    lower.promised = false;
    lower.resized(lengthBytes);
    const parts: [number, number][] = [];
    eachPart(upper.extents, 0, baseEndBytes, (start, end, inside) => {
      if (inside) parts.push([start, end]);
      return false;
    });
    for (const [start, end] of parts) {
      // At once: what would be filled in there meanwhile is hidden, and would come over what was copied.
      lower.filled(start, end);
      yield* this.#copy(upper, lower, start, end);
    }
    for (const { from, bytes } of this.#pieces(upper, baseEndBytes, lengthBytes)) {
      // Behind the base there are zeros already.
      if (!isZero(bytes)) this.#put(lower, from, bytes);
      yield;
    }
  }

  /** Copies [start, end) of one generation's own file into that of another one. Holes take no room there either. */
  *#copy(from: Generation, to: Generation, start: number, end: number): Iterable<void> {
    let at = start;
    for (const { from: dataAt, bytes } of this.#pieces(from, start, end)) {
      yield* this.#clear(to, at, dataAt);
      // Zeros, too: there may be something else.
      this.#put(to, dataAt, bytes);
      at = dataAt + bytes.length;
      yield;
    }
    yield* this.#clear(to, at, end);
  }

  /** Makes [start, end) of a generation's own file zeros. */
  *#clear(generation: Generation, start: number, end: number): Iterable<void> {
    for (let at = start; at < end;) {
      const data = this.#files.nextData(generation.id, at, end);
      if (data === undefined) return;
      this.#files.clear(generation.id, ...data);
      generation.unsynced = true;
      at = data[1];
      yield;
    }
  }

  /** What a generation's own file has in [start, end), its holes left out. */
  *#pieces(generation: Generation, start: number, end: number): Iterable<{ from: number; bytes: Buffer }> {
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, end - start));
    for (let from = start; from < end;) {
      const data = this.#files.nextData(generation.id, from, end);
      if (data === undefined) return;
      from = data[0];
      const bytes = buffer.subarray(0, Math.min(buffer.length, data[1] - from));
      this.#files.read(generation.id, bytes, from);
      yield { from, bytes };
      from += bytes.length;
    }
  }

  #put(generation: Generation, from: number, bytes: Buffer): void {
    this.#room.take(bytes.length);
    this.#files.write(generation.id, bytes, from);
    generation.unsynced = true;
  }
}

/** The one that stays. */
function targetOf({ upper, lower, direction }: Fold): Generation {
  return direction === 'up' ? upper : lower;
}

/** True where all was copied that is to count as copied. */
function isWhole({ upper, lower, direction, held }: Fold): boolean {
  return direction === 'down' || isDeepStrictEqual(heldBy(upper, lower), held);
}

function heldBy(upper: Generation, lower: Generation): [start: number, end: number][] {
  const held: [number, number][] = [];
  eachHeld(upper, lower, (start, end) => held.push([start, end]));
  return held;
}

/** True where bytes that are to be safe against power loss leave the file that they are safe in (F5). */
function movesPromised({ upper, lower, direction }: Fold): boolean {
  return (direction === 'up' ? lower : upper).holdsPromised;
}

/** Calls back for each range that the lower one's own file holds and the upper one shows. */
function eachHeld(upper: Generation, lower: Generation, held: (start: number, end: number) => void): void {
  eachPart(upper.extents, 0, upper.baseEndBytes, (start, end, inside) => {
    if (inside) return false;
    const below = Math.min(end, lower.baseEndBytes);
    if (start < below) {
      eachPart(lower.extents, start, below, (from, to, own) => {
        if (own) held(from, to);
        return false;
      });
    }
    if (Math.max(start, below) < end) held(Math.max(start, below), end);
    return false;
  });
}
