// Finds out whether an LMDB file can be trusted. LMDB maps its file: a truncated or damaged one can end the process that reads
// it. So one that was not closed in order is first read through, and written to once, by a child process.
import { execFile } from 'node:child_process';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A sound index of 1 GB takes a few seconds; beyond this, fetching the content anew is better than waiting. */
const checkTimeoutMs = 20_000;

/** Runs in the child: plain JavaScript, because it is handed over as text. Exits with 0 only for a sound file. */
const program = `
const [library, directory] = process.argv.slice(1);
const { open } = await import(library);
const { statSync } = await import('node:fs');
const db = open({ path: directory, encoding: 'binary', compression: false });
const { lastPageNumber, pageSize } = db.getStats();
if ((lastPageNumber + 1) * pageSize > statSync(directory + '/data.mdb').size) process.exit(3);
let bytes = 0;
for (const { value } of db.getRange()) if (value.length > 0) bytes += value[0] + value[value.length - 1];
await db.put('checked', Buffer.alloc(0));
await db.remove('checked');
await db.close();
`;

/** `closed`: the last process closed it in order. `sound`: it did not, or there is none; it may be opened all the same. */
export type IndexState = 'closed' | 'sound' | 'damaged';

/** Whether the index in this directory may be opened. */
export async function indexState(directory: string): Promise<IndexState> {
  const present = await markOf(directory);
  if (present === undefined) return 'sound';
  const closedAs = await readFile(join(directory, 'closed'), 'utf8').catch(() => '');
  await rm(join(directory, 'closed'), { force: true });
  if (closedAs === present) return 'closed';
  return new Promise((resolve) => {
    const argv = ['--input-type=module', '-e', program, import.meta.resolve('lmdb'), directory];
    // The parent's own flags (inspector, loaders, test runner) are not for the child.
    const env = { ...process.env, NODE_OPTIONS: '' };
    execFile(process.execPath, argv, { timeout: checkTimeoutMs, killSignal: 'SIGKILL', env }, (error) =>
      resolve(error === null ? 'sound' : 'damaged'),
    );
  });
}

/** Leaves word that the index was closed in order. */
export async function markClosed(directory: string): Promise<void> {
  await writeFile(join(directory, 'closed'), (await markOf(directory)) ?? '', { mode: 0o600 });
}

/** What changes whenever the file is written to. */
async function markOf(directory: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeMs } = await stat(join(directory, 'data.mdb'));
    return `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
