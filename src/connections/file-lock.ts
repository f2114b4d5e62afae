// Work that one process at a time may do, under flock(2) of a file.
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** An edit holds the lock for a few milliseconds. */
const RETRY_DELAY_MS = 20;

/** Runs `work` while this process alone holds the lock of `path`. Rejects when it stays taken for `timeoutMs`. */
export async function withFileLock<T>(path: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  // Loaded on demand: most commands lock nothing.
  const { tryLock } = await import('../base/flock.ts');
  const file = await open(path, 'a', 0o600);
  try {
    const deadline = performance.now() + timeoutMs;
    while (!tryLock(file.fd)) {
      if (performance.now() > deadline) {
        throw new Error(
          `${path} has been locked by another process for ${timeoutMs / 1000} s; try again when it has ended`,
        );
      }
      await sleep(RETRY_DELAY_MS);
    }
    return await work();
  } finally {
    // Closing the only descriptor gives the lock back.
    await file.close();
  }
}
