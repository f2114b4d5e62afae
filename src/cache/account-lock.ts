// One daemon per account state: an flock(2) on a file in it. The kernel drops it with the process, however that dies.
import { closeSync, mkdirSync, openSync, readFileSync, ftruncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from '../base/flock.ts';

/** Who holds an account's state. */
export interface LockHolder {
  readonly pid: number;
  readonly mountpoint: string;
}

/** The state of an account belongs to this process until release(). */
export interface AccountLock {
  release(): void;
}

/** Takes the lock of the account state in `directory`, or tells who has it. Throws where the file system refuses. */
export function lockAccount(
  directory: string,
  holder: LockHolder,
): AccountLock | { readonly heldBy: LockHolder | undefined } {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, 'lock');
  const descriptor = openSync(path, 'a+', 0o600);
  if (!tryLock(descriptor)) {
    closeSync(descriptor);
    return { heldBy: readHolder(path) };
  }
  ftruncateSync(descriptor);
  writeSync(descriptor, JSON.stringify(holder));
  let held = true;
  return {
    release() {
      if (held) closeSync(descriptor);
      held = false;
    },
  };
}

/** What the holder wrote; undefined while it is about to. */
function readHolder(path: string): LockHolder | undefined {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Partial<LockHolder> | null;
    if (typeof value?.pid === 'number' && typeof value.mountpoint === 'string') {
      return { pid: value.pid, mountpoint: value.mountpoint };
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return undefined;
}
