// What a mount tells of itself: the value behind `status --json`, whose keys users' scripts rely on.
// Knows neither how it is gathered (mount.ts) nor how it is shown (cli).

/** A local change that has not reached Syncplicity yet. */
export interface PendingChange {
  /** From the drive's root on, as in all lists below: "/Project/plan.txt". */
  readonly path: string;
  readonly change: 'store' | 'make-folder' | 'rename' | 'remove';
  readonly bytes: number;
  /** Bytes of it already sent. */
  readonly sent: number;
  readonly state: 'waiting' | 'sending' | 'retrying';
  readonly attempts: number;
  /** The last failure, empty if there was none. */
  readonly error: string;
}

/** A local change that Syncplicity refused; kept with its content until the user decides. */
export interface FailedChange {
  readonly path: string;
  readonly change: PendingChange['change'];
  readonly error: string;
  /** ISO time. */
  readonly since: string;
}

/** A file whose remote version won; ours was kept under another name. */
export interface Conflict {
  readonly path: string;
  readonly keptAs: string;
  /** ISO time. */
  readonly since: string;
}

/** Content that was still being written when an earlier daemon ended. */
export interface UnfinishedFile {
  readonly path: string;
  readonly bytes: number;
  /** ISO time. */
  readonly since: string;
}

/** A program that waits for the service right now, or got an error in the last minutes, and why. */
export interface WaitingRequest {
  /** The path asked for, where it is known. */
  readonly path: string;
  /** What it waits for, for example "listing" or "content". */
  readonly operation: string;
  readonly reason: string;
  /** True where it got its error and waits no more. */
  readonly failed: boolean;
  /** ISO time. */
  readonly since: string;
}

/** One connection of a pool that is mounted. */
export interface PoolMember {
  readonly name: string;
  /** Calls it made, of all. */
  readonly calls: number;
  readonly throttled: number;
  readonly budget: { readonly perSecond: number; readonly perHour: number; readonly leftThisHour: number };
  /** Why it takes no calls at present, and since when (ISO time; null: not told); null: it does. */
  readonly out: { readonly reason: string; readonly since: string | null } | null;
}

/** One mount. All keys are always present; sizes are bytes, times ISO 8601. */
export interface MountStatus {
  readonly mountpoint: string;
  /** Name of the connection, or "demo". */
  readonly connection: string;
  /** The folder of the drive that the mountpoint shows; "/" for all of it. */
  readonly root: string;
  readonly pid: number;
  readonly transport: 'kernel' | 'fuse-native';
  /** Where Prometheus finds its numbers, as "http://127.0.0.1:9470/metrics"; null: nowhere. */
  readonly metrics: string | null;
  readonly since: string;
  readonly readOnly: boolean;
  /** Whether the last call reached the service. */
  readonly online: boolean;
  /** Why not, where that is known; null while it is online. */
  readonly offlineReason: string | null;
  /** Whose sign-in the service does not accept, and why. */
  readonly refusedSignIns: readonly { readonly name: string; readonly reason: string }[];
  /** How long the call budget, or a pause that the service asked for, still keeps changes from being sent; null: it does not. */
  readonly sendingHeldSeconds: number | null;
  /** Whether transfers were stopped by `pause`. */
  readonly paused: boolean;
  readonly pending: {
    /** Changes, whatever they change. */
    readonly files: number;
    readonly bytes: number;
    /** Bytes of them already sent. */
    readonly sent: number;
    /** Pace of the uploads in the last seconds. */
    readonly bytesPerSecond: number;
    /** At that pace and with the calls that are allowed; null: unknown. */
    readonly secondsLeft: number | null;
    readonly items: readonly PendingChange[];
  };
  readonly failed: readonly FailedChange[];
  readonly conflicts: readonly Conflict[];
  readonly unfinished: readonly UnfinishedFile[];
  /** Editors' droppings and the like, which stay on this machine. */
  readonly localOnly: { readonly files: number; readonly bytes: number };
  /** What is kept on this machine: its sums, and what of them is still to be fetched. */
  readonly pinned: {
    readonly paths: readonly string[];
    readonly files: number;
    readonly bytes: number;
    readonly filesLeft: number;
    readonly bytesLeft: number;
    /** Folders whose content is not known yet. */
    readonly foldersLeft: number;
    /** Why something is not here; null where there is no reason but time. */
    readonly trouble: string | null;
  };
  /** With `--delete permanently`: what lies in the trash and is to be purged, and why something stays there. */
  readonly purges: { readonly pending: number; readonly refused: readonly string[] };
  readonly waiting: readonly WaitingRequest[];
  readonly calls: {
    readonly total: number;
    readonly byEndpoint: Readonly<Record<string, number>>;
    readonly byClass: Readonly<Record<string, number>>;
    readonly throttled: number;
    readonly budget: { readonly perSecond: number; readonly perHour: number; readonly leftThisHour: number };
  };
  /** The connections of a mounted pool; empty where one connection is mounted. */
  readonly members: readonly PoolMember[];
  readonly cache: {
    readonly memoryBytes: number;
    readonly diskBytes: number;
    readonly hits: number;
    readonly misses: number;
    readonly staleListings: number;
  };
  /** Listings that are to be brought again behind those who were shown the old ones. */
  readonly relisting: { readonly folders: number };
  readonly prefetch: { readonly unusedBytes: number };
  /** What the kernel asked, by the names of its requests: LOOKUP, READ, ... */
  readonly requests: Readonly<Record<string, number>>;
  readonly transfers: {
    readonly bytesIn: number;
    readonly bytesOut: number;
    /** Bytes a second that --bwlimit lets in and out; null: no limit. */
    readonly limitIn: number | null;
    readonly limitOut: number | null;
  };
  /** What the server was found to support, for example {"ranges": "bounded"}. */
  readonly capabilities: Readonly<Record<string, string>>;
  /** Resident memory of the daemon: its own (RssAnon) and pages of files it maps (RssFile: LMDB), which the kernel may take back. */
  readonly memory: { readonly ownBytes: number; readonly filePagesBytes: number };
}

/** What a mount knows of itself from its first moment on. */
export type MountIdentity = Pick<
  MountStatus,
  'mountpoint' | 'connection' | 'root' | 'pid' | 'transport' | 'metrics' | 'since' | 'readOnly' | 'online'
>;

/** The status of a mount where nothing has happened yet: every other key zero or empty. */
export function emptyStatus(identity: MountIdentity): MountStatus {
  return {
    ...identity,
    offlineReason: null,
    refusedSignIns: [],
    sendingHeldSeconds: null,
    paused: false,
    pending: { files: 0, bytes: 0, sent: 0, bytesPerSecond: 0, secondsLeft: null, items: [] },
    failed: [],
    conflicts: [],
    unfinished: [],
    localOnly: { files: 0, bytes: 0 },
    pinned: { paths: [], files: 0, bytes: 0, filesLeft: 0, bytesLeft: 0, foldersLeft: 0, trouble: null },
    purges: { pending: 0, refused: [] },
    waiting: [],
    calls: {
      total: 0,
      byEndpoint: {},
      byClass: {},
      throttled: 0,
      budget: { perSecond: 0, perHour: 0, leftThisHour: 0 },
    },
    members: [],
    cache: { memoryBytes: 0, diskBytes: 0, hits: 0, misses: 0, staleListings: 0 },
    relisting: { folders: 0 },
    prefetch: { unusedBytes: 0 },
    requests: {},
    transfers: { bytesIn: 0, bytesOut: 0, limitIn: null, limitOut: null },
    capabilities: {},
    memory: { ownBytes: 0, filePagesBytes: 0 },
  };
}
