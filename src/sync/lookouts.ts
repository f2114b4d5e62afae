// Uploads that were begun and whose outcome nobody told: how often listings were looked at for them, and when to look next. J3: until
// then nothing is sent again, and nothing given up.

/** When listings are looked at, ms after the last look: they may lag for some seconds, and never longer than all of these together. */
const LOOKS_AFTER_MS = [0, 1_000, 2_000, 4_000, 8_000] as const;

interface Lookout {
  looks: number;
  nextAtMs: number;
  /** How often all these looks were in vain. */
  givenUp: number;
}

export class Lookouts {
  readonly #lookouts = new Map<number, Lookout>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** When to look for an object next, steady clock, ms; undefined: it was looked for long enough. */
  nextAtMs(inode: number): number | undefined {
    const lookout = this.#lookouts.get(inode);
    if (lookout === undefined) return this.#nowMs();
    return lookout.looks >= LOOKS_AFTER_MS.length ? undefined : lookout.nextAtMs;
  }

  /** An outcome without ids is worth a look after this: others of the same folder may come meanwhile, and one listing tells all. */
  delayed(inode: number, pauseMs: number): void {
    this.#lookouts.set(inode, { looks: 0, nextAtMs: this.#nowMs() + pauseMs, givenUp: this.timesInVain(inode) });
  }

  /** It was looked for, in vain. */
  looked(inode: number): void {
    const looks = (this.#lookouts.get(inode)?.looks ?? 0) + 1;
    const nextAtMs = this.#nowMs() + (LOOKS_AFTER_MS[looks] ?? 0);
    this.#lookouts.set(inode, { looks, nextAtMs, givenUp: this.timesInVain(inode) });
  }

  /** It was looked for long enough. Returns how often by now. */
  gaveUp(inode: number): number {
    const givenUp = this.timesInVain(inode) + 1;
    this.#lookouts.set(inode, { looks: 0, nextAtMs: this.#nowMs(), givenUp });
    return givenUp;
  }

  /** How often it was looked for long enough. */
  timesInVain(inode: number): number {
    return this.#lookouts.get(inode)?.givenUp ?? 0;
  }

  forget(inode: number): void {
    this.#lookouts.delete(inode);
  }
}
