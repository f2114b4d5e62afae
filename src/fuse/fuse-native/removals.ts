// Unlinks that are put off for some milliseconds. libfuse renames what is open before it is unlinked, and also before another file is
// renamed over it; only the next request tells which. Done at once, the second would be a removal and a new file, with a moment
// without either; put off, it is one replacement. Whatever could see that the name is still there has it removed first.
import { createLog } from '../../base/log.ts';
import type { Caller, NodeId, NodePlace, Operations } from '../../fs-ops/operations.ts';
import type { Held } from './open-name.ts';

const log = createLog('fuse');

/** The rename that follows comes within a fraction of a millisecond: the same thread of libfuse sends it. */
const PUT_OFF_MS = 5;

interface Removal {
  readonly place: NodePlace;
  readonly directory: Held;
  readonly timer: NodeJS.Timeout;
  /** Once it has begun. */
  done: Promise<void> | undefined;
}

export class Removals {
  readonly #operations: Operations;
  readonly #waiting = new Map<string, Removal>();

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  /** Removes this name soon. Takes the held directory over. */
  putOff(place: NodePlace, directory: Held): void {
    const key = keyOf(place);
    // A turn more: what the kernel sent while this loop was busy comes first.
    const timer = setTimeout(() => setImmediate(() => void this.settle(place)), PUT_OFF_MS);
    this.#waiting.set(key, { place, directory, timer, done: undefined });
  }

  /** Something is renamed to this name: that replaces what is there. */
  async replace(place: NodePlace): Promise<void> {
    const removal = this.#waiting.get(keyOf(place));
    if (removal === undefined) return;
    if (removal.done !== undefined) {
      await removal.done;
      return;
    }
    this.#end(removal);
  }

  /** Resolves when no removal of this name waits. */
  async settle(place: NodePlace): Promise<void> {
    const removal = this.#waiting.size === 0 ? undefined : this.#waiting.get(keyOf(place));
    if (removal !== undefined) await this.#run(removal);
  }

  /** The same for all names in a directory. */
  async settleIn(directory: NodeId): Promise<void> {
    for (const removal of [...this.#waiting.values()]) {
      if (removal.place.parent === directory) await this.#run(removal);
    }
  }

  async settleAll(): Promise<void> {
    for (const removal of [...this.#waiting.values()]) await this.#run(removal);
  }

  #run(removal: Removal): Promise<void> {
    removal.done ??= this.#remove(removal);
    return removal.done;
  }

  async #remove(removal: Removal): Promise<void> {
    const { parent, name } = removal.place;
    try {
      await this.#operations.unlink(parent, name, nobody);
    } catch (error) {
      log('%s in directory %d could not be removed after it was hidden: %s', name, parent, (error as Error).message);
    } finally {
      this.#end(removal);
    }
  }

  #end(removal: Removal): void {
    clearTimeout(removal.timer);
    this.#waiting.delete(keyOf(removal.place));
    removal.directory.release();
  }
}

/** Who asked has its answer already. */
const nobody: Caller = { uid: 0, gid: 0, pid: 0, signal: new AbortController().signal };

function keyOf({ parent, name }: NodePlace): string {
  return `${parent}/${name}`;
}
