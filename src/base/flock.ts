// flock(2), which Node lacks: taken from the C library Node itself is linked with. The kernel gives the lock back when its
// holder dies, however it dies, so that no stale lock file ever has to be judged.
import koffi from 'koffi';

type Flock = (fd: number, operation: number) => number;

const LOCK_EX = 2;
const LOCK_NB = 4;

let native: Flock | undefined;

/** Locks the open file exclusively until its descriptor is closed; false when another open file holds it. Throws otherwise. */
export function tryLock(descriptor: number): boolean {
  native ??= koffi.load(null).func('int flock(int fd, int operation)') as unknown as Flock;
  if (native(descriptor, LOCK_EX | LOCK_NB) === 0) return true;
  const code = koffi.errno();
  if (code === koffi.os.errno['EAGAIN'] || code === koffi.os.errno['EWOULDBLOCK']) return false;
  const name = Object.entries(koffi.os.errno).find(([, number]) => number === code)?.[0] ?? `errno ${code}`;
  throw new Error(`flock failed: ${name}`);
}
