// The one door from the command line to a mount. Loaded on demand: only the daemon needs the kernel, the tree and the service.
import type { MountConfig } from '../config.ts';

/** What a started mount can be asked, as mount.ts returns it. */
export interface RunningMount {
  /** Unmounts and stops everything. Rejects when the mount stays busy for `timeoutMs`; `lazy` detaches it nevertheless. */
  unmount(options?: { readonly timeoutMs?: number; readonly lazy?: boolean }): Promise<void>;
  /** Resolves when the mount has gone, whoever ended it. */
  readonly finished: Promise<{ readonly reason: string; readonly error?: Error }>;
}

type StartMount = (config: MountConfig, hooks: { readonly onReady: () => void }) => Promise<RunningMount>;

/** Builds and mounts the drive of a config. `onReady` is called when the mount answers. */
export async function startMount(config: MountConfig, hooks: { readonly onReady: () => void }): Promise<RunningMount> {
  const file: string = '../mount.ts';
  const root = (await import(file)) as { readonly startMount: StartMount };
  return root.startMount(config, hooks);
}
