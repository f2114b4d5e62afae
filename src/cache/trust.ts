// Whether a folder's listing is still what the service has. Where the service tells each syncpoint's last event, a listing is good for as
// long as the event is the one it was taken under, also over remounts; else for a lifetime. Promises that nothing is trusted on the word of
// a clock alone. Makes no calls; whoever asks for the events says when.
import type { Journal } from './journal.ts';
import { ROOT_INODE, type ListingState, type TreeDirectory } from './tree.ts';
import { Tops } from './tree/tops.ts';

/** What the kernel may keep of a folder that is known to be unchanged: it is told when it changes. */
const KERNEL_LIFETIME_MS = 3_600_000;
/** What was listed so long ago is looked at again behind whoever asks; until then it is good. */
const OLD_LIFETIME_MS = 60_000;
/** Listings may lag behind events by seconds: so long after an event was seen, a listing may not have it yet. */
const LAG_MS = 30_000;
/** Such a listing is believed for this long. */
const LAGGING_LIFETIME_MS = 5_000;
/** Events of our own changes may come late: they are taken for ours for this long. */
const OWN_EVENT_LATE_MS = 10_000;
/** Who has not changed anything for this long is done with it for now. */
const AT_REST_MS = 2_000;
/** A program that changed something so lately goes on: what it does next is an event as well. */
const GOING_ON_MS = 500;
/** Who does not come to rest within this is not waited for. */
const RESTLESS_MS = 30_000;

/** Settings of {@link Trust}. */
export interface TrustOptions {
  readonly journal: Journal;
  /** How long a listing is trusted where no events are told. */
  readonly lifetimeMs: number;
  /** How long events alone are believed: some may not be told. */
  readonly backstopMs: number;
  /** How often the service is asked for events; 0: never, and they prove nothing. */
  readonly pollIntervalMs: number;
}

/**
 * `fresh`: good, and the kernel may keep it for so long. `old`: unchanged as far as events tell, for longer than they are believed.
 * `suspect`: something in its syncpoint changed since; `own`: as far as is known, by us. `unconfirmed`: nobody asked for events lately.
 * `due`: its lifetime is over, or it turned out to be wrong. `unlisted`: never listed.
 */
export type Standing =
  | { readonly kind: 'fresh'; readonly forMs: number }
  | { readonly kind: 'suspect'; readonly own: boolean }
  | { readonly kind: 'old' | 'unconfirmed' | 'due' | 'unlisted' };

const UNLISTED: Standing = { kind: 'unlisted' };
const UNCONFIRMED: Standing = { kind: 'unconfirmed' };
const DUE: Standing = { kind: 'due' };
const OLD: Standing = { kind: 'old' };

/** Both clocks: the wall's goes on while the machine sleeps, the other one is never set. */
interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export class Trust {
  readonly #options: TrustOptions;
  readonly #tops: Tops;
  /** So long after an event was seen, a listing may not have it yet, ms. */
  readonly eventLagMs: number;
  /** When the events were last asked for with success. */
  #confirmed: Moment | undefined;
  /** Syncpoints' top directories by inode: when another event was seen, and whose it was. */
  readonly #moved = new Map<number, { readonly atMs: number; readonly own: boolean }>();
  /** Our own changes by syncpoint: those under way, when the last one ended, and the first one since we were at rest began, monotonic ms. */
  readonly #own = new Map<string, { underWay: number; endedMs: number; begunMs: number }>();
  readonly #movedListeners = new Set<(top: TreeDirectory, own: boolean) => void>();

  constructor(options: TrustOptions) {
    this.#options = options;
    const { tree } = options.journal;
    this.#tops = new Tops(tree);
    this.eventLagMs = Math.min(LAG_MS, options.journal.lagWindowMs);
    tree.onChange((change) => {
      if (change.kind !== 'changed' || change.current.kind !== 'directory' || change.previous.kind !== 'directory')
        return;
      const { previous, current } = change;
      if (current.syncpoint?.lastEvent === previous.syncpoint?.lastEvent) return;
      this.#sawEvent(current);
    });
  }

  /** Tells each syncpoint in which something happened, after the tree has its new event; `own`: by us, as far as is known. */
  onMoved(listener: (top: TreeDirectory, own: boolean) => void): void {
    this.#movedListeners.add(listener);
  }

  /** The events were asked for at that time, and the answer is in the tree. */
  confirmed(asked: Moment): void {
    this.#confirmed = asked;
  }

  /** A change of ours is on its way to a syncpoint. Returns what to call when it has ended, one way or the other. */
  changing(syncpointId: string): () => void {
    const own = this.#own.get(syncpointId) ?? { underWay: 0, endedMs: -Infinity, begunMs: -Infinity };
    this.#own.set(syncpointId, own);
    const now = performance.now();
    if (own.underWay === 0 && now - own.endedMs >= AT_REST_MS) own.begunMs = now;
    own.underWay += 1;
    return () => {
      own.underWay -= 1;
      own.endedMs = performance.now();
    };
  }

  /**
   * True where a change of ours in that syncpoint is over, none is under way, nor about to be, and the events were not asked for since.
   */
  missesOwnEvents(syncpointId: string): boolean {
    const own = this.#own.get(syncpointId);
    const { pollIntervalMs, journal } = this.#options;
    if (pollIntervalMs === 0 || own === undefined || own.underWay > 0 || journal.sinceLocalChangeMs < GOING_ON_MS) {
      return false;
    }
    return own.endedMs >= (this.#confirmed?.monotonicMs ?? -Infinity);
  }

  /**
   * False while we change things in a folder's syncpoint, half a minute long at most: whatever is listed there now is to be listed again
   * after that.
   */
  isAtRest(directory: number): boolean {
    const node = this.#options.journal.tree.node(directory);
    const syncpointId = node === undefined ? undefined : this.#tops.above(node)?.remote?.syncpointId;
    const own = syncpointId === undefined ? undefined : this.#own.get(syncpointId);
    if (own === undefined) return true;
    const now = performance.now();
    return (own.underWay === 0 && now - own.endedMs >= AT_REST_MS) || now - own.begunMs >= RESTLESS_MS;
  }

  /** For how long the events were not asked for with success, ms. */
  get eventsAgeMs(): number {
    return this.#confirmed === undefined ? Infinity : performance.now() - this.#confirmed.monotonicMs;
  }

  /** How a folder's listing stands now. */
  standing(directory: number): Standing {
    const listing = this.#options.journal.tree.listing(directory);
    if (listing === undefined) return UNLISTED;
    const standing = this.#of(directory, listing);
    if (listing.againAtMs === undefined || !['fresh', 'old'].includes(standing.kind)) return standing;
    const leftMs = listing.againAtMs - Date.now();
    // It is never so far ahead, but for clocks that were set back.
    if (leftMs <= 0 || leftMs > this.#options.journal.lagWindowMs) return { kind: 'suspect', own: true };
    return standing.kind === 'fresh' ? { kind: 'fresh', forMs: Math.min(standing.forMs, leftMs) } : standing;
  }

  #of(directory: number, listing: ListingState): Standing {
    const { journal, lifetimeMs, pollIntervalMs } = this.#options;
    const { tree } = journal;
    const record = journal.get(directory);
    // The service has no such folder yet: everything in it is known.
    if (record !== undefined && record.at === undefined) return { kind: 'fresh', forMs: KERNEL_LIFETIME_MS };
    // It turned out to be wrong, whatever events say.
    if (listing.listedAtMs === 0) return DUE;
    const ageMs = Date.now() - listing.listedAtMs;
    if (pollIntervalMs > 0) {
      if (directory === ROOT_INODE) return this.#isConfirmed() ? { kind: 'fresh', forMs: KERNEL_LIFETIME_MS } : DUE;
      const node = tree.node(directory);
      const top = node === undefined ? undefined : this.#tops.above(node);
      if (top?.syncpoint?.lastEvent !== undefined) {
        return this.#byEvent(listing, ageMs, top.inode, top.syncpoint.lastEventMoment);
      }
    }
    // A wall clock set back makes a listing look younger than it is: then it is due.
    return ageMs < 0 || ageMs >= lifetimeMs ? DUE : { kind: 'fresh', forMs: lifetimeMs - ageMs };
  }

  /** How long the kernel may keep what it learns of a folder's entries; 0: until it asks next. */
  keptMs(directory: number): number {
    const standing = this.standing(directory);
    if (standing.kind === 'old') return OLD_LIFETIME_MS;
    return standing.kind === 'fresh' ? standing.forMs : 0;
  }

  #byEvent(listing: ListingState, ageMs: number, top: number, lastEventMoment: number): Standing {
    const moved = this.#moved.get(top);
    if (listing.moment < lastEventMoment) return { kind: 'suspect', own: moved?.own ?? false };
    if (!this.#isConfirmed()) return UNCONFIRMED;
    if (moved?.own === false && listing.listedAtMs < moved.atMs + this.eventLagMs) {
      const believed = LAGGING_LIFETIME_MS - ageMs;
      const isSoon = Date.now() < moved.atMs + this.eventLagMs;
      return isSoon && believed > 0 && ageMs >= 0
        ? { kind: 'fresh', forMs: believed }
        : { kind: 'suspect', own: false };
    }
    const { backstopMs } = this.#options;
    if (ageMs < 0 || ageMs >= backstopMs) return OLD;
    return { kind: 'fresh', forMs: Math.min(KERNEL_LIFETIME_MS, backstopMs - ageMs) };
  }

  /** Lately enough for two polls to have failed unnoticed, no longer. */
  #isConfirmed(): boolean {
    if (this.#confirmed === undefined) return false;
    const limitMs = 2 * this.#options.pollIntervalMs + 5_000;
    const wallMs = Date.now() - this.#confirmed.wallMs;
    const monotonicMs = performance.now() - this.#confirmed.monotonicMs;
    return monotonicMs <= limitMs && wallMs <= limitMs && wallMs >= -limitMs;
  }

  #sawEvent(top: TreeDirectory): void {
    const own = this.#own.get(top.remote?.syncpointId ?? '');
    const sinceMs = (this.#confirmed?.monotonicMs ?? performance.now()) - OWN_EVENT_LATE_MS;
    const now = Date.now();
    const before = this.#moved.get(top.inode);
    const isOurs = own !== undefined && (own.underWay > 0 || own.endedMs >= sinceMs);
    // Behind a listing that lags there may still be what others did a moment ago. What we do meanwhile makes that no later: else all that
    // we do without a pause would be taken for theirs.
    const isAlsoOthers = before?.own === false && now - before.atMs < this.eventLagMs;
    const isOwn = isOurs && !isAlsoOthers;
    this.#moved.set(top.inode, { atMs: isOurs && isAlsoOthers ? Math.min(before.atMs, now) : now, own: isOwn });
    for (const listener of this.#movedListeners) listener(top, isOwn);
  }
}
