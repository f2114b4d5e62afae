// Asks the service now and then what happened: one call, the list of syncpoints, tells for each whether anything did. What that means for
// listings is theirs to say. Asks more seldom when the call budget runs low or nobody uses the mount, and at once when the machine was asleep.
import { isAbort } from '../base/abort.ts';
import { createLog } from '../base/log.ts';
import type { Listings } from '../cache/listings.ts';
import type { Tree } from '../cache/tree.ts';
import { RemoteError } from '../remote-drive.ts';

const log = createLog('watcher');

/** Where the service cannot be reached, it is tried again after this, or sooner where the interval is shorter. */
const AGAIN_MS = 5_000;
/** Nobody uses the mount that long: a night, a lunch. */
const IDLE_MS = 30 * 60_000;
/** When idle or low on calls, it is asked so many times more seldom. */
const SELDOM = 4;
/** Below this part of the hour's allowance calls are left to people. */
const LOW_PART = 0.15;
/** How often it is looked whether the machine was asleep, or somebody came back. */
const TICK_MS = 5_000;
/** The clocks are set apart by as much only where the machine slept, or somebody set one. */
const JUMP_MS = 5_000;

export interface WatcherOptions {
  readonly tree: Tree;
  readonly listings: Listings;
  readonly intervalMs: number;
  /** The part of the hour's allowance of calls that is left: 0 to 1. */
  readonly callsLeft: () => number;
  /** Nobody used the mount for long: what the kernel knows is not to be kept from being asked for when somebody comes back. */
  readonly onIdle: () => void;
  /** The machine was asleep: connections are dead, tokens may have run out. */
  readonly onWoken: () => void;
}

export class Watcher {
  readonly #options: WatcherOptions;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #askedMs = -Infinity;
  /** Wall minus monotonic clock. */
  #offsetMs = Date.now() - performance.now();
  #asking: Promise<void> | undefined;
  #isAway = false;
  #isIdle = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  /** Asks at once, then every interval. */
  start(): void {
    this.#timer = setInterval(() => this.#tick(), Math.min(TICK_MS, this.#options.intervalMs));
    this.#timer.unref();
    this.#ask();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort(new RemoteError('unavailable', 'the drive is being unmounted'));
    await this.#asking;
  }

  #tick(): void {
    const { onWoken, onIdle, listings } = this.#options;
    const offsetMs = Date.now() - performance.now();
    const hasJumped = Math.abs(offsetMs - this.#offsetMs) > JUMP_MS;
    this.#offsetMs = offsetMs;
    const isIdle = listings.used.idleMs > IDLE_MS;
    const isBack = this.#isIdle && !isIdle;
    if (isIdle && !this.#isIdle) onIdle();
    this.#isIdle = isIdle;
    if (hasJumped) {
      log('the clocks moved apart: the machine was asleep, or its time was set');
      onWoken();
    }
    if (hasJumped || isBack || this.#isDue()) this.#ask();
  }

  /** Whoever else asked in the meantime, a file that was stored for example, asked for us as well. */
  #isDue(): boolean {
    const ageMs = performance.now() - this.#askedMs;
    return Math.min(ageMs, this.#isAway ? Infinity : this.#options.listings.eventsAgeMs) >= this.#pauseMs();
  }

  #pauseMs(): number {
    const { intervalMs, callsLeft } = this.#options;
    if (this.#isAway) return Math.min(intervalMs, AGAIN_MS);
    // A tick that comes a moment early is not put off to the next one.
    const onTimeMs = intervalMs - Math.min(TICK_MS, intervalMs) / 2;
    return this.#isIdle || callsLeft() < LOW_PART ? SELDOM * intervalMs : onTimeMs;
  }

  #ask(): void {
    if (this.#asking !== undefined || this.#stop.signal.aborted) return;
    const { tree, listings } = this.#options;
    this.#askedMs = performance.now();
    this.#asking = listings
      .refresh(tree.root(), this.#stop.signal, 'prefetch')
      .then(
        () => {
          this.#isAway = false;
        },
        (error: unknown) => {
          if (isAbort(error, this.#stop.signal)) return;
          this.#isAway = true;
          log('the service was not asked: %s', error instanceof Error ? error.message : error);
        },
      )
      .finally(() => (this.#asking = undefined));
  }
}
