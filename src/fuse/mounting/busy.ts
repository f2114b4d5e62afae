// Who keeps a mount busy: processes with their working directory, root, program or an open file below it, other mounts below it, and
// loop devices of its files. Reads /proc and /sys only, which never asks the file system in question.
import { readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { readMountTable } from '../../base/mount-table.ts';

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

/** What uses something below the path without a process, in words: "tmpfs is mounted on ..." */
export async function whatUses(mountpoint: string): Promise<string[]> {
  const isBelow = (path: string): boolean => path.startsWith(`${mountpoint}/`);
  const mounts = (await readMountTable())
    .filter((entry) => isBelow(entry.mountpoint))
    .map(({ source, mountpoint: where }) => `${source} is mounted on ${where}`);
  const loops: string[] = [];
  // Without loop devices, and in a container without them, there is nothing to read.
  for (const name of await readdir('/sys/block').catch(() => [])) {
    if (!name.startsWith('loop')) continue;
    const path = (await readFile(join('/sys/block', name, 'loop/backing_file'), 'utf8').catch(() => '')).trimEnd();
    if (isBelow(path)) loops.push(`/dev/${name} uses ${path}`);
  }
  return [...mounts, ...loops].slice(0, PROCESSES_MAX);
}

/** "bash (pid 12) uses /mnt/x/docs, tmpfs is mounted on /mnt/x/tmp" */
export function describe(processes: readonly BusyProcess[], others: readonly string[]): string {
  const words = processes.map(({ command, pid, path }) => `${command} (pid ${pid}) uses ${path}`);
  return [...words, ...others].join(', ') || 'a process that cannot be seen from here uses it';
}
