// Which start of the machine this is: what was not safe against power loss may be gone when it is another one than before.
import { readFileSync } from 'node:fs';

/** Differs after each start of the machine; undefined where the system does not tell. */
export function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
