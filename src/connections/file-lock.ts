// flock(2): a lock the kernel gives back when its holder dies, however it dies, so that no stale lock file ever has to be judged.
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const LOCK_EX = 2;
const LOCK_NB = 4;
/** An edit holds the lock for a few milliseconds. */
const RETRY_DELAY_MS = 20;

/** Takes the lock if it is free. Undefined when it has it, else the name of the errno. */
type Flock = (fd: number) => string | undefined;

/** Runs `work` while this process alone holds the lock of `path`. Rejects when it stays taken for `timeoutMs`. */
export async function withFileLock<T>(path: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const flock = await loadFlock();
  const file = await open(path, 'a', 0o600);
  try {
    const deadline = performance.now() + timeoutMs;
    for (let failure = flock(file.fd); failure !== undefined; failure = flock(file.fd)) {
      if (failure !== 'EWOULDBLOCK') throw new Error(`${path} cannot be locked: ${failure}`);
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
async function loadFlock(): Promise<Flock> {
  const { default: koffi } = await import('koffi');
  const flock = koffi.load(null).func('int flock(int fd, int operation)') as unknown as (
    fd: number,
    operation: number,
  ) => number;
  return (fd) => {
    if (flock(fd, LOCK_EX | LOCK_NB) === 0) return undefined;
    const number = koffi.errno();
    if (number === koffi.os.errno['EWOULDBLOCK'] || number === koffi.os.errno['EAGAIN']) return 'EWOULDBLOCK';
    return `errno ${number}`;
  };
}
