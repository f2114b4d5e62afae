// What a verb owes to the service before it answers: nothing, unless the mount writes through. Knows no calls; whoever stores changes
// tells when and whether it did.
import type { Answer, Caller } from './operations.ts';
import type { Waits } from './waits.ts';

/** What stores local changes, as the file system sees it. */
export interface Storing {
  /** Somebody wants what is pending to be stored soon. */
  nudge(): void;
  /** Resolves when what was changed of these inodes so far is stored; rejects with the RemoteError that keeps it from being. */
  settled(inodes: readonly number[], signal: AbortSignal): Promise<void>;
  /** True while a change of this inode is on its way. */
  sending?(inode: number): boolean;
}

/** Storing takes as long as the line does: only an interrupt ends such a wait. Timers take no more. */
const UNLIMITED_MS = 2 ** 31 - 1;

/** Waits for the service where the mount writes through, and hurries it where somebody asked. */
export class Stored {
  readonly #storing: Storing | undefined;
  readonly #writeThrough: boolean;
  readonly #waits: Waits;
  readonly #pathOf: (inode: number) => string;

  constructor(storing: Storing | undefined, writeThrough: boolean, waits: Waits, pathOf: (inode: number) => string) {
    this.#pathOf = pathOf;
    this.#storing = storing;
    this.#writeThrough = writeThrough;
    this.#waits = waits;
  }

  /** With --write-through, answers when the inodes' changes are stored, or fails as that failed; else at once. */
  wait(verb: string, inodes: readonly number[], caller: Caller): Answer<void> {
    const storing = this.#storing;
    if (storing === undefined || !this.#writeThrough) return undefined;
    storing.nudge();
    const path = (): string => this.#pathOf(inodes[0] ?? 0);
    return this.#waits.run(verb, path, caller, (signal) => storing.settled(inodes, signal), UNLIMITED_MS);
  }

  nudge(): void {
    this.#storing?.nudge();
  }

  sending(inode: number): boolean {
    return this.#storing?.sending?.(inode) ?? false;
  }
}
