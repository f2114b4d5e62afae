// What is fetched ahead of programs that take one entry of a directory after another: the content of small files, the listings of
// directories that were never listed. How much of it, and at what cost in calls.
import { createLog } from '../base/log.ts';
import type { Listings } from '../cache/listings.ts';
import { shownLengthBytes, type Tree, type TreeDirectory, type TreeFile } from '../cache/tree.ts';
import { Neighbours } from './neighbours.ts';

const log = createLog('ahead');

/** Larger files are read ahead by themselves, for the round trip at their begin. */
const FILE_BYTES_MAX = 1024 * 1024;
const AHEAD_BYTES_MAX = 16 * 1024 * 1024;
/** At 30 ms a round trip and eight requests at once, what a program takes half a second to read. */
const AHEAD_FILES_MAX = 64;
/**
 * For each caller of a drive that has several, and calls at a pace of its own: each costs a call, and calls are few. Twice what is under way at
 * once, since a program takes them in order, and one late listing must not keep all callers idle.
 */
const AHEAD_LISTINGS_MAX = 16;

/** Has a file's content fetched; the function returned ends that where it goes on still. */
export type FetchAhead = (file: TreeFile) => () => void;

/** Files read to their ends one after another. */
export function followedFiles(tree: Tree, fetch: FetchAhead = () => () => undefined): Neighbours<TreeFile> {
  return new Neighbours<TreeFile>({
    tree,
    kind: 'file',
    weightOf: (file) => {
      const bytes = shownLengthBytes(file);
      return bytes === 0 || bytes > FILE_BYTES_MAX || file.staged !== undefined ? undefined : bytes;
    },
    fetch,
    aheadMax: AHEAD_FILES_MAX,
    weightMax: AHEAD_BYTES_MAX,
  });
}

/** Directories listed one after another, by so many callers. */
export function followedDirectories(tree: Tree, listings: Listings, callers: number): Neighbours<TreeDirectory> {
  return new Neighbours<TreeDirectory>({
    tree,
    kind: 'directory',
    // One that is listed already is shown as it is while a newer listing is brought.
    weightOf: ({ inode, remote }) => (remote === undefined || tree.listing(inode) !== undefined ? undefined : 1),
    fetch: (directory) => {
      const ended = new AbortController();
      listings.ensure(directory, ended.signal, { callClass: 'prefetch' })?.catch((error: unknown) => {
        // Whoever opens it is told.
        if (!ended.signal.aborted) log('listing %s ahead failed: %s', tree.path(directory), error);
      });
      return () => ended.abort();
    },
    aheadMax: AHEAD_LISTINGS_MAX * callers,
    weightMax: AHEAD_LISTINGS_MAX * callers,
  });
}
