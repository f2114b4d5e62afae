// Keeps the tree's listings fresh: brings a new listing where the one at hand is not to be trusted. All who ask for one folder at once
// share one call. What is known is shown when the service does not answer in time, is known to be away, or when so much became suspect at
// once that looking at it would cost a call for each folder of a tree: it is looked at again behind whoever asked.
import { setMaxListeners } from 'node:events';
import { delay, waitFor } from '../base/abort.ts';
import { nextTurn } from '../base/event-loop.ts';
import { Deadline } from '../base/deadline.ts';
import { createLog } from '../base/log.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import {
  RemoteError,
  type CallClass,
  type CallOptions,
  type RemoteDrive,
  type RemoteEntry,
  type RemoteSyncpoint,
} from '../remote-drive.ts';
import type { Journal, RemoteFolderPlace } from './journal.ts';
import { ROOT_INODE, type TreeDirectory } from './tree.ts';
import { Relisting } from './relisting.ts';
import { FolderReplaced, mergeFolder, mergeSyncpoints } from './tree/merge.ts';
import type { Naming } from './tree/naming.ts';
import { Reconciliation } from './tree/reconcile.ts';
import type { Standing, Trust } from './trust.ts';
import { UsedFolders } from './used-folders.ts';
import { VaultSizes } from './vault-sizes.ts';

const log = createLog('listings');

/** How long somebody waits for a new listing while an old one is at hand: longer than a healthy reply takes, shorter than patience. */
const STALE_WAIT_MS = 2_000;
/** The same, while other refreshes are overdue: the service hangs, and a walk over a known tree must not wait for each folder. */
const STALE_WAIT_WHILE_SLOW_MS = 50;
/** No further refresh of a known folder is begun while so many are overdue: they would only wait behind each other. */
const OVERDUE_MAX = 8;
/** After a failed refresh the old listing is served for this long before the service is asked again. */
const RETRY_AFTER_MS = 5_000;
/** Where the list of syncpoints cannot be had, nobody waits for other lists for so long, unless one comes. */
const AWAY_MS = 30_000;
/** A call that nobody waits for any more is given up after this: the answer would come to nobody's use. */
const CALL_LIMIT_MS = 120_000;
/** Somebody who looks into folders of a syncpoint that changes waits for so many of them, then for one now and then. */
const SUSPECT_WAITS = { burst: 16, perSecond: 1 } as const;
/** The same, where the changes are our own: nobody can tell that nothing else happened. */
const OWN_SUSPECT_WAITS = { burst: 16, perSecond: 0.2 } as const;
/** Of the folders that were used last, so many are looked at again as soon as something changed. */
const USED_AGAIN_MAX = 8;

export interface ListingsOptions {
  /** With its tree. */
  readonly journal: Journal;
  readonly drive: Pick<RemoteDrive, 'syncpoints' | 'list' | 'vaults' | 'callDelayMs'>;
  readonly naming: Naming;
  readonly trust: Trust;
  /** Calls cost nobody anything, as to a service on this machine: what others may have changed is looked at before it is shown. */
  readonly callsAreFree?: boolean | undefined;
}

/** Who asks for a listing. */
export interface Asker {
  /** Default: 'interactive'. */
  readonly callClass?: CallClass | undefined;
  /** False for who walks over many folders: what is known is good enough, if it may have changed. Asked only where that matters. */
  readonly minds?: ((inode: number) => boolean) | undefined;
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
  readonly #relisting: Relisting;
  readonly #vaultSizes: VaultSizes;
  readonly #suspectWaits = new TokenBucket(SUSPECT_WAITS);
  readonly #ownSuspectWaits = new TokenBucket(OWN_SUSPECT_WAITS);
  /** What somebody looked into. */
  readonly used = new UsedFolders();
  #awayUntilMs = -Infinity;
  readonly #stop = new AbortController();
  readonly #listeners = new Set<() => void>();
  /** When listings were asked for that are on their way, or being merged, wall clock, ms. */
  readonly #asked = new Set<{ readonly atMs: number }>();
  #fetched = 0;
  #stale = 0;
  #sweeping: Promise<void> | undefined;

  constructor(options: ListingsOptions) {
    this.#options = options;
    // Each call under way listens for the end.
    setMaxListeners(0, this.#stop.signal);
    const { trust, journal, drive } = options;
    this.#vaultSizes = new VaultSizes(journal.tree, drive, this.#stop.signal);
    this.#relisting = new Relisting({
      isWorthIt: (inode) => ['suspect', 'old', 'due'].includes(trust.standing(inode).kind),
      isAtRest: (inode) => trust.isAtRest(inode),
      refresh: async (inode, callClass) => {
        const directory = journal.tree.node(inode);
        if (directory?.kind === 'directory') await this.#refresh(directory, callClass);
      },
      callsAreFree: options.callsAreFree,
    });
    trust.onMoved((top, own) => this.#relistUsed(top, own));
  }

  /** Tells each listing that came from the service: it can be reached. Returns the way out. */
  onFetched(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** How long the kernel may keep what it learns of a folder's entries; 0: until it asks next. */
  keptMs(directory: number): number {
    return this.#options.trust.keptMs(directory);
  }

  /** True where a folder may be read as it is known, without any wait. */
  isGood(directory: number): boolean {
    return this.#isGood(directory, this.#options.trust.standing(directory));
  }

  #isGood(directory: number, { kind }: Standing): boolean {
    if (kind === 'old') this.#relisting.add(directory, 'old');
    return kind === 'fresh' || kind === 'old';
  }

  /** See {@link Trust}. */
  missesOwnEvents(syncpointId: string): boolean {
    return this.#options.trust.missesOwnEvents(syncpointId);
  }

  /** See {@link Trust}. */
  get eventLagMs(): number {
    return this.#options.trust.eventLagMs;
  }

  /** Looks at a folder that nobody opens, behind everybody, where something may have changed in it since it was listed. */
  lookAgain(directory: number): void {
    const { kind } = this.#options.trust.standing(directory);
    if (kind === 'suspect' || kind === 'due') this.#relisting.add(directory, 'pinned');
  }

  /** See {@link Trust}. */
  get eventsAgeMs(): number {
    return this.#options.trust.eventsAgeMs;
  }

  /** Tells each syncpoint in which something happened; `own`: by us, as far as is known. */
  onMoved(listener: (top: TreeDirectory, own: boolean) => void): void {
    this.#options.trust.onMoved(listener);
  }

  /**
   * Returns undefined when the folder may be read as it is known, else a promise that settles once it may: after a new listing, or with
   * the old one when the service fails or is slow. Rejects with RemoteError, or the signal's reason, when there is no listing at all, or
   * when the service refuses the folder.
   */
  ensure(directory: TreeDirectory, signal: AbortSignal, asker: Asker = {}): Promise<void> | undefined {
    const { inode } = directory;
    const standing = this.#options.trust.standing(inode);
    switch (standing.kind) {
      case 'fresh':
        return undefined;
      case 'unlisted':
        return waitFor(this.#refresh(directory, asker.callClass), signal);
      case 'old':
        this.#relisting.add(inode, 'old');
        return undefined;
      case 'unconfirmed':
        return this.#confirm(directory, signal, asker);
      case 'suspect':
        if (this.#mayWait(inode, standing.own, asker)) return this.#renew(directory, signal, asker);
        this.#stale += 1;
        this.#relisting.add(inode, standing.own ? 'own' : 'others');
        return undefined;
      case 'due':
        return this.#renew(directory, signal, asker);
    }
  }

  /** What is known of a folder is shown without waiting; it is looked at again behind that. False where it must be waited for. */
  showAsKnown(directory: number): boolean {
    const standing = this.#options.trust.standing(directory);
    if (standing.kind !== 'suspect') return this.#isGood(directory, standing);
    this.#relisting.add(directory, standing.own ? 'own' : 'others');
    return true;
  }

  /** Brings a new listing whatever the age of the present one. */
  refresh(directory: TreeDirectory, signal: AbortSignal, callClass?: CallClass): Promise<void> {
    return waitFor(this.#refresh(directory, callClass), signal);
  }

  /**
   * Lists a folder that was removed here, for what is still pending of what the service has in it, or has not any more. Where the folder is
   * gone there too, nothing is left of its removal. Rejects as the service fails otherwise.
   */
  async lookInto(inode: number, folder: RemoteFolderPlace, signal: AbortSignal, callClass: CallClass): Promise<void> {
    const { journal, drive, naming } = this.#options;
    const listedAtMs = Date.now();
    const directory = { ...journal.tree.root(), inode, remote: folder };
    const entries: RemoteEntry[] = [];
    try {
      for await (const batch of drive.list(folder.syncpointId, folder.folderId, { signal, callClass })) {
        entries.push(...batch);
      }
    } catch (error) {
      if (!(error instanceof RemoteError) || error.kind !== 'not-found' || journal.tree.closed) throw error;
      new Reconciliation({ journal, naming, directory, entries: [], listedAtMs }).folderIsGone();
      return;
    }
    if (journal.tree.closed) return;
    const reconciliation = new Reconciliation({ journal, naming, directory, entries, listedAtMs });
    for (const entry of entries) reconciliation.pending(entry);
    reconciliation.missingElsewhere(new Set());
  }

  /** See {@link VaultSizes}. */
  refreshVaults(now = false): void {
    this.#vaultSizes.refresh(now);
  }

  /** Folders that are to be looked at again behind those who were shown what is known of them. */
  get relisting(): number {
    return this.#relisting.size;
  }

  /** When the oldest listing was asked for that is still on its way, wall clock, ms; Infinity: none is. */
  get oldestAskedMs(): number {
    return Math.min(...[...this.#asked].map(({ atMs }) => atMs));
  }

  statistics(): ListingStatistics {
    return { fetched: this.#fetched, stale: this.#stale };
  }

  /** Ends the calls under way and waits until none touches the tree any more. */
  async stop(): Promise<void> {
    this.#relisting.stop();
    this.#stop.abort(new RemoteError('unavailable', 'the drive is being unmounted'));
    await Promise.allSettled([
      ...[...this.#underWay.values()].map(({ done }) => done),
      this.#sweeping,
      this.#vaultSizes.done,
    ]);
  }

  /** Asks what happened since the service was asked last, for all folders at once. */
  async #confirm(directory: TreeDirectory, signal: AbortSignal, asker: Asker): Promise<void> {
    await this.#renew(this.#options.journal.tree.root(), signal, asker);
    const { kind } = this.#options.trust.standing(directory.inode);
    // Else the service did not answer: what is known is shown.
    if (kind !== 'unconfirmed') await this.ensure(directory, signal, asker);
  }

  #mayWait(inode: number, own: boolean, { callClass, minds }: Asker): boolean {
    // Whoever has folders listed ahead has a pace of its own, and wants them as they are.
    if (callClass === 'prefetch') return true;
    // Free is not fast: a tree in which we saved something is not waited for folder by folder.
    if (this.#options.callsAreFree === true && !own) return true;
    if (minds?.(inode) === false) return false;
    return (own ? this.#ownSuspectWaits : this.#suspectWaits).take();
  }

  /** Of what is being used, the folders used last: a program in one of them may not ask again by itself. */
  #relistUsed(top: TreeDirectory, own: boolean): void {
    const { journal } = this.#options;
    const { tree } = journal;
    let left = USED_AGAIN_MAX;
    for (const inode of this.used.lastFirst()) {
      const node = tree.node(inode);
      if (node === undefined || tree.syncpointOf(node)?.inode !== top.inode) continue;
      // What we store there is going to be looked for, and all else in it with that.
      if (own && journal.index.hasPending(inode)) continue;
      this.#relisting.add(inode, own ? 'own' : 'others');
      left -= 1;
      if (left === 0) return;
    }
  }

  /** Brings a new listing, or settles with the one at hand: at once where there is no hope of an answer, else after a while. */
  #renew(
    directory: TreeDirectory,
    signal: AbortSignal,
    { callClass = 'interactive' }: Asker,
  ): Promise<void> | undefined {
    const { drive, journal } = this.#options;
    const { inode } = directory;
    if (journal.tree.listing(inode) === undefined) return waitFor(this.#refresh(directory, callClass), signal);
    const failedAt = this.#failedAt.get(inode);
    const failedLately = failedAt !== undefined && performance.now() - failedAt < RETRY_AFTER_MS;
    const isBusy = this.#overdue.has(inode) || this.#overdue.size >= OVERDUE_MAX;
    const isAway = performance.now() < this.#awayUntilMs;
    const isHopeless = isAway || failedLately || isBusy || drive.callDelayMs(callClass) > STALE_WAIT_MS;
    if (!isHopeless) return this.#refreshOrStale(directory, signal, callClass);
    this.#stale += 1;
    return undefined;
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
    return ageMs >= 0 && ageMs < this.#options.journal.lagWindowMs;
  }

  /** The one refresh of a folder under way, started if there is none. What somebody waits for does not wait with what nobody does. */
  #refresh(directory: TreeDirectory, callClass: CallClass = 'interactive'): Promise<void> {
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
        this.#awayUntilMs = -Infinity;
      },
      (error: unknown) => {
        if (overtaker !== undefined) return overtaker;
        if (this.#failedAt.size > 10_000) this.#failedAt.clear();
        this.#failedAt.set(directory.inode, performance.now());
        log('listing of inode %d failed: %s', directory.inode, message(error));
        if (isRefusal(error)) this.#reportGone(directory);
        if (directory.inode === ROOT_INODE && error instanceof RemoteError && error.kind === 'unavailable') {
          this.#awayUntilMs = performance.now() + AWAY_MS;
        }
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
    const begunAtMs = Date.now();
    const asked = { atMs: begunAtMs };
    this.#asked.add(asked);
    const tooLong = (): Error =>
      new RemoteError('unavailable', `no listing of ${tree.path(directory)} within ${CALL_LIMIT_MS / 1000} s`);
    const deadline = new Deadline(CALL_LIMIT_MS, tooLong, [this.#stop.signal, ended]);
    try {
      let isDone = false;
      while (!isDone) isDone = await this.#fetchWithin(directory, { signal: deadline.signal, callClass, onLeave });
    } finally {
      deadline.release();
      this.#asked.delete(asked);
    }
    log('listed %s for %s in %d ms', tree.path(directory), callClass, Date.now() - begunAtMs);
    this.#fetched += 1;
    for (const listener of this.#listeners) listener();
    this.#sweep();
  }

  /** Returns false where the folder became another one at the service meanwhile: that one is to be listed. */
  async #fetchWithin(directory: TreeDirectory, options: CallOptions): Promise<boolean> {
    const { journal, drive, naming } = this.#options;
    const { tree } = journal;
    const asked = { listedAtMs: Date.now(), moment: tree.moment };
    const present = tree.node(directory.inode);
    if (present?.kind !== 'directory') throw new RemoteError('not-found', `folder ${tree.path(directory)} is gone`);
    if (present.inode === ROOT_INODE) {
      const askedAt = { wallMs: Date.now(), monotonicMs: performance.now() };
      let syncpoints = await drive.syncpoints(options);
      // With all of them their pins and modes would go, and the drive be empty: one answer alone is not believed.
      if (syncpoints.length === 0 && [...tree.children(ROOT_INODE)].length > 0)
        syncpoints = await drive.syncpoints(options);
      await mergeSyncpoints(journal, naming, syncpoints, asked);
      this.#options.trust.confirmed(askedAt);
      const isNew = ({ vaultId }: RemoteSyncpoint): boolean =>
        vaultId !== undefined && tree.vault(vaultId) === undefined;
      if (syncpoints.some(isNew)) this.refreshVaults();
    } else if (present.remote !== undefined) {
      const entries: RemoteEntry[] = [];
      for await (const batch of drive.list(present.remote.syncpointId, present.remote.folderId, options)) {
        for (const entry of batch) entries.push(entry);
      }
      if (tree.node(directory.inode) === undefined) {
        throw new RemoteError('not-found', `folder ${tree.path(directory)} is gone`);
      }
      // It may have been renamed meanwhile; what it is at the service stays, unless it had to be stored anew.
      try {
        await mergeFolder(journal, naming, present, entries, asked);
      } catch (error) {
        if (error instanceof FolderReplaced) return false;
        throw error;
      }
    }
    return true;
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
