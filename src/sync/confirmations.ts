// When a folder is listed for files that were stored under ids not told: one listing tells all of a folder, and is good for longer where no
// change of ours comes after it, so it waits until nothing more is on its way, or for long enough. Knows folders and times only.
import type { Turns } from './turns.ts';

/** After the last file of a folder: the next one may be a moment away. */
const QUIET_MS = 2_000;
/** Somebody waits, perhaps for this one file, while others are on their way to other folders. */
const HURRIED_MS = 5_000;
/** While files keep coming, what is stored is confirmed at least so often: until then it is kept twice. */
const BUSY_MS_MAX = 15_000;

interface Folder {
  readonly firstMs: number;
  lastMs: number;
}

export class Confirmations {
  readonly #waiting = new Map<number, Folder>();
  readonly #storing = new Map<number, number>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** A file is about to be stored in a folder. */
  begin(folder: number): void {
    this.#storing.set(folder, (this.#storing.get(folder) ?? 0) + 1);
  }

  /** Takes back {@link begin}. Returns the folders that nothing is waited for any more with: all of them where nothing is on its way. */
  end(folder: number): readonly number[] {
    const left = (this.#storing.get(folder) ?? 0) - 1;
    if (left > 0) this.#storing.set(folder, left);
    else this.#storing.delete(folder);
    if (this.#storing.size === 0) return [...this.#waiting.keys(), folder];
    return left > 0 ? [] : [folder];
  }

  /** A file was stored under ids that were not told. */
  untold(folder: number): void {
    const now = this.#nowMs();
    const known = this.#waiting.get(folder);
    if (known === undefined) this.#waiting.set(folder, { firstMs: now, lastMs: now });
    else known.lastMs = now;
  }

  /** When the folder is worth a look, steady clock, ms. `hurried`: somebody waits for it. `turns` tells what waits to be stored. */
  dueMs(folder: number, hurried: boolean, turns: Pick<Turns, 'isAwaited'>): number {
    const known = this.#waiting.get(folder);
    if (known === undefined) return 0;
    const latestMs = known.firstMs + BUSY_MS_MAX;
    const awaited = turns.isAwaited(folder);
    // Between two uploads that end at one moment and those after them nothing is on its way, and much is to come.
    const isBusyElsewhere = (this.#storing.size > 0 || turns.isAwaited()) && !this.#storing.has(folder);
    // Looked at again by then, whether or not anybody tells.
    if (awaited || (isBusyElsewhere && !hurried)) return Math.min(latestMs, this.#nowMs() + QUIET_MS);
    if (isBusyElsewhere) return Math.min(latestMs, known.lastMs + HURRIED_MS);
    const quietMs = hurried && !this.#storing.has(folder) ? known.lastMs : known.lastMs + QUIET_MS;
    return Math.min(latestMs, quietMs);
  }

  /** The folder is looked at now. */
  looked(folder: number): void {
    this.#waiting.delete(folder);
  }
}
