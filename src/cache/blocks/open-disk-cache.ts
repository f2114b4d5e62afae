// Opens the disk cache in its directory: takes the directory's lock, drops what cannot be trusted, sweeps what a crash left.
// Promises that at most one process uses a directory (flock, which the kernel gives back however the holder dies).
import { randomUUID } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { mkdir, opendir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { freeBytesOn, lackOfRoom } from '../../base/disk-room.ts';
import { tryLock } from '../../base/flock.ts';
import { lmdbState, markLmdbClosed } from '../../base/lmdb-state.ts';
import { createLog } from '../../base/log.ts';
import type { BlockDisk } from './block-disk.ts';
import { CacheIndex } from './cache-index.ts';
import { DiskCache, type DiskCacheOptions } from './disk-cache.ts';
import { SegmentFiles } from './segment-files.ts';

const log = createLog('cache');

/** File systems round up, and add blocks that map others: not yet a sign of bytes the index does not know. */
const slackBytes = 64 * 1024;
const discardedPrefix = 'discarded-';
/** A sound index of 1 GB takes a few seconds; beyond this, fetching the content anew is better than waiting. */
const checkTimeoutMs = 20_000;

/**
 * Rejects with an Error that names the holder when the directory is in use. Undefined, with a log line, where the disk does not
 * allow a cache: content can be read without one.
 */
export async function openDiskCache(
  directory: string,
  options: Omit<DiskCacheOptions, 'index' | 'files' | 'freeBytes'> & Partial<Pick<DiskCacheOptions, 'freeBytes'>>,
): Promise<BlockDisk | undefined> {
  let lock: number | undefined;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const lack = await lackOfRoom(directory);
    if (lack !== undefined) throw new Error(lack);
    lock = lockDirectory(directory);
    return await openLocked(directory, lock, options);
  } catch (error) {
    if (lock !== undefined) closeSync(lock);
    if (error instanceof DirectoryInUse) throw error;
    console.error(`there is no disk cache: ${messageOf(error)}`);
    return undefined;
  }
}

class DirectoryInUse extends Error {}

async function openLocked(
  directory: string,
  lock: number,
  options: Omit<DiskCacheOptions, 'index' | 'files' | 'freeBytes'> & Partial<Pick<DiskCacheOptions, 'freeBytes'>>,
): Promise<BlockDisk> {
  const indexDirectory = join(directory, 'index');
  const { index, inOrder } = await openIndex(directory, indexDirectory);
  const files = new SegmentFiles(join(directory, 'data'));
  const cache = new DiskCache({ freeBytes: () => freeBytesOn(directory), ...options, index, files });
  index.onError = (error) => cache.failed(error);
  const sweep = new AbortController();
  const swept = sweepLeftovers(directory, files, index, cache, inOrder, sweep.signal).catch((error: unknown) => {
    log('leftovers of the disk cache stay: %s', messageOf(error));
  });
  return withStop(cache, async () => {
    try {
      sweep.abort();
      await swept;
      await cache.stop();
      await markLmdbClosed(indexDirectory);
    } catch (error) {
      // The next process checks what it finds.
      log('the disk cache was not closed in order: %s', messageOf(error));
    } finally {
      closeSync(lock);
    }
  });
}

function withStop(cache: DiskCache, stop: () => Promise<void>): BlockDisk {
  return {
    content: (content) => cache.content(content),
    room: () => cache.room(),
    written: () => cache.written(),
    makeRoom: (bytes) => cache.makeRoom(bytes),
    commit: () => cache.commit(),
    protected: cache.protected,
    get refusal() {
      return cache.refusal;
    },
    get usedBytes() {
      return cache.usedBytes;
    },
    stop,
  };
}

function lockDirectory(directory: string): number {
  const path = join(directory, 'lock');
  const descriptor = openSync(path, 'a+', 0o600);
  if (!tryLock(descriptor)) {
    closeSync(descriptor);
    const holder = readFileSync(path, 'utf8').trim();
    throw new DirectoryInUse(
      `the cache directory ${directory} is in use by process ${holder === '' ? '(unknown)' : holder}`,
    );
  }
  try {
    ftruncateSync(descriptor);
    writeSync(descriptor, String(process.pid));
  } catch (error) {
    // On a full disk the lock holds without saying by whom.
    log('the lock of the cache directory stays unsigned: %s', messageOf(error));
  }
  return descriptor;
}

/** The index, anew if the old one is damaged. `inOrder`: nothing can be on disk that the index does not know. */
async function openIndex(directory: string, indexDirectory: string): Promise<{ index: CacheIndex; inOrder: boolean }> {
  await mkdir(indexDirectory, { recursive: true, mode: 0o700 });
  const state = await lmdbState(indexDirectory, { databases: [], timeoutMs: checkTimeoutMs });
  if (state === 'closed' || state === 'sound') {
    try {
      return { index: await CacheIndex.open(indexDirectory), inOrder: state === 'closed' };
    } catch (error) {
      log('the index of the disk cache cannot be opened: %s', messageOf(error));
    }
  }
  console.error(`the disk cache in ${directory} is damaged: it starts anew`);
  for (const name of ['index', 'data']) {
    await rename(join(directory, name), join(directory, discardedPrefix + randomUUID())).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    });
  }
  await mkdir(indexDirectory, { recursive: true, mode: 0o700 });
  return { index: await CacheIndex.open(indexDirectory), inOrder: false };
}

/** Removes what an earlier process left: discarded caches, files without an entry, files larger than their entry says. */
async function sweepLeftovers(
  directory: string,
  files: SegmentFiles,
  index: CacheIndex,
  cache: DiskCache,
  inOrder: boolean,
  signal: AbortSignal,
): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith(discardedPrefix)) await rm(join(directory, name), { recursive: true, force: true });
  }
  if (inOrder) return;
  for (const part of await readdir(files.directory).catch(() => [])) {
    for await (const { name } of await opendir(join(files.directory, part))) {
      if (signal.aborted) return;
      if (cache.isBusy(name)) continue;
      const blocks = await allocatedBlocks(files.pathOf(name));
      // Evicted meanwhile.
      if (blocks === undefined) continue;
      const knownBytes = index.get('s', name)?.bytes;
      if (knownBytes !== undefined && blocks * 512 <= knownBytes + slackBytes) continue;
      if (!cache.isBusy(name)) await cache.discard(name);
    }
  }
}

async function allocatedBlocks(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).blocks;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
