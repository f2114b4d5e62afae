// Brings listings that nobody waits for: folders that were shown as they were known, because they may have changed. Few at once, at a pace
// by reason: calls are scarce. Promises an end: nothing is asked for twice, and what is too much is left to whoever opens it next.
import { isAbort } from '../base/abort.ts';
import { createLog } from '../base/log.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import type { CallClass } from '../remote-drive.ts';

const log = createLog('relisting');

/** Why a folder is looked at again: others changed something in its syncpoint, we did, it is old, or what is in it is to be kept here. */
export type RelistingReason = 'others' | 'own' | 'old' | 'pinned';

/** A tree that is walked while it changes: the rest is left to the next walk. */
const FOLDERS_MAX = 4_096;
const AT_ONCE_MAX = 4;
/** Whether we have come to rest somewhere is looked at so often. */
const REST_LOOK_MS = 1_000;

const paces: Readonly<
  Record<RelistingReason, { readonly burst: number; readonly perSecond: number; readonly callClass: CallClass }>
> = {
  others: { burst: 32, perSecond: 2, callClass: 'prefetch' },
  // Where nothing tells what an event was, each save of ours makes a whole tree suspect: a few calls for each, not a tree full. So many at
  // once that what others changed beside us in the folders in use is seen when we are done.
  own: { burst: 10, perSecond: 1 / 40, callClass: 'background' },
  old: { burst: 8, perSecond: 0.2, callClass: 'background' },
  // A fifteenth of the hour's calls, where others never come to rest.
  pinned: { burst: 16, perSecond: 0.2, callClass: 'background' },
};
/** Where calls cost nobody anything. */
const FREE_PACE = { burst: 100, perSecond: 100 } as const;
const reasons: readonly RelistingReason[] = ['others', 'own', 'old', 'pinned'];

export interface RelistingOptions {
  /** True where the folder is still worth a call. */
  readonly isWorthIt: (inode: number) => boolean;
  /** False while changes of ours go on around the folder: it would be listed in vain. */
  readonly isAtRest: (inode: number) => boolean;
  readonly refresh: (inode: number, callClass: CallClass) => Promise<void>;
  /** Calls cost nobody anything: there is one pace for all reasons. */
  readonly callsAreFree?: boolean | undefined;
  /** Monotonic; for tests. */
  readonly nowMs?: (() => number) | undefined;
}

export class Relisting {
  readonly #options: RelistingOptions;
  readonly #waiting: Readonly<Record<RelistingReason, Set<number>>> = {
    others: new Set(),
    own: new Set(),
    old: new Set(),
    pinned: new Set(),
  };
  readonly #buckets: Readonly<Record<RelistingReason, TokenBucket>>;
  #underWay = 0;
  /** Folders wait until we have come to rest; the timer looks whether we have. */
  #isRestless = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: RelistingOptions) {
    this.#options = options;
    const bucket = (reason: RelistingReason): TokenBucket =>
      new TokenBucket({ ...(options.callsAreFree === true ? FREE_PACE : paces[reason]), nowMs: options.nowMs });
    this.#buckets = { others: bucket('others'), own: bucket('own'), old: bucket('old'), pinned: bucket('pinned') };
  }

  /** Looks at a folder again when its turn comes; at once where few came before it. */
  add(inode: number, reason: RelistingReason): void {
    const waiting = this.#waiting[reason];
    if (this.#stopped || waiting.has(inode) || waiting.size >= FOLDERS_MAX) return;
    waiting.add(inode);
    // Else the timer, or the end of what is under way, comes to it.
    if (reason === 'own' && this.#isRestless) return;
    if (this.#buckets[reason].waitMs() === 0) this.#next();
    else if (this.#timer === undefined) this.#sleep(this.#buckets[reason].waitMs());
  }

  /** Folders that wait for their turn. */
  get size(): number {
    return reasons.reduce((total, reason) => total + this.#waiting[reason].size, 0);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #next(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isRestless = false;
    if (this.#stopped) return;
    const { isWorthIt, isAtRest } = this.#options;
    let waitMs = Infinity;
    for (const reason of reasons) {
      const waiting = this.#waiting[reason];
      let restMs = 0;
      for (const inode of waiting) {
        if (this.#underWay >= AT_ONCE_MAX) return;
        if (isWorthIt(inode)) {
          // What waits behind it is most often around it: thousands are not asked about once a second.
          if (reason === 'own' && !isAtRest(inode)) {
            restMs = REST_LOOK_MS;
            break;
          }
          if (!this.#buckets[reason].take()) break;
          this.#begin(inode, paces[reason].callClass);
        }
        waiting.delete(inode);
      }
      this.#isRestless ||= restMs > 0;
      if (waiting.size > 0) waitMs = Math.min(waitMs, Math.max(restMs, this.#buckets[reason].waitMs()));
    }
    if (waitMs !== Infinity) this.#sleep(waitMs);
  }

  #sleep(waitMs: number): void {
    this.#timer = setTimeout(() => this.#next(), Math.max(1, waitMs));
    this.#timer.unref();
  }

  #begin(inode: number, callClass: CallClass): void {
    this.#underWay += 1;
    this.#options
      .refresh(inode, callClass)
      .catch((error: unknown) => {
        // Whoever opens it is told.
        if (!isAbort(error)) log('inode %d: %s', inode, error instanceof Error ? error.message : error);
      })
      .finally(() => {
        this.#underWay -= 1;
        this.#next();
      });
  }
}
