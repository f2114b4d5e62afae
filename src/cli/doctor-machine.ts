// What a mount needs of this machine: FUSE, Node, the native library, directories, disk.
import { access, constants, open, readFile, stat } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { freeBytesOn } from '../base/disk-room.ts';
import type { UserDirectories } from '../base/paths.ts';
import { formatSize } from '../base/quantities.ts';
import { cacheReserveBytes, defaultTransport, defaults } from '../config.ts';
import type { ConnectionStore } from '../connections/store.ts';
import type { Check, Finding } from './finding.ts';

/** package.json's engines. */
const LEAST_NODE = [20, 19] as const;
/** Less than this and a single large document does not fit. */
const LEAST_FREE_BYTES = 256 * 2 ** 20;
const SETUID = 0o4000;
const FUSE_NATIVE_ADVICE = 'install macFUSE, or libfuse 2 and a C compiler, then syncplicityfs again';
const FUSE_DEVICE = '/dev/fuse';
const FUSE_CONFIGURATION = '/etc/fuse.conf';

/** The checks, in the order they are to be read. */
export function machineChecks(directories: UserDirectories, store: ConnectionStore): Check[] {
  const isRoot = process.getuid?.() === 0;
  return [
    { name: 'node', look: nodeVersion },
    { name: 'koffi', look: nativeLibrary },
    { name: FUSE_DEVICE, look: () => fuseDevice(isRoot) },
    { name: 'transport', look: transport },
    { name: 'fusermount3', look: () => mountProgram(isRoot) },
    { name: 'allow_other', look: () => allowOther(isRoot) },
    { name: 'config directory', look: () => directory(directories.config) },
    { name: 'state directory', look: () => directory(directories.state) },
    { name: 'cache directory', look: () => directory(directories.cache) },
    { name: 'runtime directory', look: () => directory(directories.runtime[0]) },
    { name: 'cache disk', look: () => disk(directories.cache) },
    { name: 'connections', look: () => connections(store) },
  ];
}

function nodeVersion(): Promise<Finding> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const enough = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1]);
  const detail = `version ${process.versions.node}`;
  return Promise.resolve(
    enough
      ? { state: 'ok', detail }
      : { state: 'fail', detail, advice: `install Node ${LEAST_NODE.join('.')} or later` },
  );
}

async function nativeLibrary(): Promise<Finding> {
  try {
    const { default: koffi } = await import('koffi');
    koffi.load(null);
    return { state: 'ok', detail: `version ${koffi.version}` };
  } catch (error) {
    return {
      state: 'fail',
      detail: `cannot be loaded: ${(error as Error).message.split('\n')[0] ?? ''}`,
      advice: `run npm ci again on this machine (${process.platform}-${process.arch}), with optional dependencies`,
    };
  }
}

/** The one mounts use unless told otherwise, and whether there is another. */
async function transport(): Promise<Finding> {
  // Loaded here: no other check needs a transport.
  const { fuseNativeLibrary } = await import('../mount/transports.ts');
  const library = fuseNativeLibrary();
  const name = defaultTransport();
  if ('version' in library) return { state: 'ok', detail: `${name}; fuse-native can be had, with ${library.version}` };
  if (name === 'kernel') return { state: 'ok', detail: `kernel; no other: ${library.missing}` };
  return { state: 'fail', detail: `${name}: ${library.missing}`, advice: FUSE_NATIVE_ADVICE };
}

async function fuseDevice(isRoot: boolean): Promise<Finding> {
  try {
    if (!(await stat(FUSE_DEVICE)).isCharacterDevice()) return { state: 'fail', detail: 'is not a device' };
    // An ordinary user gets it opened by fusermount3.
    if (isRoot) await (await open(FUSE_DEVICE, 'r+')).close();
    return { state: 'ok', detail: isRoot ? 'can be opened' : 'exists' };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return {
      state: 'fail',
      detail: code === 'ENOENT' ? 'does not exist' : message,
      advice: 'run: modprobe fuse; in a container start it with --device /dev/fuse --cap-add SYS_ADMIN',
    };
  }
}

async function mountProgram(isRoot: boolean): Promise<Finding> {
  const path = await findProgram('fusermount3');
  if (path === undefined) {
    return isRoot
      ? { state: 'ok', detail: 'not installed; root does without' }
      : { state: 'fail', detail: 'is not installed', advice: 'install the package fuse3' };
  }
  const { mode, uid } = await stat(path);
  if (isRoot || ((mode & SETUID) !== 0 && uid === 0)) return { state: 'ok', detail: path };
  return {
    state: 'fail',
    detail: `${path} is not setuid root`,
    advice: `as root: chown root ${path}; chmod u+s ${path}`,
  };
}

async function allowOther(isRoot: boolean): Promise<Finding> {
  if (isRoot) return { state: 'ok', detail: '--allow-other is always open to root' };
  let text = '';
  try {
    text = await readFile(FUSE_CONFIGURATION, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if (/^\s*user_allow_other\s*$/m.test(text))
    return { state: 'ok', detail: `user_allow_other is set in ${FUSE_CONFIGURATION}` };
  return {
    state: 'warn',
    detail: `user_allow_other is not set in ${FUSE_CONFIGURATION}: --allow-other will be refused`,
    advice: `only if other users shall see your mounts, as root: echo user_allow_other >> ${FUSE_CONFIGURATION}`,
  };
}

async function directory(path: string): Promise<Finding> {
  const existing = await nearestExisting(path);
  const found = await stat(existing);
  if (!found.isDirectory()) {
    return { state: 'fail', detail: `${existing} is not a directory`, advice: 'move it away' };
  }
  try {
    await access(existing, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    return {
      state: 'fail',
      detail: `${existing} may not be written by you`,
      advice: `give it to yourself: chown ${userName()} ${existing}`,
    };
  }
  if (existing !== path) return { state: 'ok', detail: `${path} will be made` };
  const mode = (found.mode & 0o777).toString(8);
  if ((found.mode & 0o077) !== 0) {
    return { state: 'warn', detail: `${path} is open to other users (mode ${mode})`, advice: `run: chmod 700 ${path}` };
  }
  return { state: 'ok', detail: path };
}

async function disk(path: string): Promise<Finding> {
  const existing = await nearestExisting(path);
  const freeBytes = freeBytesOn(existing);
  const reserveBytes = cacheReserveBytes(defaults.stageReserveBytes);
  const detail = `${formatSize(freeBytes)} free; by default the cache takes up to ${formatSize(defaults.cacheSizeBytes)} and leaves ${formatSize(reserveBytes)}`;
  if (freeBytes < LEAST_FREE_BYTES)
    return { state: 'fail', detail, advice: 'make room, or use --cache-dir on another disk' };
  if (freeBytes < reserveBytes)
    return { state: 'warn', detail, advice: 'nothing is cached there: make room, or use --cache-dir on another disk' };
  return { state: 'ok', detail };
}

async function connections(store: ConnectionStore): Promise<Finding> {
  const count = (await store.list()).length;
  if (count > 0) return { state: 'ok', detail: `${count} stored` };
  return { state: 'ok', detail: 'none yet; add one with: syncplicityfs connections add' };
}

async function nearestExisting(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path === dirname(path)) throw error;
    return nearestExisting(dirname(path));
  }
}

async function findProgram(name: string): Promise<string | undefined> {
  // fusermount3 is looked for where the mount itself would find it, then where an interactive shell's PATH may end.
  for (const place of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/bin']) {
    const path = join(place, name);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

function userName(): string {
  return String(process.getuid?.() ?? '$USER');
}
