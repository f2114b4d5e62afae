// Long work in slices, so that others get the event loop in between.
import { performance } from 'node:perf_hooks';

/** Below what a program waiting for another answer would notice, with room for the slice's last step on a slow core. */
const SLICE_MS = 6;

/** Resolves in the next turn of the event loop, after waiting I/O had its say. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Tells long work when to let others in: `if (slices.due) await slices.pause();` between its steps. */
export class Slices {
  #begun = performance.now();

  /** True when the present slice has had its time. */
  get due(): boolean {
    return performance.now() - this.#begun > SLICE_MS;
  }

  /** Lets others in and begins the next slice. */
  async pause(): Promise<void> {
    await nextTurn();
    this.#begun = performance.now();
  }
}
