// Whose turn it is: so many uploads and so many other steps at once, and what was changed a moment ago gives way to programs that go on
// changing things. Holds what has to wait, and tells when it is worth another plan. Must not know: what a step does.
import type { Journal, PendingRecord } from '../cache/journal.ts';
import { HeldUploads } from './held-uploads.ts';
import type { Step } from './plan.ts';

/** Gateway calls of one drive at once: the pace of calls, not their number, limits them. */
const GATEWAY_STEPS_MAX = 6;
/** A program that changed something so lately is likely to go on. */
const BUSY_MS = 100;
/** For folders and names a pause is longer: a script starts a program for each of them. */
const BUSY_WITH_NAMES_MS = 300;
/** For so long what is to be done at the service gives way to programs that change things. */
const YIELD_MS = 5_000;

export interface TurnsOptions {
  readonly journal: Pick<Journal, 'get' | 'sinceLocalChangeMs'>;
  /** Wall clock, ms. */
  readonly nowMs: () => number;
  /** Files sent at once. */
  readonly uploadsMax: number;
  /** Steps under way, by inode. */
  readonly running: ReadonlyMap<number, { readonly step: Step['kind'] }>;
  /** True while somebody waits for all of it. */
  readonly isHurried: () => boolean;
  /** Hears of what is to be planned again. */
  readonly onTurn: (inodes: readonly number[]) => void;
}

export class Turns {
  readonly #options: TurnsOptions;
  readonly #uploads = new HeldUploads();
  readonly #gateway = new Set<number>();
  /** Programs go on changing things: what they do next may be done together with these, or make them needless. */
  readonly #yielding = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** True where it is the turn of a step at the service; else it is held until it may be. */
  hasCome(record: PendingRecord, step: Step): boolean {
    const { running, uploadsMax } = this.#options;
    const { inode } = record;
    const uploads = this.#uploadCount();
    if (step.kind === 'store') {
      // Programs that write are waited for by somebody; what they wrote a moment ago is not.
      if (uploads < uploadsMax && !this.#givesWay(record, BUSY_MS)) return true;
      this.#uploads.add(inode, step.place.parent);
      if (uploads < uploadsMax) this.#lookLater();
      return false;
    }
    if (step.kind !== 'confirm' && this.#givesWay(record, BUSY_WITH_NAMES_MS)) {
      this.#yielding.add(inode);
      this.#lookLater();
      return false;
    }
    if (running.size - uploads < GATEWAY_STEPS_MAX) return true;
    this.#gateway.add(inode);
    return false;
  }

  /** It is planned anew, and may have another turn. */
  forget(inode: number): void {
    this.#uploads.delete(inode);
    this.#gateway.delete(inode);
    this.#yielding.delete(inode);
  }

  /** True where an upload to that folder waits for its turn; without one, where any does. */
  isAwaited(folder?: number): boolean {
    return this.#uploads.awaits(folder);
  }

  /** Has as many of those that wait for room planned as there is room for. */
  release(): void {
    const { running, uploadsMax, onTurn } = this.#options;
    const uploads = this.#uploadCount();
    // Held until they are planned: their folders go on waiting for them.
    const stores = first(this.#uploads.inodes(), uploadsMax - uploads);
    const others = first(this.#gateway, GATEWAY_STEPS_MAX - (running.size - uploads));
    for (const inode of others) this.#gateway.delete(inode);
    onTurn([...stores, ...others]);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** What is older goes whatever programs do. */
  #givesWay({ sinceMs }: PendingRecord, busyMs: number): boolean {
    const { journal, nowMs, isHurried } = this.#options;
    const ageMs = nowMs() - sinceMs;
    // A clock set back must not make all of it young.
    return journal.sinceLocalChangeMs < busyMs && ageMs >= 0 && ageMs < YIELD_MS && !isHurried();
  }

  /** Looks soon whether programs have come to rest. */
  #lookLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.release();
      this.#endYielding();
      if (this.#yielding.size > 0) this.#lookLater();
    }, BUSY_MS).unref();
  }

  #endYielding(): void {
    const { journal, onTurn } = this.#options;
    const isQuiet = journal.sinceLocalChangeMs >= BUSY_WITH_NAMES_MS;
    const ended: number[] = [];
    for (const inode of this.#yielding) {
      const record = journal.get(inode);
      // They came in the order of their changes: those behind are younger.
      if (!isQuiet && record !== undefined && this.#givesWay(record, BUSY_WITH_NAMES_MS)) break;
      ended.push(inode);
    }
    for (const inode of ended) this.#yielding.delete(inode);
    onTurn(ended);
  }

  #uploadCount(): number {
    let count = 0;
    for (const { step } of this.#options.running.values()) if (step === 'store') count += 1;
    return count;
  }
}

/** As many of them as there is room for. */
function first(inodes: Iterable<number>, room: number): number[] {
  const found: number[] = [];
  for (const inode of inodes) {
    if (found.length >= room) break;
    found.push(inode);
  }
  return found;
}
