// What must hold of a directory before something is mounted on it; each failure is one line that says what to do. A dead
// mount of ours ("Transport endpoint is not connected") is cleared away first.
import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { errno } from '../../base/errno.ts';
import { createLog } from '../../base/log.ts';
import { canonicalMountpoint, findMount, type MountTableEntry } from '../../base/mount-table.ts';
import { FsError } from '../../fs-ops/operations.ts';
import { runCommand } from './command.ts';
import { SUBTYPE } from './options.ts';
import { detach } from './unmount.ts';

const log = createLog('fuse');

/** A mount that does not answer statfs(2) for this long is taken for alive, and left alone. */
const PROBE_TIMEOUT_MS = 5000;

/** Checks the directory and returns its canonical path. Throws FsError with a sentence for the user. */
export async function prepareMountpoint(path: string, options: { readonly nonEmpty: boolean }): Promise<string> {
  if (path.includes('\0')) throw new FsError(errno.EINVAL, 'a mountpoint cannot contain a NUL character');
  const canonical = await canonicalMountpoint(path).catch((error: unknown) => {
    throw explain(path, error);
  });
  const mounted = await findMount(canonical);
  if (mounted !== undefined) await clearDeadMount(canonical, mounted);
  const status = await stat(canonical).catch((error: unknown) => {
    throw explain(canonical, error);
  });
  if (!status.isDirectory()) throw new FsError(errno.ENOTDIR, `${canonical} is not a directory`);
  if (!options.nonEmpty) {
    const names = await readdir(canonical).catch((error: unknown) => {
      throw explain(canonical, error);
    });
    if (names.length > 0) {
      throw new FsError(
        errno.ENOTEMPTY,
        `${canonical} is not empty: choose an empty directory, or add -o nonempty to hide its content while mounted`,
      );
    }
  }
  if (process.geteuid?.() !== 0) {
    await access(canonical, constants.W_OK).catch(() => {
      throw new FsError(
        errno.EACCES,
        `no permission to mount on ${canonical}: it must be a directory you can write to`,
      );
    });
  }
  return canonical;
}

/** True for a file system served through /dev/fuse that may be one of ours: our subtype, or none said. */
function isOurs(entry: MountTableEntry): boolean {
  return entry.type === `fuse.${SUBTYPE}` || entry.type === 'fuse';
}

async function clearDeadMount(path: string, mounted: MountTableEntry): Promise<void> {
  const what = `${mounted.source} (${mounted.type})`;
  if (!mounted.type.startsWith('fuse')) {
    throw new FsError(errno.EBUSY, `${path} is in use: ${what} is mounted there`);
  }
  if (!(await isDead(path))) {
    throw new FsError(errno.EBUSY, `${path} is already mounted: ${what}; unmount it first`);
  }
  if (!isOurs(mounted)) {
    throw new FsError(
      errno.ENODEV,
      `${path} holds a dead mount of another program, ${what}: remove it with "fusermount3 -u -z ${path}"`,
    );
  }
  log('clearing away the dead mount %s on %s', what, path);
  await detach(path, { lazy: true });
  const below = await findMount(path);
  if (below !== undefined) await clearDeadMount(path, below);
}

/** The exit status of the probe below for ENOTCONN. */
const DEAD_STATUS = 3;
const PROBE = `try { fs.statfsSync(process.argv[1]) } catch (e) { process.exitCode = e.code === 'ENOTCONN' ? ${DEAD_STATUS} : 1 }`;

/**
 * Asks with statfs(2): unlike stat(2), the kernel never answers that from what it remembers of a dead mount. In a process of
 * its own, since a mount that hangs would hold the asking thread, and with it this process's end.
 */
async function isDead(path: string): Promise<boolean> {
  const result = await runCommand(process.execPath, ['-e', PROBE, '--', path], { timeoutMs: PROBE_TIMEOUT_MS });
  return result.kind === 'exited' && result.code === DEAD_STATUS;
}

function explain(path: string, error: unknown): FsError {
  const cause = error as NodeJS.ErrnoException;
  switch (cause.code) {
    case 'ENOENT':
      return new FsError(errno.ENOENT, `${path} does not exist: create the directory first`, { cause });
    case 'ENOTDIR':
      return new FsError(errno.ENOTDIR, `${path} is not a directory`, { cause });
    case 'EACCES':
    case 'EPERM':
      return new FsError(errno.EACCES, `no permission to use ${path} as a mountpoint`, { cause });
    default:
      return new FsError(errno.EIO, `${path} cannot be used as a mountpoint: ${cause.message}`, { cause });
  }
}
