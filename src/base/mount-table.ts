// The kernel's table of mounts (/proc/self/mountinfo), read without touching a mount: a hung one must not hang its reader.
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

/** One line of the table. */
export interface MountTableEntry {
  /** Of the mount, and of the one it lies in. */
  readonly id: string;
  readonly parent: string;
  /** "MAJOR:MINOR" of the mounted file system: tells one mount from another at the same place. */
  readonly device: string;
  readonly mountpoint: string;
  /** For example "ext4" or "fuse.syncplicityfs". */
  readonly type: string;
  /** What mount(8) calls the device. */
  readonly source: string;
}

/** All mounts this process sees, oldest first: of several with one mountpoint the last one covers the others. */
export async function readMountTable(path = '/proc/self/mountinfo'): Promise<MountTableEntry[]> {
  return parseMountTable(await readFile(path, 'utf8'));
}

/** Parses the text of /proc/PID/mountinfo (proc(5)). Lines of another shape are left out. */
export function parseMountTable(text: string): MountTableEntry[] {
  const entries: MountTableEntry[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    const separator = fields.indexOf('-', 6);
    const [id, parent, device] = fields;
    const mountpoint = fields[4];
    const type = fields[separator + 1];
    const source = fields[separator + 2];
    if (separator < 0 || id === undefined || parent === undefined || device === undefined) continue;
    if (mountpoint === undefined || type === undefined || source === undefined) continue;
    const [where, what, whose] = [unescape(mountpoint), unescape(type), unescape(source)];
    entries.push({ id, parent, device, mountpoint: where, type: what, source: whose });
  }
  return entries;
}

/** Whether something is mounted on a directory or file of this file system, wherever that is mounted or bound to. */
export function carriesMounts(table: readonly MountTableEntry[], device: string): boolean {
  const ours = new Set<string>();
  for (const entry of table) if (entry.device === device) ours.add(entry.id);
  return table.some((entry) => ours.has(entry.parent));
}

/** The mount that covers exactly this path, if there is one. */
export async function findMount(mountpoint: string): Promise<MountTableEntry | undefined> {
  return (await readMountTable()).findLast((entry) => entry.mountpoint === mountpoint);
}

/**
 * The path under which the kernel lists a mountpoint: absolute, without symbolic links. The last component is looked at only
 * if nothing is mounted there, so that neither a hung nor a dead mount is touched. Rejects with ENOENT as realpath does.
 */
export async function canonicalMountpoint(path: string): Promise<string> {
  const absolute = resolve(path);
  if (absolute === '/') return absolute;
  const parent = await realpath(dirname(absolute));
  const candidate = join(parent, basename(absolute));
  if ((await findMount(candidate)) !== undefined) return candidate;
  return realpath(candidate);
}

/** The kernel writes space, tab, newline and backslash as three octal digits of a byte. */
function unescape(field: string): string {
  if (!field.includes('\\')) return field;
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
