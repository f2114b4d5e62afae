// flock(2): a lock the kernel gives back when its holder dies, however it dies, so that no stale lock file ever has to be judged.
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 'EAGAIN';
/** An edit holds the lock for a few milliseconds. */
const RETRY_DELAY_MS = 20;

type Flock = (fd: number, operation: number) => number;

/** Runs `work` while this process alone holds the lock of `path`. Rejects when it stays taken for `timeoutMs`. */
export async function withFileLock<T>(path: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const { flock, errnoName } = await loadFlock();
  const file = await open(path, 'a', 0o600);
  try {
    const deadline = performance.now() + timeoutMs;
    while (flock(file.fd, LOCK_EX | LOCK_NB) !== 0) {
      const name = errnoName();
      if (name !== EWOULDBLOCK) throw new Error(`${path} cannot be locked: ${name}`);
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

/** Node has no flock: it is taken from the C library that Node itself is linked with. */
async function loadFlock(): Promise<{ flock: Flock; errnoName: () => string }> {
  const { default: koffi } = await import('koffi');
  const library = koffi.load(null);
  const flock = library.func('int flock(int fd, int operation)') as unknown as Flock;
  const names = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));
  return { flock, errnoName: () => names.get(koffi.errno()) ?? `errno ${koffi.errno()}` };
}
