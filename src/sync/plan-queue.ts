// What is to be planned, in the order it came, each once: in the next turn of the event loop, so that changes that come together are
// planned together, and so many at a time, so that other work of the process gets its turn.

/** Objects planned in one turn. */
const PLANS_PER_TURN = 200;

export class PlanQueue {
  readonly #inodes = new Set<number>();
  readonly #plan: (inode: number) => void;
  readonly #mayPlan: () => boolean;
  #turn: NodeJS.Immediate | undefined;
  #stopped = false;

  /** `mayPlan`: false leaves everything where it is, until the next `wake`. */
  constructor(plan: (inode: number) => void, mayPlan: () => boolean) {
    this.#plan = plan;
    this.#mayPlan = mayPlan;
  }

  /** To be planned with the next turn that somebody wakes. */
  add(inode: number): void {
    this.#inodes.add(inode);
  }

  planSoon(inodes: Iterable<number>): void {
    for (const inode of inodes) this.#inodes.add(inode);
    this.wake();
  }

  /** The next turn plans. */
  wake(): void {
    if (this.#stopped || this.#turn !== undefined) return;
    this.#turn = setImmediate(() => {
      this.#turn = undefined;
      this.#planSome();
    });
  }

  stop(): void {
    this.#stopped = true;
    clearImmediate(this.#turn);
  }

  #planSome(): void {
    if (!this.#mayPlan()) return;
    let planned = 0;
    for (const inode of this.#inodes) {
      if (planned === PLANS_PER_TURN) {
        this.wake();
        break;
      }
      planned += 1;
      this.#inodes.delete(inode);
      this.#plan(inode);
    }
  }
}
