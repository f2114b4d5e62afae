// The second step of a removal with `--delete permanently`: what lies in the trash of the service since its removal was confirmed is purged
// there, one call each, one after the other. What is still to be purged is in the journal, so that no end of this process forgets it.
// Promises to purge nothing that lives again, nor what a program still has open, which reads it from the trash, and to leave in the trash, and say so once, what only its owner may purge.
import { isAbort } from '../base/abort.ts';
import { deferred } from '../base/deferred.ts';
import { createLog } from '../base/log.ts';
import type { Journal, Purge } from '../cache/journal.ts';
import { RemoteError, type RemoteDrive, type RemoteErrorKind, type SyncpointId } from '../remote-drive.ts';

const log = createLog('purges');

/** Between two tries while the service does not answer, and where it takes what was just removed for alive: listings lag, too. */
const AGAIN_AFTER_MS = 5_000;
/** What is alive for so long was brought back by somebody. */
const ALIVE_TRIES = 3;
/** Trying again may help against these. */
const passing: ReadonlySet<RemoteErrorKind> = new Set(['unavailable', 'throttled', 'unauthenticated']);

export interface PurgesOptions {
  readonly journal: Journal;
  readonly drive: Pick<RemoteDrive, 'purge'>;
}

/** Purges of one drive. */
export class Purges {
  readonly #options: PurgesOptions;
  readonly #stopping = new AbortController();
  /** By syncpoint, why nothing of it can be purged by this user. */
  readonly #refusals = new Map<SyncpointId, string>();
  readonly #aliveTries = new Map<number, number>();
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isPaused = false;

  constructor(options: PurgesOptions) {
    this.#options = options;
  }

  /** What is to be purged and is not yet. */
  get pendingCount(): number {
    return this.#options.journal.tree.purges().length;
  }

  /** Why something was left in the trash, once a syncpoint. */
  refusals(): readonly string[] {
    return [...this.#refusals.values()];
  }

  /** Goes on with what there is; at the start with what earlier processes left. */
  nudge(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isPaused || this.#stopping.signal.aborted) return;
    this.#running ??= this.#run()
      .catch((error: unknown) => {
        // It could not be written down, on a full disk for example: what is purged already is asked for once more, and is gone then.
        log('purging goes on later: %O', error);
        this.#tryLater();
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.nudge();
  }

  /** Resolves when nothing is being purged, all of it being done or to be tried later, or with the signal. */
  async flush(signal: AbortSignal): Promise<void> {
    this.nudge();
    const aborted = deferred<undefined>();
    const onAbort = (): void => aborted.resolve(undefined);
    signal.addEventListener('abort', onAbort, { once: true });
    await Promise.race([this.#running, aborted.promise]);
    signal.removeEventListener('abort', onAbort);
  }

  /** Ends what is under way; what is left goes on in the next process. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the drive is being stopped'));
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    // What comes meanwhile is taken with the next look.
    for (let left = this.#due(); left.length > 0; left = this.#due()) {
      for (const purge of left) {
        if (this.#isPaused || this.#stopping.signal.aborted) return;
        if (!(await this.#purge(purge))) {
          this.#tryLater();
          return;
        }
      }
    }
  }

  /** What may be purged now. */
  #due(): Purge[] {
    const { journal } = this.#options;
    const all = journal.tree.purges();
    const due = all.filter((purge) => !(purge.kind === 'file' ? journal.isOpen(purge.inode) : journal.isRemovedOpen()));
    if (due.length < all.length) this.#tryLater();
    return due;
  }

  #tryLater(): void {
    if (this.#stopping.signal.aborted) return;
    this.#timer ??= setTimeout(() => this.nudge(), AGAIN_AFTER_MS).unref();
  }

  /** False: it has to be tried later, and so has all the rest. */
  async #purge(purge: Purge): Promise<boolean> {
    const { drive } = this.#options;
    const { signal } = this.#stopping;
    if (!this.#refusals.has(purge.syncpointId)) {
      try {
        await drive.purge(purge, { signal, callClass: 'commit' });
        log('%s is purged', purge.path);
      } catch (error) {
        if (isAbort(error, signal)) return false;
        if (!this.#isOver(purge, error)) return false;
      }
    }
    this.#aliveTries.delete(purge.inode);
    this.#options.journal.change('push', (transaction) => transaction.removePurge(purge.inode));
    return true;
  }

  /** True where trying again would change nothing. */
  #isOver(purge: Purge, error: unknown): boolean {
    const { message } = error instanceof Error ? error : new Error(String(error));
    const kind = error instanceof RemoteError ? error.kind : undefined;
    log('%s cannot be purged: %s', purge.path, message);
    if (kind !== undefined && passing.has(kind)) return false;
    if (kind === 'conflict') {
      const tries = (this.#aliveTries.get(purge.inode) ?? 0) + 1;
      this.#aliveTries.set(purge.inode, tries);
      return tries >= ALIVE_TRIES;
    }
    // There is nothing left to be purged.
    if (kind === 'not-found') return true;
    const all = kind === 'forbidden' ? ' and what else is removed in its syncpoint' : '';
    const reason = `${purge.path}${all} stays in the trash: ${message}`;
    if (kind === 'forbidden') this.#refusals.set(purge.syncpointId, reason);
    console.error(`${new Date().toISOString()} ${reason}`);
    return true;
  }
}
