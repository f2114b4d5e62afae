// Reads one directory of the host: what can be served with its status, what cannot by cause.
// Promises: slices of a few milliseconds, so that other calls go on; no symbolic link is ever followed. Must not know: ids.
import { accessSync, constants, lstatSync, opendirSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { nextTurn } from '../base/event-loop.ts';
import type { LeftOutCause, Ticks } from './store.ts';

/** What matters of an entry's status: kept for all entries of a folder, so no more than that. */
export interface ScannedEntry {
  readonly name: string;
  readonly isFolder: boolean;
  readonly lengthBytes: number;
  readonly created: Ticks;
  readonly modified: Ticks;
  readonly changed: Ticks;
  /** Changes whenever a file's content may have changed; empty for folders. */
  readonly fingerprint: string;
}

export interface ScannedDirectory {
  readonly entries: readonly ScannedEntry[];
  readonly leftOut: readonly { readonly name: string; readonly cause: LeftOutCause }[];
}

// getdents in pieces of this many names; lstat costs about 4 us, so the clock is read every 64.
const NAMES_PER_READ = 1024;
const CLOCK_EVERY = 64;
const SLICE_MS = 8;

/** Files on their way into a directory begin with it: they are nobody's yet. */
export const ARRIVING_PREFIX = '.syncplicityfs-emulator-';

/** Lists a directory; throws what opening it throws. Entries that vanish meanwhile are skipped. */
export async function scanDirectory(path: string): Promise<ScannedDirectory> {
  const entries: ScannedEntry[] = [];
  const leftOut: { name: string; cause: LeftOutCause }[] = [];
  const doubtful: ScannedEntry[] = [];
  const slice = new Slice();
  const directory = opendirSync(path, { bufferSize: NAMES_PER_READ });
  try {
    for (let found = directory.readSync(); found !== null; found = directory.readSync()) {
      const { name } = found;
      if (slice.isOver()) await slice.next();
      if (name.startsWith(ARRIVING_PREFIX)) continue;
      if (found.isSymbolicLink()) {
        leftOut.push({ name, cause: 'symbolic link' });
        continue;
      }
      const stats = lstatSync(`${path}/${name}`, { bigint: true, throwIfNoEntry: false });
      if (stats === undefined) {
        // Vanished, or its name is not UTF-8 and was read as another one.
        if (name.includes('\uFFFD')) leftOut.push({ name, cause: 'name is not UTF-8' });
        continue;
      }
      const cause = refusedFor(path, name, stats);
      if (cause !== undefined) leftOut.push({ name, cause });
      else if (name.includes('\uFFFD')) doubtful.push(scannedEntry(name, stats));
      else entries.push(scannedEntry(name, stats));
    }
  } finally {
    directory.closeSync();
  }
  if (doubtful.length > 0) {
    const valid = await validNames(path);
    for (const entry of doubtful) {
      // A name that holds U+FFFD itself is fine; one misread as it only happens to have a namesake.
      if (valid.delete(entry.name)) entries.push(entry);
      else leftOut.push({ name: entry.name, cause: 'name is not UTF-8' });
    }
  }
  return { entries, leftOut };
}

function refusedFor(path: string, name: string, stats: BigIntStats): LeftOutCause | undefined {
  if (stats.isSymbolicLink()) return 'symbolic link';
  const isDirectory = stats.isDirectory();
  if (!isDirectory && !stats.isFile()) return 'special file';
  const needed = isDirectory ? 0o555n : 0o444n;
  // Readable by all needs no system call.
  if ((stats.mode & needed) === needed) return undefined;
  try {
    accessSync(`${path}/${name}`, isDirectory ? constants.R_OK | constants.X_OK : constants.R_OK);
    return undefined;
  } catch {
    return 'unreadable';
  }
}

/** The names of a directory that are UTF-8 as they stand on disk. */
async function validNames(path: string): Promise<Set<string>> {
  const raw = await readdir(path, { encoding: 'buffer' });
  const valid = new Set<string>();
  for (const bytes of raw) {
    const name = bytes.toString('utf8');
    if (bytes.equals(Buffer.from(name, 'utf8'))) valid.add(name);
  }
  return valid;
}

/** Tells when a loop has run long enough for now. */
export class Slice {
  #start = performance.now();
  #steps = 0;

  /** To be asked after each step; `steps`: how many small ones that was. */
  isOver(steps = 1): boolean {
    this.#steps += steps;
    if (this.#steps < CLOCK_EVERY) return false;
    this.#steps = 0;
    return performance.now() - this.#start > SLICE_MS;
  }

  async next(): Promise<void> {
    await nextTurn();
    this.#start = performance.now();
  }
}

export function scannedEntry(name: string, stats: BigIntStats): ScannedEntry {
  const modified = stats.mtimeNs / 100n;
  const isFolder = stats.isDirectory();
  return {
    name,
    isFolder,
    lengthBytes: Number(stats.size),
    // Where the file system keeps no birth time it is 0.
    created: stats.birthtimeNs > 0n ? stats.birthtimeNs / 100n : modified,
    modified,
    changed: stats.ctimeNs / 100n,
    fingerprint: isFolder ? '' : fingerprint(stats),
  };
}

/** Changes whenever a file's content may have changed. */
export function fingerprint(stats: BigIntStats): string {
  return `${stats.size} ${stats.mtimeNs} ${stats.ctimeNs} ${stats.ino}`;
}
