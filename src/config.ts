// One frozen value that says all a mount needs to know. The command line makes it; mount.ts builds the drive from it.
// Holds no secrets: the daemon reads credentials from the connection store itself, so that none passes through argv or a pipe.

/** Where the content of a mount comes from. */
export type MountSource =
  /** A stored connection (platform `syncplicity` or `fs`). `path` shows one folder of it as the root ("/" shows all). */
  | { readonly kind: 'connection'; readonly connectionId: string; readonly path: string }
  /** The embedded emulator with the demo content; needs no account. */
  | { readonly kind: 'demo' };

export interface MountConfig {
  /** Absolute path of an existing directory. */
  readonly mountpoint: string;
  readonly source: MountSource;
  /** What `mount` and `df` show as the device: "CONNECTION" or "demo". */
  readonly deviceName: string;
  readonly readOnly: boolean;
  readonly allowOther: boolean;
  /** Owner shown for every object; undefined: the mounting user's. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Permission bits taken away from every object (0..0777). */
  readonly umask: number;
  /** Further options for the kernel, as given with -o and not ours (for example "noexec"). */
  readonly kernelOptions: readonly string[];
  readonly cacheDirectory: string;
  readonly cacheSizeBytes: number;
  readonly memoryBytes: number;
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
  readonly configDirectory: string;
  /** Second and further mounts of one account need a name of their own. */
  readonly instance: string | undefined;
  /** How long one file system request may wait for the service. */
  readonly opTimeoutMs: number;
  /** How long a listing is trusted without asking. */
  readonly listingLifetimeMs: number;
  /** PEM file with further certificate authorities. */
  readonly caFile: string | undefined;
  /** Stays in the foreground and logs to stderr. */
  readonly foreground: boolean;
  /** Where a daemon's log goes; undefined in the foreground. */
  readonly logFile: string | undefined;
}

/** Defaults of the options above; each with the reason for its number. */
export const defaults = {
  /** Holds a working set of documents, and fits beside other things on a laptop's disk. */
  cacheSizeBytes: 10 * 2 ** 30,
  /** Half for blocks just read, half for read-ahead; keeps the daemon well below 250 MiB. */
  memoryBytes: 64 * 2 ** 20,
  /** A user gives up at about this time; the service answers in well under a second when it answers at all. */
  opTimeoutMs: 30_000,
  /** rclone mount's --dir-cache-time: what users of cloud mounts are used to. */
  listingLifetimeMs: 300_000,
  umask: 0o022,
} as const;
