// Bare file descriptors, where node:fs/promises has only FileHandle.
import { close } from 'node:fs';

/** Closes a descriptor; resolves also if it was closed already. */
export function closeDescriptor(fd: number): Promise<void> {
  return new Promise((resolve) => {
    close(fd, () => resolve());
  });
}
