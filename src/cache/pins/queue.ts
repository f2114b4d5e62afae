// What the keeper has to do, in the order it came: folders and files that wait, with the requests that wait for them, and those that failed,
// until they are tried again. Knows neither service nor tree.
import type { PinJob, PinnedKind } from './jobs.ts';

/** A folder or file that waits, or is being brought. */
export interface Waiting {
  readonly kind: PinnedKind;
  readonly jobs: Set<PinJob>;
}

interface Trouble {
  readonly kind: PinnedKind;
  readonly reason: string;
}

export class PinQueue {
  readonly #waiting = { directory: new Map<number, Waiting>(), file: new Map<number, Waiting>() };
  /** What failed. */
  readonly #troubles = new Map<number, Trouble>();

  /** So many wait. */
  size(kind: PinnedKind): number {
    return this.#waiting[kind].size;
  }

  /** Has it brought, for these requests too. What failed before is worth another try. */
  add(kind: PinnedKind, inode: number, jobs: Iterable<PinJob>): void {
    this.#troubles.delete(inode);
    let waiting = this.#waiting[kind].get(inode);
    if (waiting === undefined) {
      waiting = { kind, jobs: new Set() };
      this.#waiting[kind].set(inode, waiting);
    }
    for (const job of jobs) {
      if (waiting.jobs.has(job)) continue;
      waiting.jobs.add(job);
      job.began(kind);
    }
  }

  /** Takes the next one out that is not `busy`. */
  take(kind: PinnedKind, busy: ReadonlyMap<number, Waiting>): readonly [inode: number, waiting: Waiting] | undefined {
    for (const [inode, waiting] of this.#waiting[kind]) {
      if (busy.has(inode)) continue;
      this.#waiting[kind].delete(inode);
      return [inode, waiting];
    }
    return undefined;
  }

  /** It failed; asked for anew meanwhile, it waits nevertheless. */
  failed(inode: number, { kind, jobs }: Waiting, reason: string): void {
    for (const job of jobs) job.ended(kind, { inode, reason });
    if (!this.#waiting[kind].has(inode)) this.#troubles.set(inode, { kind, reason });
  }

  /** All that waits fails for this reason. */
  failAll(reason: string): void {
    for (const waiting of [this.#waiting.directory, this.#waiting.file]) {
      for (const [inode, one] of waiting) {
        waiting.delete(inode);
        this.failed(inode, one, reason);
      }
    }
  }

  /** All that failed waits again. */
  again(): void {
    for (const [inode, { kind }] of [...this.#troubles]) this.add(kind, inode, []);
  }

  /** Nobody wants it any more. */
  forget(inode: number): void {
    this.#troubles.delete(inode);
  }

  failedInodes(): number[] {
    return [...this.#troubles.keys()];
  }

  /** How many folders failed, and the first reason of all. */
  troubles(): { readonly folders: number; readonly reason: string | undefined } {
    let folders = 0;
    let first: string | undefined;
    for (const { kind, reason } of this.#troubles.values()) {
      if (kind === 'directory') folders += 1;
      first ??= reason;
    }
    return { folders, reason: first };
  }
}
