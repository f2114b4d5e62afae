// The mounts this process sees: /proc/self/mountinfo, read as proc_pid_mountinfo(5) describes it.
import { readFile } from 'node:fs/promises';

export interface MountEntry {
  /** "MAJOR:MINOR" of the mounted file system. */
  readonly device: string;
  readonly mountpoint: string;
  /** "ext4", "fuse.sshfs", ... */
  readonly fileSystemType: string;
  readonly source: string;
}

/** The subtype our mounts show: their type is "fuse.syncplicityfs". */
export const SUBTYPE = 'syncplicityfs';

/** Parses mountinfo; lines that do not have its form are left out. */
export function parseMountTable(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    const separator = fields.indexOf('-', 6);
    const [device, mountpoint] = [fields[2], fields[4]];
    const [fileSystemType, source] = [fields[separator + 1], fields[separator + 2]];
    if (separator < 0 || device === undefined || mountpoint === undefined || fileSystemType === undefined) continue;
    entries.push({ device, mountpoint: unescape(mountpoint), fileSystemType, source: unescape(source ?? '') });
  }
  return entries;
}

/** The kernel writes blanks, newlines, backslashes and '#' as octal escapes of single bytes. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The mount on top at this absolute path, or undefined if the path is no mountpoint. */
export async function mountAt(path: string): Promise<MountEntry | undefined> {
  return parseMountTable(await readFile('/proc/self/mountinfo', 'utf8'))
    .filter((entry) => entry.mountpoint === path)
    .at(-1);
}

/** True for a file system served through /dev/fuse that may be one of ours: our subtype, or none said. */
export function isOurs(entry: MountEntry): boolean {
  return entry.fileSystemType === `fuse.${SUBTYPE}` || entry.fileSystemType === 'fuse';
}
