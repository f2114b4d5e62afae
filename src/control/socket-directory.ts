// Where control sockets lie and what they are called. The directory is the access check: only its owner may enter it.
import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

/** sun_path of sockaddr_un holds 108 bytes, the last of them NUL. */
const SOCKET_PATH_LIMIT_BYTES = 107;
const SOCKET_SUFFIX = '.sock';

/** The files of one mount's control socket. */
export interface SocketFiles {
  readonly directory: string;
  readonly socket: string;
  /** Tells mountpoint and pid even when the daemon does not answer. */
  readonly sidecar: string;
}

/** The files for a mountpoint; nothing is made. Throws when no directory short enough can be found. */
export function socketFiles(runtimeDirectory: string, mountpoint: string): SocketFiles {
  const directory = socketDirectory(runtimeDirectory);
  const name = createHash('sha256').update(mountpoint).digest('hex').slice(0, 16);
  return {
    directory,
    socket: join(directory, name + SOCKET_SUFFIX),
    sidecar: join(directory, `${name}.json`),
  };
}

/** The runtime directory itself, or a short one below /tmp that belongs to it where socket paths in it would be too long. */
export function socketDirectory(runtimeDirectory: string): string {
  const room = SOCKET_PATH_LIMIT_BYTES - 1 - 16 - SOCKET_SUFFIX.length;
  if (Buffer.byteLength(runtimeDirectory) <= room) return runtimeDirectory;
  const hash = createHash('sha256').update(runtimeDirectory).digest('hex').slice(0, 12);
  return join('/tmp', `syncplicityfs-${process.getuid?.() ?? 0}-${hash}`);
}

/** True for the name of a socket file in a socket directory. */
export function isSocketName(name: string): boolean {
  return /^[0-9a-f]{16}\.sock$/.test(name);
}

/** The sidecar that belongs to a socket file. */
export function sidecarOf(socket: string): string {
  return `${socket.slice(0, -SOCKET_SUFFIX.length)}.json`;
}

/**
 * Makes the directory with mode 0700, or gives it that mode. Throws when it belongs to somebody else or is a symbolic link:
 * below /tmp anybody could have put it there first.
 */
export async function makeSocketDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  const uid = process.getuid?.() ?? found.uid;
  if (!found.isDirectory()) throw new Error(`${directory} is not a directory; control sockets cannot be kept there`);
  if (found.uid !== uid)
    throw new Error(`${directory} belongs to uid ${found.uid}, not to you; remove it or set XDG_RUNTIME_DIR`);
  if ((found.mode & 0o077) !== 0) await chmod(directory, 0o700);
}
