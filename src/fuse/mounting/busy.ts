// Who keeps a mount busy: processes with their working directory, root, program or an open file below it. Reads links in
// /proc only, which never asks the file system in question.
import { readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface BusyProcess {
  readonly pid: number;
  readonly command: string;
  /** The path below the mountpoint that is in use. */
  readonly path: string;
}

/** A message needs no more names than this. */
const PROCESSES_MAX = 5;

/** Up to five processes using something at or below the path; those of other users only if we are root. */
export async function whoUses(mountpoint: string): Promise<BusyProcess[]> {
  const found: BusyProcess[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || found.length >= PROCESSES_MAX) continue;
    const path = await usedBy(join('/proc', name), mountpoint);
    if (path === undefined) continue;
    const command = await readFile(join('/proc', name, 'comm'), 'utf8').catch(() => '');
    found.push({ pid: Number(name), command: command.trim(), path });
  }
  return found;
}

async function usedBy(process: string, mountpoint: string): Promise<string | undefined> {
  // A process that ended meanwhile, or of another user, tells nothing.
  const descriptors = await readdir(join(process, 'fd')).catch(() => []);
  const links = ['cwd', 'root', 'exe', ...descriptors.map((fd) => join('fd', fd))];
  for (const link of links) {
    const target = await readlink(join(process, link)).catch(() => '');
    if (target === mountpoint || target.startsWith(`${mountpoint}/`)) return target;
  }
  return undefined;
}

/** "bash (pid 12) in /mnt/x/docs, less (pid 13) in ..." */
export function describe(processes: readonly BusyProcess[]): string {
  return processes.map(({ command, pid, path }) => `${command} (pid ${pid}) uses ${path}`).join(', ');
}
