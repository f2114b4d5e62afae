// Finds out whether an LMDB database can be opened. LMDB maps its file: a truncated or damaged one, or one on a full disk, can
// end the process that opens it. So one that was not closed in order is first read through by a child process, which changes
// nothing in it. Knows no database's content, and leaves it to the caller what becomes of a damaged one.
import { execFile } from 'node:child_process';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface LmdbLayout {
  /** The named databases in it; none: all is in the unnamed one. */
  readonly databases: readonly string[];
  /** The check is given up after this. */
  readonly timeoutMs: number;
}

/**
 * `closed`: the last process closed it in order. `sound`: it did not, or there is none yet; it may be opened all the same.
 * `unchecked`: the check did not come to an end.
 */
export type LmdbState = 'closed' | 'sound' | 'damaged' | 'unchecked';

/** Left beside the database by a process that closed it. */
const markName = 'closed';

const exitCodes = { damaged: 3 };
/** Of a process that LMDB led astray. */
const damageSignals: ReadonlySet<string | undefined> = new Set(['SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGFPE', 'SIGILL']);

/**
 * Runs in the child: plain JavaScript, because it is handed over as text. Reads every entry, and the list of free pages: that is
 * what a large write looks through, which is taken back. Errors above 0 are the system's and say nothing of the content.
 */
const program = `
const [library, directory, ...names] = process.argv.slice(1);
const { ABORT, open } = await import(library);
try {
  const binary = { encoding: 'binary', keyEncoding: 'binary', compression: false };
  const root = open({ path: directory, noSubdir: false, maxDbs: names.length + 2, ...binary });
  let bytes = 0;
  for (const database of names.length === 0 ? [root] : names.map((name) => root.openDB({ name, ...binary }))) {
    let count = 0;
    for (const { value } of database.getRange({ start: Buffer.alloc(1), snapshot: false })) {
      count++;
      if (value.length > 0) bytes += value[0] + value[value.length - 1];
    }
    if (count !== database.getStats().entryCount) process.exit(${exitCodes.damaged});
  }
  root.transactionSync(() => {
    root.putSync(Buffer.from('checked'), Buffer.alloc(2 ** 24));
    return ABORT;
  });
  await root.close();
} catch (error) {
  process.stderr.write(String(error));
  process.exit(error.code > 0 ? 1 : ${exitCodes.damaged});
}
`;

/** Tells the state of the database in `directory`. A mark of its last closing is taken away: from now on it counts as open. */
export async function lmdbState(directory: string, layout: LmdbLayout): Promise<LmdbState> {
  const present = await markOf(directory);
  const closedAs = await readFile(join(directory, markName), 'utf8').catch(() => '');
  await rm(join(directory, markName), { force: true });
  if (present === undefined) return 'sound';
  if (closedAs === present) return 'closed';
  return readThrough(directory, layout);
}

function readThrough(directory: string, { databases, timeoutMs }: LmdbLayout): Promise<LmdbState> {
  const argv = ['--input-type=module', '-e', program, import.meta.resolve('lmdb'), directory, ...databases];
  // The parent's own flags (inspector, loaders, test runner) are not for the child.
  const env = { ...process.env, NODE_OPTIONS: '' };
  return new Promise((resolve) => {
    execFile(process.execPath, argv, { timeout: timeoutMs, killSignal: 'SIGKILL', env }, (error) => {
      if (error === null) resolve('sound');
      else if (error.code === exitCodes.damaged || damageSignals.has(error.signal ?? undefined)) resolve('damaged');
      else resolve('unchecked');
    });
  });
}

/** Leaves word that the database was closed in order; to be called when it has been. */
export async function markLmdbClosed(directory: string): Promise<void> {
  const mark = await markOf(directory);
  if (mark !== undefined) await writeFile(join(directory, markName), mark, { mode: 0o600 });
}

/** What changes whenever the file is written to; undefined where there is none, or nothing in it yet. */
async function markOf(directory: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeMs } = await stat(join(directory, 'data.mdb'));
    return size === 0 ? undefined : `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
