// The mounts of this user, found by their control sockets. Sockets that dead daemons left behind are removed on the way.
import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { RuntimeDirectories } from '../base/paths.ts';
import { type CallLimits, probe, type ServedMount } from './client.ts';
import { isSocketName, sidecarOf, socketDirectory } from './socket-directory.ts';

/** A socket nobody listens on and this old is dead: a daemon listens within milliseconds of making it. */
const STALE_AGE_MS = 5_000;

export interface ListedMount extends ServedMount {
  /** False when the daemon holds its socket but does not answer. */
  readonly responding: boolean;
}

/** All mounts with a living daemon, by mountpoint. A hung one is listed as not responding after two seconds. */
export async function listMounts(runtimeDirectories: RuntimeDirectories): Promise<ListedMount[]> {
  const sockets = await controlSockets(runtimeDirectories);
  const found = await Promise.all(sockets.map((socket) => inspectSocket(socket)));
  return found
    .filter((mount) => mount !== undefined)
    .sort((a, b) => (a.mountpoint < b.mountpoint ? -1 : a.mountpoint > b.mountpoint ? 1 : 0));
}

/** The socket files of this user's mounts, those of dead daemons too, for {@link inspectSocket}. */
export async function controlSockets(runtimeDirectories: RuntimeDirectories): Promise<string[]> {
  const sockets = new Map<string, string>();
  for (const directory of runtimeDirectories.map(socketDirectory)) {
    for (const name of (await namesIn(directory)).filter(isSocketName)) {
      const path = join(directory, name);
      const identity = await identityOf(path);
      // One that several directories lead to is one mount. What leads nowhere is left to whoever mounts there next.
      if (identity !== undefined && !sockets.has(identity)) sockets.set(identity, path);
    }
  }
  return [...sockets.values()];
}

async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(path);
    return `${dev}:${ino}`;
  } catch (error) {
    ignoreMissing(error);
    return undefined;
  }
}

/** The mount behind a socket file; undefined when its daemon is gone. A hung one is known as such after two seconds. */
export async function inspectSocket(socket: string, limits?: CallLimits): Promise<ListedMount | undefined> {
  const result = await probe(socket, limits);
  if (result.state === 'dead') {
    await removeStale(socket);
    return undefined;
  }
  // Without a sidecar nothing is known but that somebody is there.
  const mount = result.mount ?? { mountpoint: `(unknown: ${socket})`, pid: 0 };
  return { ...mount, responding: result.state === 'serving' };
}

async function removeStale(socket: string): Promise<void> {
  try {
    const { mtimeMs } = await stat(socket);
    if (Date.now() - mtimeMs < STALE_AGE_MS) return;
    await unlink(sidecarOf(socket)).catch(ignoreMissing);
    await unlink(socket);
  } catch (error) {
    ignoreMissing(error);
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    ignoreMissing(error);
    return [];
  }
}

/** What is gone already needs no removing; anything else is a real failure. */
function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
