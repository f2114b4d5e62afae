// Whether a disk has room for a mapped file: one that grows where there is none ends the process with SIGBUS, not an error.
import { statfs } from 'node:fs/promises';

/** What the lock files and first pages of a few databases take, with some to spare. */
const neededBytes = 4 * 2 ** 20;

/** Undefined where the disk of `directory` has room for databases; else a sentence that names both. Rejects as statfs(2) does. */
export async function lackOfRoom(directory: string): Promise<string | undefined> {
  const { bsize, blocks, bfree, bavail } = await statfs(directory);
  // Some network file systems do not tell.
  if (blocks === 0) return undefined;
  const freeBytes = bsize * (process.geteuid?.() === 0 ? bfree : bavail);
  if (freeBytes >= neededBytes) return undefined;
  return `no space left on the disk of ${directory} (${Math.floor(freeBytes / 1024)} KiB free, ${neededBytes / 1024} KiB needed)`;
}
