// What the status page is told of the mounts, once a second: a mount's status with its lists cut short, and the samples behind the plots.
// Shared by server and page; knows neither HTTP nor the page's elements.
import type { Conflict, FailedChange, MountStatus, UnfinishedFile, WaitingRequest } from '../control/status.ts';

/** The beginning of a list, and how long the whole is. */
export interface Shown<T> {
  readonly items: readonly T[];
  readonly count: number;
}

/** A refused change. `below`: how many others lie below its path, which a decision about it is about as well. */
export type ShownFailure = FailedChange & { readonly below: number };

/** A status as the page shows it. */
export interface ShownStatus extends Pick<
  MountStatus,
  | 'connection'
  | 'root'
  | 'transport'
  | 'since'
  | 'readOnly'
  | 'online'
  | 'paused'
  | 'pending'
  | 'localOnly'
  | 'members'
  | 'cache'
  | 'transfers'
  | 'memory'
> {
  readonly failed: Shown<ShownFailure>;
  readonly conflicts: Shown<Conflict>;
  readonly unfinished: Shown<UnfinishedFile>;
  readonly waiting: Shown<WaitingRequest>;
  readonly pinned: Omit<MountStatus['pinned'], 'paths'> & { readonly paths: Shown<string> };
  readonly purges: { readonly pending: number; readonly refused: Shown<string> };
  readonly calls: Pick<MountStatus['calls'], 'total' | 'throttled' | 'budget'>;
}

/** One moment of a mount: counters since it was mounted, and what was left of the hour's calls. */
export interface Sample {
  readonly atMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly calls: number;
  readonly leftThisHour: number;
}

export type MountView = { readonly mountpoint: string } & (
  | { readonly state: 'serving'; readonly status: ShownStatus; readonly sample: Sample }
  /** Its daemon holds the socket and does not answer. */
  | { readonly state: 'silent'; readonly pid: number }
  /** Its daemon is gone, and the kernel still has the mount. */
  | { readonly state: 'dead' }
  /** What it answered makes no sense here; `problem` says why. */
  | { readonly state: 'failing'; readonly problem: string }
);

/** One line of the stream. */
export interface Update {
  readonly mounts: readonly MountView[];
  /** In the first line of a stream: earlier samples of each mountpoint. */
  readonly history?: Readonly<Record<string, readonly Sample[]>>;
}

/** What the page may have a mount do. */
export const actionMethods = ['retry', 'discard', 'save', 'pause', 'resume'] as const;
export type ActionMethod = (typeof actionMethods)[number];

/** The body of an action; `path` with those that are about one. */
export interface Action {
  readonly mountpoint: string;
  readonly method: ActionMethod;
  readonly path?: string;
}

/** What an action came to. */
export interface ActionOutcome {
  /** How many changes were tried again or given up. */
  readonly changes?: number;
  /** The file that has the copy. */
  readonly savedAs?: string;
}

/** The answer to a request that was not served. */
export interface Problem {
  readonly problem: string;
}

/** Cuts a status down to `itemsMax` entries of each list. */
export function shownStatus(status: MountStatus, itemsMax: number): ShownStatus {
  const { connection, root, transport, since, readOnly, online, paused, localOnly, members, cache, transfers } = status;
  const shown = <T>(items: readonly T[]): Shown<T> => ({ items: items.slice(0, itemsMax), count: items.length });
  const failed = shown(status.failed);
  const undecided = [...status.failed, ...status.unfinished].map(({ path }) => path);
  return {
    connection,
    root,
    transport,
    since,
    readOnly,
    online,
    paused,
    localOnly,
    members,
    cache,
    transfers,
    memory: status.memory,
    pending: { ...status.pending, items: status.pending.items.slice(0, itemsMax) },
    failed: { ...failed, items: failed.items.map((item) => ({ ...item, below: countBelow(item, undecided) })) },
    conflicts: shown(status.conflicts),
    unfinished: shown(status.unfinished),
    waiting: shown(status.waiting),
    pinned: { ...status.pinned, paths: shown(status.pinned.paths) },
    purges: { pending: status.purges.pending, refused: shown(status.purges.refused) },
    calls: { total: status.calls.total, throttled: status.calls.throttled, budget: status.calls.budget },
  };
}

/** Nothing lies below a file. */
function countBelow({ path, change }: FailedChange, paths: readonly string[]): number {
  if (change === 'store') return 0;
  const directory = `${path}/`;
  return paths.filter((other) => other.startsWith(directory)).length;
}
