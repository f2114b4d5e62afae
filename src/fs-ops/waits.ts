// Requests that wait for the service: each for at most the operation timeout, each ended at once by an interrupt, all of them
// listed for `status`.
import { performance } from 'node:perf_hooks';
import { Deadline } from '../base/deadline.ts';
import { errno } from '../base/errno.ts';
import { toFsError } from './errno.ts';
import { FsError, type Answer, type Caller } from './operations.ts';

/** One request under way. */
export interface Wait {
  readonly verb: string;
  readonly path: string;
  readonly waitedMs: number;
}

export class Waits {
  readonly #timeoutMs: number;
  readonly #underWay = new Set<{ verb: string; path: () => string; since: number }>();

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Runs `work`; where it answers at once nothing is kept. Failures come out as FsError: EIO naming the timeout when time
   * ran out, EINTR after an interrupt.
   */
  run<T>(verb: string, path: () => string, caller: Caller, work: (signal: AbortSignal) => Answer<T>): Answer<T> {
    const tooLong = (): Error =>
      new FsError(errno.EIO, `${verb} ${path()}: no answer within ${this.#timeoutMs / 1000} s`);
    const deadline = new Deadline(this.#timeoutMs, tooLong, [caller.signal]);
    let answer: Answer<T>;
    try {
      answer = work(deadline.signal);
    } catch (error) {
      deadline.release();
      throw toFsError(error, `${verb} ${path()}`);
    }
    if (!(answer instanceof Promise)) {
      deadline.release();
      return answer;
    }
    const wait = { verb, path, since: performance.now() };
    this.#underWay.add(wait);
    return answer
      .catch((error: unknown) => {
        throw toFsError(caller.signal.aborted ? interrupted(verb) : error, `${verb} ${path()}`);
      })
      .finally(() => {
        deadline.release();
        this.#underWay.delete(wait);
      });
  }

  /** What waits now, longest first. */
  list(): Wait[] {
    const now = performance.now();
    return [...this.#underWay].map(({ verb, path, since }) => ({
      verb,
      path: path(),
      waitedMs: Math.round(now - since),
    }));
  }
}

function interrupted(verb: string): FsError {
  return new FsError(errno.EINTR, `${verb}: interrupted`);
}
