// Where this program keeps things on this machine (XDG base directory specification).
import { homedir } from 'node:os';
import { join, isAbsolute } from 'node:path';

/** Where a program of this environment makes sockets, and where else they may be. */
export type RuntimeDirectories = readonly [string, ...string[]];

/** Directories of one user, absolute paths. */
export interface UserDirectories {
  /** Connections and pools. */
  readonly config: string;
  /** The tree and staged content: never lost. */
  readonly state: string;
  /** Blocks of content: may be deleted at any time, unmounted. */
  readonly cache: string;
  /**
   * Control sockets: new ones in the first, all are found from each of them. Who has no XDG_RUNTIME_DIR (cron, fstab, su) finds the mounts of
   * a session, and the reverse.
   */
  readonly runtime: RuntimeDirectories;
  /** What file managers and others share: the pictures that they show of files. */
  readonly thumbnails: string;
}

/** Reads XDG_*_HOME from `env`. As the specification demands, values that are not absolute paths are ignored. */
export function userDirectories(env: NodeJS.ProcessEnv = process.env): UserDirectories {
  const home = env['HOME'] !== undefined && env['HOME'] !== '' ? env['HOME'] : homedir();
  const pick = (name: string, fallback: string, below = 'syncplicityfs'): string => {
    const value = env[name];
    return join(value !== undefined && isAbsolute(value) ? value : fallback, below);
  };
  const state = pick('XDG_STATE_HOME', join(home, '.local', 'state'));
  const runtimeHome = env['XDG_RUNTIME_DIR'];
  return {
    config: pick('XDG_CONFIG_HOME', join(home, '.config')),
    state,
    cache: pick('XDG_CACHE_HOME', join(home, '.cache')),
    thumbnails: pick('XDG_CACHE_HOME', join(home, '.cache'), 'thumbnails'),
    runtime:
      runtimeHome !== undefined && isAbsolute(runtimeHome)
        ? [join(runtimeHome, 'syncplicityfs'), join(state, 'run')]
        : [join(state, 'run')],
  };
}
