// Times set one at a time (touch -m, tar -x). libfuse 2 drops those unless its file system says that it knows them, which the binding
// never does: so the flag is set in libfuse's own memory, once, before the first request. The place is that of libfuse 2.9.3 to 2.9.9 on
// x86-64, and nothing is written unless all that is known of its surroundings is found there.
import koffi from 'koffi';
import type { Time } from './words.ts';

/** fuse_thread_t: the address of libfuse's structure, and the mountpoint behind it. */
const FUSE_OFFSET_BYTES = 368;
const MOUNTPOINT_OFFSET_BYTES = 384;
/** struct fuse: its configuration, which is known, and what says whether there may be requests without a path or with one time. */
const NEGATIVE_TIMEOUT = 168n;
const TIMEOUTS = [160n, 176n, 184n];
const HARD_REMOVE = 208n;
const USE_INO = 212n;
const NULLPATH_OK = 280n;
const UTIME_OMIT_OK = 284n;

/** What the binding, which counts in milliseconds, makes of UTIME_NOW and UTIME_OMIT alike. */
const UNSPOKEN_MS = 1073n;

/**
 * Has times set one at a time passed on. False where the memory does not look as it should: then they are not. Call it right after
 * mounting: the thread of libfuse then waits for the answer to its first request.
 */
export function passOmittedTimes(thread: Buffer, mountpoint: string, lifetimeSeconds: number): boolean {
  if (process.platform !== 'linux' || process.arch !== 'x64') return false;
  const shown = Buffer.from(`${mountpoint}\0`);
  if (thread.length < MOUNTPOINT_OFFSET_BYTES + shown.length) return false;
  if (thread.compare(shown, 0, shown.length, MOUNTPOINT_OFFSET_BYTES, MOUNTPOINT_OFFSET_BYTES + shown.length) !== 0)
    return false;
  const fuse = thread.readBigUInt64LE(FUSE_OFFSET_BYTES);
  if (fuse === 0n) return false;
  const real = (at: bigint): unknown => koffi.decode(fuse + at, 'double');
  const whole = (at: bigint): unknown => koffi.decode(fuse + at, 'int');
  const isAsKnown =
    real(NEGATIVE_TIMEOUT) === 0 &&
    TIMEOUTS.every((at) => real(at) === lifetimeSeconds) &&
    whole(HARD_REMOVE) === 0 &&
    whole(USE_INO) === 1 &&
    whole(NULLPATH_OK) === 0 &&
    whole(UTIME_OMIT_OK) === 0;
  if (!isAsKnown) return false;
  koffi.encode(fuse + UTIME_OMIT_OK, 'int', 1);
  return true;
}

/** The times of a request, where one may be left as it is or for us to say. */
export function spokenTimes(
  accessedMs: bigint,
  modifiedMs: bigint,
  timeOf: (ms: bigint) => Time,
): { readonly accessed?: Time | 'now'; readonly modified?: Time | 'now' } {
  const accessed = accessedMs === UNSPOKEN_MS ? undefined : timeOf(accessedMs);
  const modified = modifiedMs === UNSPOKEN_MS ? undefined : timeOf(modifiedMs);
  if (accessed !== undefined && modified !== undefined) return { accessed, modified };
  if (modified !== undefined) return { modified };
  if (accessed !== undefined) return { accessed };
  // touch(1), or one of the two alone: which is not told.
  return { accessed: 'now', modified: 'now' };
}
