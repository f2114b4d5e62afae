// What a request to pin waits for: the folders and files that it asked for, until each was brought or failed. Knows nothing of either.
import { waitFor } from '../../base/abort.ts';
import { deferred } from '../../base/deferred.ts';

/** What is brought: a folder's listing, a file's content. */
export type PinnedKind = 'directory' | 'file';

/** A folder or file that could not be brought, and why. */
export interface NotKept {
  readonly inode: number;
  readonly reason: string;
}

/** One request. What a folder holds is added before the folder itself has ended. */
export class PinJob {
  readonly failed: NotKept[] = [];
  readonly #left: Record<PinnedKind, number> = { directory: 0, file: 0 };
  readonly #listed = deferred<undefined>();
  readonly #done = deferred<undefined>();

  began(kind: PinnedKind): void {
    this.#left[kind] += 1;
  }

  ended(kind: PinnedKind, failure?: NotKept): void {
    this.#left[kind] -= 1;
    if (failure !== undefined) this.failed.push(failure);
    this.#look();
  }

  /** Resolves when all that it is about is known. Rejects with the signal's reason. */
  async listed(signal: AbortSignal): Promise<void> {
    this.#look();
    await waitFor(this.#listed.promise, signal);
  }

  /** Resolves when all of it was brought, or failed. Rejects with the signal's reason. */
  async done(signal: AbortSignal): Promise<void> {
    this.#look();
    await waitFor(this.#done.promise, signal);
  }

  #look(): void {
    if (this.#left.directory > 0) return;
    this.#listed.resolve(undefined);
    if (this.#left.file === 0) this.#done.resolve(undefined);
  }
}
