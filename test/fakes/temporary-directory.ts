// A directory of a test's own that is gone afterwards.
import { existsSync } from 'node:fs';
import tmp from 'tmp';

export interface TemporaryDirectory {
  readonly path: string;
  /** Deletes it with all it holds. */
  remove(): void;
}

/** Makes an empty directory below the system's. */
export function temporaryDirectory(): TemporaryDirectory {
  return made({});
}

/** Makes one in memory where that can be had: a busy disk takes longer to sync than a clock that is not real waits. */
export function memoryDirectory(): TemporaryDirectory {
  return made(existsSync('/dev/shm') ? { tmpdir: '/dev/shm' } : {});
}

function made(options: tmp.DirOptions): TemporaryDirectory {
  const { name, removeCallback } = tmp.dirSync({ prefix: 'syncplicityfs-test-', unsafeCleanup: true, ...options });
  return { path: name, remove: removeCallback };
}
