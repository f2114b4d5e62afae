// Looks again at the folders that clients were told, so that the event of a syncpoint tells what others do in the host's directory.
// Looking, not the host's notifications: those are limited in number, lost under load, and silent for mapped memory and for
// disks of other machines. Promises: looking takes no more than a fiftieth of the time, where nothing is found. Must not know: what a
// change is.

export interface DirectoryWatchOptions {
  /** Looks at one folder; what changed in it is counted as an event. */
  readonly look: (syncpointId: number, folderId: number) => Promise<unknown>;
  /** Monotonic; for tests. */
  readonly nowMs?: (() => number) | undefined;
}

// Of looking itself: 0.1 s for ten thousand files is done every 5 s at most.
const PAUSE_PER_LOOK = 50;
// Who asks waits as long for the look at a large directory, then is told of what it found by then.
const WAIT_MAX_MS = 1_000;

export class DirectoryWatch {
  readonly #look: DirectoryWatchOptions['look'];
  readonly #nowMs: () => number;
  readonly #told = new Map<number, number>();
  #looking: Promise<void> | undefined;
  #nextAt = -Infinity;
  /** Of one folder, in the look before. */
  #tookMs = Infinity;
  #ended = false;

  constructor({ look, nowMs = () => performance.now() }: DirectoryWatchOptions) {
    this.#look = look;
    this.#nowMs = nowMs;
  }

  /** A folder's listing was given. */
  told(syncpointId: number, folderId: number): void {
    this.#told.set(folderId, syncpointId);
  }

  /** Whether a listing of the folder was given since the start: a change in it is one that somebody does not know. */
  wasTold(folderId: number): boolean {
    return this.#told.has(folderId);
  }

  forget(folderId: number): void {
    this.#told.delete(folderId);
  }

  /** Looks at what was told, unless that was done lately. Rejects as a look does. */
  async look(): Promise<void> {
    if (this.#looking === undefined) {
      if (this.#nowMs() < this.#nextAt) return;
      // Not in the look itself: that ends at once where nothing was told yet.
      this.#looking = this.#lookAtAll().finally(() => (this.#looking = undefined));
    }
    let timer: NodeJS.Timeout | undefined;
    const waited = new Promise<void>((resolve) => (timer = setTimeout(resolve, WAIT_MAX_MS)));
    try {
      await Promise.race([this.#looking, waited]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Looks no more; resolves when a look under way is over. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.allSettled([this.#looking]);
  }

  async #lookAtAll(): Promise<void> {
    const began = this.#nowMs();
    const told = [...this.#told];
    try {
      for (const [folderId, syncpointId] of told) {
        if (this.#ended) return;
        await this.#look(syncpointId, folderId);
      }
    } finally {
      const ended = this.#nowMs();
      if (told.length > 0) {
        const tookMs = (ended - began) / told.length;
        // What is found is written down, folder by folder, and waits for the disk: whoever is told of that would wait fifty times as
        // long for what happens next. The look before tells what looking alone takes.
        this.#nextAt = ended + Math.min(tookMs, this.#tookMs) * told.length * PAUSE_PER_LOOK;
        this.#tookMs = tookMs;
      }
    }
  }
}
