// Repeats what is safe to repeat: transport failures and server faults, a bounded number of times, with growing jittered pauses.
import { setMaxListeners } from 'node:events';
import { delay, waitFor } from '../base/abort.ts';
import { RemoteError } from '../remote-drive.ts';
import { ReplyError } from './errors.ts';
import type { RetryLimits } from './options.ts';

/**
 * No pause between two tries is longer than this: the caller's patience is a matter of seconds. Where a server asks for more, there is no
 * other try; whoever asks again later is told how much later.
 */
export const pauseMaxMs = 15_000;

export class Retries {
  readonly attempts: number;
  readonly #delayMs: number;
  readonly #stopping: AbortSignal;
  readonly #isFailing: () => boolean;
  /** Failures that used up their tries further in (a token that cannot be had): no reason to begin again further out. */
  readonly #spent = new WeakSet<Error>();

  /**
   * Nothing is repeated once `stopping` has aborted. While `isFailing`, what begins is tried once: the service has failed for so long that
   * another try a moment later only costs a call.
   */
  constructor(limits: RetryLimits, stopping: AbortSignal, isFailing: () => boolean = () => false) {
    this.attempts = Math.max(1, limits.attempts);
    this.#delayMs = limits.delayMs;
    this.#stopping = stopping;
    this.#isFailing = isFailing;
    // Every pause listens for the end.
    setMaxListeners(0, stopping);
  }

  /**
   * Runs `attempt` until it does not fail as passing trouble does, at most `attempts` times. An abort ends the pauses at once.
   * `isSafe` tells of which passing troubles it is safe to try again. Default: all.
   */
  async run<T>(
    signal: AbortSignal | undefined,
    attempt: (tried: number) => Promise<T>,
    isSafe: (error: unknown) => boolean = () => true,
  ): Promise<T> {
    const isFailing = this.#isFailing();
    for (let tried = 0; ; tried += 1) {
      try {
        return await attempt(tried);
      } catch (error) {
        if (isFailing || !isSafe(error)) throw error;
        await this.pause(error, tried, signal);
      }
    }
  }

  /** Waits before the next try after `tried` failed, or rejects with the failure where there should be none. */
  async pause(error: unknown, tried: number, signal: AbortSignal | undefined): Promise<void> {
    if (!(error instanceof RemoteError) || !isPassing(error) || this.#spent.has(error)) throw error;
    if (signal?.aborted === true || this.#stopping.aborted) throw error;
    if (tried + 1 >= this.attempts || (error.retryAfterMs ?? 0) > pauseMaxMs) {
      this.#spent.add(error);
      throw error;
    }
    await waitFor(delay(this.#pauseMs(tried, error), this.#stopping), signal);
  }

  /** Jitter on the upper half: clients that failed together do not come back together. */
  #pauseMs(tried: number, error: RemoteError): number {
    const own = this.#delayMs * 2 ** tried * (0.5 + Math.random() / 2);
    return Math.min(Math.max(own, error.retryAfterMs ?? 0), pauseMaxMs);
  }
}

/** Worth another try: the service could not be reached or failed, or a vault asked to come back later. */
function isPassing(error: RemoteError): boolean {
  return error.kind === 'unavailable' || (error.kind === 'throttled' && error instanceof ReplyError);
}
