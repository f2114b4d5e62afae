// What must hold before a daemon is started: questions to this machine whose answers a user can act on at once.
import { access, constants, mkdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { canonicalMountpoint, findMount } from '../base/mount-table.ts';
import { errorWords } from '../base/error-words.ts';
import { shellWord } from '../base/shell-word.ts';
import { UsageError } from '../base/usage-error.ts';
import type { MountConfig } from '../config.ts';
import { listMounts } from '../control/mounts.ts';
import { endDetached, isMounted } from './left-mounts.ts';

/** The mountpoint as the kernel will list it. Throws {@link UsageError} unless it is an existing directory. */
export async function checkMountpoint(path: string): Promise<string> {
  if (path === '') throw new UsageError('the mountpoint is empty', 'name an existing directory');
  let mountpoint: string;
  try {
    mountpoint = await canonicalMountpoint(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new UsageError(`the mountpoint ${path} does not exist`, `make it with: mkdir -p ${shellWord(path)}`);
    }
    throw new UsageError(`the mountpoint ${path} cannot be used: ${errorWords(error) ?? String(error)}`);
  }
  if (mountpoint === '/') throw new UsageError('the root of this machine cannot be a mountpoint');
  // Where a FUSE mount lies already, alive, hung or dead, even stat() may hang: the transport deals with it.
  if ((await findMount(mountpoint))?.type.startsWith('fuse') === true) return mountpoint;
  if (!(await stat(mountpoint)).isDirectory()) throw new UsageError(`the mountpoint ${path} is not a directory`);
  return mountpoint;
}

/** Throws when a daemon of ours serves the mountpoint already. One that only serves a detached mount is ended: this one takes over. */
export async function checkNotMounted(config: MountConfig): Promise<void> {
  const mounts = await listMounts(config.runtimeDirectories);
  const mount = mounts.find(({ mountpoint }) => mountpoint === config.mountpoint);
  if (mount === undefined) return;
  if (mount.responding && !(await isMounted(config.mountpoint))) {
    await endDetached(mount);
    return;
  }
  const hung = mount.responding ? '' : ', which does not answer';
  throw new Error(
    `${config.mountpoint} is mounted already by process ${mount.pid}${hung}\nunmount it first: syncplicityfs unmount ${config.mountpoint}`,
  );
}

/**
 * Throws {@link UsageError} when a directory the daemon needs lies inside the mountpoint, which would hide it from the daemon
 * or make it wait for itself, or around it, where the drive would contain itself.
 */
export async function checkDirectories(config: MountConfig, servedDirectory: string | undefined): Promise<void> {
  const needed: [what: string, path: string | undefined][] = [
    ['the state directory', config.stateDirectory],
    ['the cache directory', config.cacheDirectory],
    ['the configuration directory', config.configDirectory],
    ['the runtime directory', config.runtimeDirectories[0]],
    ['the log directory', config.logFile === undefined ? undefined : dirname(config.logFile)],
    ["the connection's directory", servedDirectory],
  ];
  for (const [what, path] of needed) {
    if (path === undefined) continue;
    const real = await realPathOfFuture(path);
    if (isWithin(real, config.mountpoint)) {
      throw new UsageError(
        `${what} ${path} lies inside the mountpoint ${config.mountpoint}`,
        'choose another mountpoint',
      );
    }
    if (isWithin(config.mountpoint, real)) {
      throw new UsageError(
        `the mountpoint ${config.mountpoint} lies inside ${what} ${path}`,
        'choose another mountpoint',
      );
    }
  }
  if (config.caFile !== undefined) await checkReadable(config.caFile);
}

/** Makes the state and cache directories private. Throws with the directory's name when that is impossible. */
export async function makeDirectories(config: MountConfig): Promise<void> {
  for (const path of [config.stateDirectory, config.cacheDirectory]) {
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
    } catch (error) {
      // mkdir's own word for a read-only disk is ENOENT.
      await access(await existingPartOf(path), constants.W_OK);
      throw error;
    }
  }
}

async function existingPartOf(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path === dirname(path)) throw error;
    return existingPartOf(dirname(path));
  }
}

async function checkReadable(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    throw new UsageError(`the CA file ${path} cannot be read: ${errorWords(error) ?? String(error)}`);
  }
}

/** The real path that `path` has, or would have once it is made: symbolic links of what exists of it are followed. */
async function realPathOfFuture(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path === dirname(path)) throw error;
    return join(await realPathOfFuture(dirname(path)), basename(path));
  }
}

function isWithin(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer === sep ? sep : outer + sep);
}
