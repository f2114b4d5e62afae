// Keeps the tree's listings fresh: answers whether a folder may be trusted, and brings a new listing where not. All who
// ask for one folder at once share one call; a listing that is merely old is served when the service does not answer in time.
import { performance } from 'node:perf_hooks';
import { delay, waitFor } from '../base/abort.ts';
import { nextTurn } from '../base/event-loop.ts';
import { Deadline } from '../base/deadline.ts';
import { createLog } from '../base/log.ts';
import { RemoteError, type CallClass, type CallOptions, type RemoteDrive, type RemoteEntry } from '../remote-drive.ts';
import { LAG_WINDOW_MS, type Journal, type RemoteFolderPlace } from './journal.ts';
import { ROOT_INODE, type TreeDirectory } from './tree.ts';
import { mergeFolder, mergeSyncpoints } from './tree/merge.ts';
import type { Naming } from './tree/naming.ts';
import { Reconciliation } from './tree/reconcile.ts';

const log = createLog('listings');

/** How long somebody waits for a new listing while an old one is at hand: longer than a healthy reply takes, shorter than patience. */
const STALE_WAIT_MS = 2_000;
/** The same, while other refreshes are overdue: the service hangs, and a walk over a known tree must not wait for each folder. */
const STALE_WAIT_WHILE_SLOW_MS = 50;
/** No further refresh of a known folder is begun while so many are overdue: they would only wait behind each other. */
const OVERDUE_MAX = 8;
/** After a failed refresh the old listing is served for this long before the service is asked again. */
const RETRY_AFTER_MS = 5_000;
/** A call that nobody waits for any more is given up after this: the answer would come to nobody's use. */
const CALL_LIMIT_MS = 120_000;
/** The vaults' capacity changes slowly, and df need not be exact. */
const VAULTS_LIFETIME_MS = 600_000;

export interface ListingsOptions {
  /** With its tree. */
  readonly journal: Journal;
  readonly drive: Pick<RemoteDrive, 'syncpoints' | 'list' | 'vaults'>;
  readonly naming: Naming;
  /** How long a listing is trusted. */
  readonly lifetimeMs: number;
}

/** Why a folder was served from an old listing. */
export interface ListingStatistics {
  /** Listings brought from the service. */
  readonly fetched: number;
  /** Answers given from a listing past its lifetime, because the service did not answer. */
  readonly stale: number;
}

/** A listing that is being brought. */
interface Refresh {
  readonly done: Promise<void>;
  /** Its call waits for its turn, behind those that somebody waits for. */
  waitsBehind: boolean;
  /** Ends it in favour of one that has its turn sooner. */
  readonly overtake: (by: Promise<void>) => void;
}

export class Listings {
  readonly #options: ListingsOptions;
  readonly #underWay = new Map<number, Refresh>();
  /** When a refresh of a folder failed last, monotonic ms. */
  readonly #failedAt = new Map<number, number>();
  /** Folders whose refresh under way has outlasted somebody's patience. */
  readonly #overdue = new Set<number>();
  readonly #stop = new AbortController();
  #fetched = 0;
  #stale = 0;
  #sweeping: Promise<void> | undefined;
  #vaultsAt: number | undefined;
  #vaultsUnderWay: Promise<void> | undefined;

  constructor(options: ListingsOptions) {
    this.#options = options;
  }

  /** How much longer a folder's listing may be trusted, ms; 0 when it is due or was never brought. */
  remainingMs(directory: number): number {
    const { journal } = this.#options;
    const listing = journal.tree.listing(directory);
    if (listing === undefined) return 0;
    const record = journal.get(directory);
    // The service has no such folder yet: everything in it is known.
    if (record !== undefined && record.at === undefined) return this.#options.lifetimeMs;
    const age = Date.now() - listing.listedAtMs;
    // A wall clock set back makes a listing look younger than it is: then it is due.
    return age < 0 ? 0 : Math.max(0, this.#options.lifetimeMs - age);
  }

  /**
   * Returns undefined when the folder's listing is fresh, else a promise that settles once the tree may be read: after a new
   * listing, or with the old one when the service fails or is slow. Rejects with RemoteError, or the signal's reason, when there is no
   * listing at all, or when the service refuses the folder.
   */
  ensure(
    directory: TreeDirectory,
    signal: AbortSignal,
    callClass: CallClass = 'interactive',
  ): Promise<void> | undefined {
    if (this.remainingMs(directory.inode) > 0) return undefined;
    const known = this.#options.journal.tree.listing(directory.inode) !== undefined;
    if (!known) return waitFor(this.#refresh(directory, callClass), signal);
    const failedAt = this.#failedAt.get(directory.inode);
    const failedLately = failedAt !== undefined && performance.now() - failedAt < RETRY_AFTER_MS;
    const hopeless = this.#overdue.has(directory.inode) || this.#overdue.size >= OVERDUE_MAX;
    if (failedLately || hopeless) {
      this.#stale += 1;
      return undefined;
    }
    return this.#refreshOrStale(directory, signal, callClass);
  }

  /** Brings a new listing whatever the age of the present one. */
  refresh(directory: TreeDirectory, signal: AbortSignal, callClass: CallClass = 'interactive'): Promise<void> {
    return waitFor(this.#refresh(directory, callClass), signal);
  }

  /**
   * Lists a folder that was removed here, for what is still pending of what the service has in it. Rejects as the service fails, with
   * `not-found` where it is gone there too.
   */
  async lookInto(inode: number, folder: RemoteFolderPlace, signal: AbortSignal, callClass: CallClass): Promise<void> {
    const { journal, drive, naming } = this.#options;
    const listedAtMs = Date.now();
    const entries: RemoteEntry[] = [];
    for await (const batch of drive.list(folder.syncpointId, folder.folderId, { signal, callClass })) {
      entries.push(...batch);
    }
    if (journal.tree.closed) return;
    const directory = { ...journal.tree.root(), inode, remote: folder };
    const reconciliation = new Reconciliation({ journal, naming, directory, entries, listedAtMs });
    for (const entry of entries) reconciliation.pending(entry);
  }

  /** Brings the vaults' capacity in the background when it is due, or `now`. Never waits, never fails. */
  refreshVaults(now = false): void {
    if (this.#vaultsUnderWay !== undefined || this.#stop.signal.aborted) return;
    if (!now && this.#vaultsAt !== undefined && performance.now() - this.#vaultsAt < VAULTS_LIFETIME_MS) return;
    this.#vaultsAt = performance.now();
    this.#vaultsUnderWay = this.#options.drive
      .vaults({ signal: this.#stop.signal, callClass: 'background' })
      .then((vaults) => {
        if (!this.#options.journal.tree.closed) this.#options.journal.tree.putVaults(vaults);
      })
      .catch((error: unknown) => log('the vaults could not be listed: %s', message(error)))
      .finally(() => (this.#vaultsUnderWay = undefined));
  }

  statistics(): ListingStatistics {
    return { fetched: this.#fetched, stale: this.#stale };
  }

  /** Ends the calls under way and waits until none touches the tree any more. */
  async stop(): Promise<void> {
    this.#stop.abort(new RemoteError('unavailable', 'the drive is being unmounted'));
    await Promise.allSettled([
      ...[...this.#underWay.values()].map(({ done }) => done),
      this.#sweeping,
      this.#vaultsUnderWay,
    ]);
  }

  async #refreshOrStale(directory: TreeDirectory, signal: AbortSignal, callClass: CallClass): Promise<void> {
    const done = new AbortController();
    const refreshed = this.#refresh(directory, callClass).then(
      () => true,
      (error: unknown) => {
        if (isRefusal(error) && !this.#isYoung(directory)) throw error;
        return false;
      },
    );
    // When patience ends first, a refusal that comes later is the next asker's news.
    refreshed.catch((error: unknown) => log('refused: %s', message(error)));
    const patience = delay(this.#overdue.size > 0 ? STALE_WAIT_WHILE_SLOW_MS : STALE_WAIT_MS, done.signal).then(
      () => false,
      () => false,
    );
    try {
      const fresh = await waitFor(Promise.race([refreshed, patience]), signal);
      if (fresh) return;
      this.#stale += 1;
      if (this.#underWay.has(directory.inode)) this.#overdue.add(directory.inode);
    } finally {
      done.abort();
    }
  }

  /** Made from here a moment ago: a service whose listings lag does not know it everywhere yet. */
  #isYoung({ inode }: TreeDirectory): boolean {
    const confirmedAtMs = this.#options.journal.get(inode)?.confirmedAtMs;
    const ageMs = confirmedAtMs === undefined ? Infinity : Date.now() - confirmedAtMs;
    return ageMs >= 0 && ageMs < LAG_WINDOW_MS;
  }

  /** The one refresh of a folder under way, started if there is none. What somebody waits for does not wait with what nobody does. */
  #refresh(directory: TreeDirectory, callClass: CallClass): Promise<void> {
    const running = this.#underWay.get(directory.inode);
    const overtakes = running?.waitsBehind === true && callClass === 'interactive';
    if (running !== undefined && !overtakes) return running.done;
    if (this.#stop.signal.aborted) return Promise.reject(this.#stop.signal.reason as RemoteError);
    const refresh = this.#begin(directory, callClass);
    this.#underWay.set(directory.inode, refresh);
    running?.overtake(refresh.done);
    return refresh.done;
  }

  #begin(directory: TreeDirectory, callClass: CallClass): Refresh {
    const ended = new AbortController();
    let overtaker: Promise<void> | undefined;
    const fetched = this.#fetch(directory, callClass, ended.signal, () => (refresh.waitsBehind = false)).then(
      () => {
        this.#failedAt.delete(directory.inode);
      },
      (error: unknown) => {
        if (overtaker !== undefined) return overtaker;
        if (this.#failedAt.size > 10_000) this.#failedAt.clear();
        this.#failedAt.set(directory.inode, performance.now());
        log('listing of inode %d failed: %s', directory.inode, message(error));
        if (isRefusal(error)) this.#reportGone(directory);
        throw error;
      },
    );
    const refresh: Refresh = {
      done: fetched.finally(() => {
        if (this.#underWay.get(directory.inode) !== refresh) return;
        this.#underWay.delete(directory.inode);
        this.#overdue.delete(directory.inode);
      }),
      waitsBehind: callClass !== 'interactive',
      overtake: (by) => {
        overtaker = by;
        ended.abort(new RemoteError('unavailable', 'somebody waits for this listing'));
      },
    };
    return refresh;
  }

  async #fetch(directory: TreeDirectory, callClass: CallClass, ended: AbortSignal, onLeave: () => void): Promise<void> {
    const { tree } = this.#options.journal;
    const listedAtMs = Date.now();
    const tooLong = (): Error =>
      new RemoteError('unavailable', `no listing of ${tree.path(directory)} within ${CALL_LIMIT_MS / 1000} s`);
    const deadline = new Deadline(CALL_LIMIT_MS, tooLong, [this.#stop.signal, ended]);
    try {
      await this.#fetchWithin(directory, listedAtMs, { signal: deadline.signal, callClass, onLeave });
    } finally {
      deadline.release();
    }
    this.#fetched += 1;
    this.#sweep();
  }

  async #fetchWithin(directory: TreeDirectory, listedAtMs: number, options: CallOptions): Promise<void> {
    const { journal, drive, naming } = this.#options;
    const { tree } = journal;
    const present = tree.node(directory.inode);
    if (present?.kind !== 'directory') throw new RemoteError('not-found', `folder ${tree.path(directory)} is gone`);
    if (present.inode === ROOT_INODE) {
      const syncpoints = await drive.syncpoints(options);
      await mergeSyncpoints(journal, naming, syncpoints, listedAtMs);
      this.refreshVaults();
    } else if (present.remote !== undefined) {
      const entries: RemoteEntry[] = [];
      for await (const batch of drive.list(present.remote.syncpointId, present.remote.folderId, options)) {
        for (const entry of batch) entries.push(entry);
      }
      if (tree.node(directory.inode) === undefined) {
        throw new RemoteError('not-found', `folder ${tree.path(directory)} is gone`);
      }
      // It may have been renamed meanwhile; what it is at the service stays.
      await mergeFolder(journal, naming, present, entries, listedAtMs);
    }
  }

  /** A folder that the service refuses makes the listing that showed it due. */
  #reportGone(directory: TreeDirectory): void {
    if (directory.inode !== ROOT_INODE && !this.#options.journal.tree.closed)
      this.#options.journal.tree.expireListing(directory.parent);
  }

  #sweep(): void {
    this.#sweeping ??= (async (): Promise<void> => {
      while (!this.#stop.signal.aborted && this.#options.journal.tree.sweepOrphans()) await nextTurn();
    })().finally(() => (this.#sweeping = undefined));
  }
}

/** The service answered, and said no: the old listing is wrong, not merely old. */
function isRefusal(error: unknown): boolean {
  return error instanceof RemoteError && (error.kind === 'not-found' || error.kind === 'forbidden');
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
