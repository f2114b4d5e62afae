// Keeps the ranges of a generation few: where thousands of small writes lie apart, the smallest gaps between them are filled from below, in
// the background. What the content shows stays the same at every moment. Knows neither programs nor journal.
import { isAbort } from '../../base/abort.ts';
import { StagedReader, type ReaderSurroundings } from './content-reader.ts';
import { put, type FillSurroundings } from './fill.ts';
import type { Generation } from './generation.ts';
import type { Generations } from './generations.ts';

/** The journal's record of the generation stays below 100 KiB, which a commit writes in a tenth of a millisecond. */
const rangesMax = 4096;
const stepBytes = 1024 * 1024;

export class GapFilling {
  readonly #around: ReaderSurroundings & FillSurroundings;
  readonly #generations: Generations;
  readonly #stopping = new AbortController();
  /** Generations being filled, or given up at that many ranges. */
  readonly #under = new WeakMap<Generation, { ranges: number }>();

  constructor(around: ReaderSurroundings & FillSurroundings, generations: Generations) {
    this.#around = around;
    this.#generations = generations;
  }

  /** To be called when the generation may have got more ranges. */
  check(generation: Generation): void {
    const ranges = generation.extents.length / 2;
    if (ranges <= rangesMax || this.#stopping.signal.aborted) return;
    const under = this.#under.get(generation);
    // After a failure not before it is twice as bad: the service may be out of reach for hours.
    if (under !== undefined && ranges < 2 * under.ranges) return;
    this.#under.set(generation, { ranges });
    const hold = this.#generations.hold(generation);
    this.#generations.inBackground(this.#fill(generation).finally(() => hold.release()));
  }

  stop(): void {
    this.#stopping.abort(new Error('the staging directory is being closed'));
  }

  async #fill(generation: Generation): Promise<void> {
    const { signal } = this.#stopping;
    const reader = new StagedReader(() => generation.base, this.#around);
    try {
      for (const { start, end } of smallestGaps(generation)) {
        for (let at = start; at < end; at += stepBytes) {
          const to = Math.min(end, at + stepBytes);
          put(generation, at, await reader.read(at, to - at, signal), this.#around);
        }
      }
      this.#around.files.measure(generation.id);
      this.#under.delete(generation);
    } catch (error) {
      if (!isAbort(error, signal)) throw error;
    } finally {
      reader.close();
    }
  }
}

/** So many of the gaps between ranges that half as many as may be are left. */
function smallestGaps({ extents }: Generation): { start: number; end: number }[] {
  const gaps: { start: number; end: number }[] = [];
  for (let at = 1; at + 1 < extents.length; at += 2) {
    gaps.push({ start: extents[at] as number, end: extents[at + 1] as number });
  }
  gaps.sort((a, b) => a.end - a.start - (b.end - b.start));
  return gaps.slice(0, gaps.length - rangesMax / 2);
}
