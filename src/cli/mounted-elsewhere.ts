// Where a file system is still mounted after it was unmounted at its own place: bound to another directory, or in a mount namespace
// of its own, as containers and sandboxes have. Reads /proc only, which never asks the file system in question.
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { parseMountTable, readMountTable } from '../base/mount-table.ts';
import { processName } from '../base/process-name.ts';

/**
 * Says where the file system of that device number is mounted, as a sentence's end, and what ends that, in a second line. Undefined where
 * that is nowhere, as far as this user may see.
 */
export async function mountedElsewhere(device: string): Promise<string | undefined> {
  const bound = (await readMountTable()).find((entry) => entry.device === device)?.mountpoint;
  if (bound !== undefined) return `it is mounted on ${bound} as well\numount ${bound} ends it`;
  const holder = await namespaceHolder(device);
  if (holder === undefined) return undefined;
  const name = processName(holder.pid) ?? 'a process';
  return (
    `${name} (pid ${holder.pid}) has a mount namespace of its own, where it is mounted on ${holder.mountpoint}\n` +
    `it ends with that process, or with umount there`
  );
}

async function namespaceHolder(device: string): Promise<{ pid: number; mountpoint: string } | undefined> {
  const looked = new Set([await readlink('/proc/self/ns/mnt')]);
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // A process that ended meanwhile, or of another user, tells nothing.
    const namespace = await readlink(join('/proc', name, 'ns/mnt')).catch(() => undefined);
    if (namespace === undefined || looked.has(namespace)) continue;
    looked.add(namespace);
    const table = parseMountTable(await readFile(join('/proc', name, 'mountinfo'), 'utf8').catch(() => ''));
    const mountpoint = table.find((entry) => entry.device === device)?.mountpoint;
    if (mountpoint !== undefined) return { pid: Number(name), mountpoint };
  }
  return undefined;
}
