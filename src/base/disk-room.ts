// How much room a disk has, and whether that suffices for a mapped file: one that grows where there is none ends the process with SIGBUS,
// not an error.
import { type StatsFs, statfsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';

/** What may still be taken of the disk on which `directory` lies; Infinity where a network file system does not tell. Throws as statfs(2) does. */
export function freeBytesOn(directory: string): number {
  return freeBytesOf(statfsSync(directory));
}

/**
 * What the disk keeps back counts as taken for root, too: root of a container may not have it, on some file systems nobody has, and
 * who may have it is who looks after a full disk.
 */
function freeBytesOf({ bsize, blocks, bavail }: StatsFs): number {
  return blocks === 0 ? Infinity : bsize * bavail;
}

/** What the lock files and first pages of a few databases take, with some to spare. */
const neededBytes = 4 * 2 ** 20;

/** Undefined where the disk of `directory` has room for databases; else a sentence that names both. Rejects as statfs(2) does. */
export async function lackOfRoom(directory: string): Promise<string | undefined> {
  const freeBytes = freeBytesOf(await statfs(directory));
  if (freeBytes >= neededBytes) return undefined;
  return `no space left on the disk of ${directory} (${Math.floor(freeBytes / 1024)} KiB free, ${neededBytes / 1024} KiB needed)`;
}
