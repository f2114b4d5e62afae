// All a mount needs to know, as one value. Holds no secrets: the daemon gets it through a pipe.
import type { RuntimeDirectories } from '../base/paths.ts';
import type { Bandwidth, ListenAddress, NotificationsWanted, Removal, TransportName } from './option-values.ts';

/** Where the content of a mount comes from. */
export type MountSource =
  /** A stored connection (platform `syncplicity` or `fs`), or a pool of them. `path` shows one folder of it as the root ("/" shows all). */
  | { readonly kind: 'connection'; readonly connectionId: string; readonly path: string }
  /** The embedded emulator with the demo content; needs no account. */
  | { readonly kind: 'demo' };

export interface MountConfig {
  /** Absolute path of an existing directory. */
  readonly mountpoint: string;
  readonly source: MountSource;
  /** The name of the connection or pool, or "demo": what `status` and notifications call it. */
  readonly connectionName: string;
  /**
   * What `mount` and `df` show as the device: the source as it was given, by which mount(8) finds that a line of fstab is mounted already,
   * but by name where that was by id; without one the connection's name.
   */
  readonly deviceName: string;
  readonly readOnly: boolean;
  /** Whether close() and the like wait for Syncplicity and return its error. */
  readonly writeThrough: boolean;
  /** Whether a modification time set without a change of content is stored, which stores the content again. */
  readonly storesTimes: boolean;
  readonly removal: Removal;
  /** Whether top-level directories, which are syncpoints, may be made, renamed and removed. */
  readonly managesSyncpoints: boolean;
  /** How long after its last close a change waits, so that what belongs together meets. */
  readonly settleMs: number;
  /** Files sent at once. */
  readonly uploadsMax: number;
  /** Free disk space that staged content leaves to others. */
  readonly stageReserveBytes: number;
  /** A stored directory with more files or bytes, moved to where Syncplicity cannot move it, is EXDEV. */
  readonly exdevFilesMax: number;
  readonly exdevBytesMax: number;
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
  readonly runtimeDirectories: RuntimeDirectories;
  readonly configDirectory: string;
  /** E-mail address or GUID of the user whose drive it is; undefined: whomever the connection says. */
  readonly asUser: string | undefined;
  /** Second and further mounts of one account need a name of their own. */
  readonly instance: string | undefined;
  /** How long one file system request may wait for the service. */
  readonly opTimeoutMs: number;
  /** How long a listing is trusted without asking, where the service tells of no events. */
  readonly listingLifetimeMs: number;
  /** How long it is trusted on the word of events alone. */
  readonly backstopLifetimeMs: number;
  /** How often the service is asked for events; 0: never. */
  readonly pollIntervalMs: number;
  /** Pace of gateway calls; 0: no limit. */
  readonly callsPerSecond: number;
  /** Allowance of gateway calls; 0: no limit. */
  readonly callsPerHour: number;
  /** How fast content may be sent and fetched. */
  readonly bandwidth: Bandwidth;
  /** How the kernel is spoken to. */
  readonly transport: TransportName;
  /** Whether the desktop shows what needs a person. */
  readonly notifications: NotificationsWanted;
  /** Where numbers for Prometheus are told; undefined: nowhere. */
  readonly metrics: ListenAddress | undefined;
  /** PEM file with further certificate authorities. */
  readonly caFile: string | undefined;
  /** Stays in the foreground and logs to stderr. */
  readonly foreground: boolean;
  /** Where a daemon's log goes; undefined in the foreground. */
  readonly logFile: string | undefined;
}
