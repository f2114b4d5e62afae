// Requests that wait for the service: each for at most the operation timeout, each ended at once by an interrupt, all of them
// listed for `status`, with those that lately got an error instead of an answer.
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

/** One request whose failure its errno does not explain. */
export interface Failure {
  readonly verb: string;
  readonly path: string;
  readonly reason: string;
  /** Wall clock, ms. */
  readonly atMs: number;
}

/** Enough to see what goes wrong; a storm of failures says the same over and over. */
const FAILURES_MAX = 20;
/** Errors whose cause a program cannot show: the service, this machine's disk, a name that only the service minds. */
const REPORTED: ReadonlySet<number> = new Set([
  errno.EIO,
  errno.EACCES,
  errno.EINVAL,
  errno.ENOSPC,
  errno.EDQUOT,
  errno.EFBIG,
  errno.ESTALE,
]);

export class Waits {
  readonly #timeoutMs: number;
  readonly #onFailure: (failure: Failure) => void;
  #failures: Failure[] = [];
  /** A failure that comes through several waits counts once. */
  readonly #reported = new WeakSet<FsError>();
  readonly #underWay = new Set<{ verb: string; path: () => string; since: number }>();

  /** `onFailure` is told of every request whose failure its errno does not explain. */
  constructor(timeoutMs: number, onFailure: (failure: Failure) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onFailure = onFailure;
  }

  /**
   * Runs `work` for at most `timeoutMs` (default: the operation timeout); where it answers at once nothing is kept. Failures come out as FsError: EIO naming the timeout when time
   * ran out, EINTR after an interrupt. Where `isProlonged` says so when the time is over, it begins anew.
   */
  run<T>(
    verb: string,
    path: () => string,
    caller: Caller,
    work: (signal: AbortSignal) => Answer<T>,
    timeoutMs: number = this.#timeoutMs,
    isProlonged?: () => boolean,
  ): Answer<T> {
    const tooLong = (): Error => new FsError(errno.EIO, `${verb} ${path()}: no answer within ${timeoutMs / 1000} s`);
    const deadline = new Deadline(timeoutMs, tooLong, [caller.signal], isProlonged);
    let answer: Answer<T>;
    try {
      answer = work(deadline.signal);
    } catch (error) {
      deadline.release();
      throw this.failed(verb, path(), error);
    }
    if (!(answer instanceof Promise)) {
      deadline.release();
      return answer;
    }
    const wait = { verb, path, since: performance.now() };
    this.#underWay.add(wait);
    return answer
      .catch((error: unknown) => {
        throw this.failed(verb, path(), caller.signal.aborted ? interrupted(verb) : error);
      })
      .finally(() => {
        deadline.release();
        this.#underWay.delete(wait);
      });
  }

  /** Runs what never waits. Failures come out as FsError, and count where a program would not tell their cause. */
  attempt<T>(verb: string, path: () => string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.failed(verb, path(), error);
    }
  }

  /** Any failure as FsError; listed where its cause is not in the errno. */
  failed(verb: string, path: string, error: unknown): FsError {
    const failure = toFsError(error, `${verb} ${path}`);
    if (!REPORTED.has(failure.errno) || this.#reported.has(failure)) return failure;
    this.#reported.add(failure);
    this.#report(verb, path, failure);
    return failure;
  }

  /** The latest failures, oldest first. */
  failures(): readonly Failure[] {
    return this.#failures;
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

  #report(verb: string, path: string, { message }: FsError): void {
    const failure = { verb, path, reason: message, atMs: Date.now() };
    this.#failures = [...this.#failures.slice(1 - FAILURES_MAX), failure];
    this.#onFailure(failure);
  }
}

function interrupted(verb: string): FsError {
  return new FsError(errno.EINTR, `${verb}: interrupted`);
}
