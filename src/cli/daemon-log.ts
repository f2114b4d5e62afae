// The log file of a daemon: where it lies, how it is kept from growing, and its last words when the daemon is gone.
import { createHash } from 'node:crypto';
import { copyFile, mkdir, open, rename, stat, truncate } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Hours of DEBUG output; a quiet daemon writes a few lines a day. One earlier file of this size is kept. */
const LOG_LIMIT_BYTES = 32 * 2 ** 20;
/** DEBUG=* writes some megabytes a minute. */
const LOG_CHECK_INTERVAL_MS = 60_000;
/** Enough for the last lines, with a stack. */
const TAIL_BYTES = 8 * 1024;

/** The log file of a mountpoint: a name people recognise, and a hash that keeps two of one name apart. */
export function logFileOf(stateDirectory: string, mountpoint: string): string {
  const hash = createHash('sha256').update(mountpoint).digest('hex').slice(0, 8);
  const name = basename(mountpoint)
    .replace(/[^\w.-]/g, '_')
    .slice(0, 64);
  return join(stateDirectory, 'logs', `${name}-${hash}.log`);
}

/** Opens the log for appending, mode 0600; a full one is put aside first. The caller closes it. */
export async function openLog(path: string): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  if ((await sizeOf(path)) > LOG_LIMIT_BYTES) await rename(path, `${path}.1`);
  const file = await open(path, 'a', 0o600);
  await file.chmod(0o600);
  return file;
}

/**
 * Puts a growing log aside for as long as a daemon runs. Its descriptor appends, so that truncating is enough. Returns what
 * stops it.
 */
export function limitLog(path: string, onError: (error: unknown) => void): () => void {
  let busy = false;
  const check = async (): Promise<void> => {
    if (busy || (await sizeOf(path)) <= LOG_LIMIT_BYTES) return;
    busy = true;
    try {
      await copyFile(path, `${path}.1`);
      await truncate(path, 0);
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(() => void check().catch(onError), LOG_CHECK_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** The last line written at or after `fromBytes` that is not part of a stack trace; undefined when there is none. */
export async function lastLogLine(path: string, fromBytes: number): Promise<string | undefined> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const start = Math.max(fromBytes, size - TAIL_BYTES);
    const buffer = Buffer.alloc(Math.max(0, size - start));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
    return lines
      .findLast((line) => /\S/.test(line) && !/^\s+at |^Node\.js v|^\s*[{}]\s*$|^\s+\w+: /.test(line))
      ?.trim();
  } finally {
    await file.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
