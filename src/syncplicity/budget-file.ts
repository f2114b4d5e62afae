// How many calls an app key made in the past hour, by minute, in memory and in a small file. Each process keeps a section of
// its own in the file and rewrites it whole: two that write at once lose nothing for longer than until the next write. A file
// that cannot be read or written costs only the memory of other runs, never a call.
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createLog } from '../base/log.ts';
import { isObject } from './wire/fields.ts';

const log = createLog('budget');
const minuteMs = 60_000;
const hourMs = 3_600_000;
/** Between two writes: what a crash forgets is at most the calls of this time. */
const writeEveryMs = 1_000;
/** A state file is some kilobytes; anything much longer is not ours. */
const fileBytesMax = 1 << 20;

/** The wall clock runs ahead of the monotonic one by as much only where the machine slept, or somebody set it. */
const sleptMs = 60_000;

/** Calls by minute since 1970. */
type Minutes = Map<number, number>;

export class BudgetFile {
  readonly #path: string | undefined;
  readonly #section = `${process.pid}-${randomUUID().slice(0, 8)}`;
  readonly #own: Minutes = new Map();
  #others: ReadonlyMap<string, Minutes> = new Map();
  #smoothing = false;
  #loading: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** When the monotonic clock would have been 0. */
  #originMs = performance.timeOrigin;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  /**
   * Wall-clock milliseconds that never step back. While the machine sleeps the monotonic clock stands still: after that other processes
   * would take these minutes for old ones, and theirs would lie in the future.
   */
  now(): number {
    const nowMs = this.#originMs + performance.now();
    const aheadMs = Date.now() - nowMs;
    if (aheadMs < sleptMs) return nowMs;
    this.#originMs += aheadMs;
    return nowMs + aheadMs;
  }

  /** Whether calls must be evenly spaced. */
  get smoothing(): boolean {
    return this.#smoothing;
  }

  rememberSmoothing(): void {
    if (this.#smoothing) return;
    this.#smoothing = true;
    this.#scheduleWrite();
  }

  /** Reads the file, once. */
  load(): Promise<void> {
    this.#loading ??= this.#read();
    return this.#loading;
  }

  /** One call was made. */
  count(): void {
    const minute = Math.floor(this.now() / minuteMs);
    this.#own.set(minute, (this.#own.get(minute) ?? 0) + 1);
    this.#scheduleWrite();
  }

  /** The call that was counted last was not made after all. */
  uncount(): void {
    const minute = Math.max(...this.#own.keys());
    const calls = this.#own.get(minute) ?? 0;
    if (calls > 1) this.#own.set(minute, calls - 1);
    else this.#own.delete(minute);
    this.#scheduleWrite();
  }

  usedThisHour(): number {
    let used = 0;
    for (const [, calls] of this.#countedMinutes()) used += calls;
    return used;
  }

  /** Milliseconds until fewer than `allowance` calls lie in the past hour; 0 where that is so now. */
  waitForRoomMs(allowance: number): number {
    let used = this.usedThisHour();
    if (used < allowance) return 0;
    const oldestFirst = [...this.#countedMinutes()].sort(([a], [b]) => a - b);
    for (const [minute, calls] of oldestFirst) {
      used -= calls;
      if (used < allowance) return (minute + 1) * minuteMs + hourMs - this.now();
    }
    return 0;
  }

  /** Writes what is pending. */
  async stop(): Promise<void> {
    if (this.#timer === undefined) return this.#writing;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#write();
    await this.#writing;
  }

  *#countedMinutes(): Generator<readonly [number, number]> {
    const oldest = this.#oldestMinute();
    for (const minutes of [this.#own, ...this.#others.values()]) {
      for (const entry of minutes) if (entry[0] >= oldest) yield entry;
    }
  }

  /** A minute counts until its last call is an hour old. */
  #oldestMinute(): number {
    return Math.floor((this.now() - hourMs) / minuteMs);
  }

  #scheduleWrite(): void {
    if (this.#path === undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#write();
    }, writeEveryMs);
    this.#timer.unref();
  }

  #write(): void {
    this.#writing = this.#writing.then(() => this.#mergeAndWrite());
  }

  async #mergeAndWrite(): Promise<void> {
    const path = this.#path;
    if (path === undefined) return;
    await this.#read();
    const oldest = this.#oldestMinute();
    for (const minute of this.#own.keys()) if (minute < oldest) this.#own.delete(minute);
    const sections = new Map([...this.#others, [this.#section, this.#own] as const]);
    const text = JSON.stringify({
      version: 1,
      smoothing: this.#smoothing,
      calls: Object.fromEntries([...sections].map(([name, minutes]) => [name, Object.fromEntries(minutes)])),
    });
    const temporary = `${path}.${this.#section}`;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeFile(temporary, text, { mode: 0o600 });
      await rename(temporary, path);
    } catch (error) {
      log('the call budget is not kept in %s: %o', path, error);
      await rm(temporary, { force: true }).catch((reason: unknown) => log('%s is left behind: %o', temporary, reason));
    }
  }

  /** Takes over the other processes' sections and what they learnt. */
  async #read(): Promise<void> {
    if (this.#path === undefined) return;
    let state: unknown;
    try {
      const text = await readFile(this.#path, 'utf8');
      state = text.length > fileBytesMax ? undefined : (JSON.parse(text) as unknown);
    } catch (error) {
      log('no call budget in %s: %o', this.#path, error);
      return;
    }
    if (!isObject(state)) return;
    if (state['smoothing'] === true) this.#smoothing = true;
    const calls = state['calls'];
    if (!isObject(calls)) return;
    const others = new Map<string, Minutes>();
    for (const [section, value] of Object.entries(calls)) {
      if (section === this.#section || !isObject(value)) continue;
      const minutes = this.#recentMinutes(value);
      if (minutes.size > 0) others.set(section, minutes);
    }
    this.#others = others;
  }

  #recentMinutes(value: Readonly<Record<string, unknown>>): Minutes {
    const oldest = this.#oldestMinute();
    const newest = Math.floor(this.now() / minuteMs) + 1;
    const minutes: Minutes = new Map();
    for (const [key, calls] of Object.entries(value)) {
      const minute = Number(key);
      if (minute >= oldest && minute <= newest && typeof calls === 'number' && calls > 0) minutes.set(minute, calls);
    }
    return minutes;
  }
}
