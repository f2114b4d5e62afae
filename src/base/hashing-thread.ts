// SHA-256 on a thread of its own, one for the process, for contents that come in large pieces: hashing one takes longer than writing or
// sending it, on a processor without instructions for it several times as long, and everybody else would wait for that. Bytes go through
// a few slots of shared memory, so that whoever asks for a digest waits for little: at most what these hold. The thread begins with the
// first hash and does not keep the process. Knows nothing of contents.
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { createLog } from './log.ts';

const log = createLog('hashing');

/** As much as a program writes at a time through the kernel. */
const slotBytes = 2 ** 20;
/** A power of two. Four megabytes are hashed within 15 ms on a slow processor. */
const slotCount = 4;
/** A thread that has not moved for so long does not live any more. */
const defaultPatienceMs = 20_000;
const digestBytes = 32;

const at = { put: 0, taken: 1, wanted: 2 } as const;
const order = { update: 0, digest: 1, close: 2 } as const;

/** The hash of bytes that come one after the other. */
export interface GrowingHash {
  /** On a thread of its own; else updating it takes time. */
  readonly isBeside: boolean;
  /** These bytes come next; they may change after that. */
  update(bytes: Uint8Array): void;
  /** 64 lower-case hex digits of all bytes so far, which more may follow; undefined where the thread has failed. */
  digest(): string | undefined;
  /** Nothing comes or is asked any more. */
  close(): void;
}

/** A thread that hashes. */
export class HashingThread {
  readonly #control = new Int32Array(new SharedArrayBuffer(4 * Object.keys(at).length));
  readonly #orders = new Int32Array(new SharedArrayBuffer(4 * 3 * slotCount));
  readonly #bytes = new Uint8Array(new SharedArrayBuffer(slotCount * slotBytes));
  readonly #worker: Worker;
  /** Who comes on when a slot is free, in this order. */
  readonly #waiting: (() => void)[] = [];
  readonly #patienceMs: number;
  #put = 0;
  #lastId = 0;
  #broken = false;

  /** `program` and `patienceMs` are for tests. */
  constructor(program = new URL('./hashing-worker.mjs', import.meta.url), patienceMs = defaultPatienceMs) {
    this.#patienceMs = patienceMs;
    this.#worker = new Worker(program, {
      workerData: { control: this.#control, orders: this.#orders, bytes: this.#bytes, slotBytes, at, order },
      // It holds a few objects.
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
    });
    this.#worker.unref();
    this.#worker.on('message', () => this.#roomCame());
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('the thread ended')));
  }

  /** A hash on this thread; where that has failed, in the one that asks. */
  begin(): GrowingHash {
    if (this.#broken) return hashHere();
    const id = (this.#lastId = (this.#lastId + 1) | 0);
    return {
      isBeside: true,
      update: (bytes) => {
        for (let from = 0; from < bytes.length; from += slotBytes)
          this.#order(order.update, id, bytes.subarray(from, from + slotBytes));
      },
      digest: () => this.#result(this.#order(order.digest, id)),
      close: () => void this.#order(order.close, id),
    };
  }

  /**
   * Resolves when a piece would not have to wait; undefined where it would not now. Whoever can wait without holding up others asks, and goes
   * on one after the other.
   */
  room(): Promise<void> | undefined {
    if (this.#free() > 0) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#askForRoom();
    });
  }

  /** Waits for a free slot, and has it served. Returns which one it is. */
  #order(what: number, id: number, content?: Uint8Array): number {
    this.#waitUntil(slotCount - 1);
    const slot = this.#put & (slotCount - 1);
    this.#orders.set([what, id, content?.length ?? 0], slot * 3);
    if (content !== undefined) this.#bytes.set(content, slot * slotBytes);
    this.#put = (this.#put + 1) | 0;
    Atomics.store(this.#control, at.put, this.#put);
    Atomics.notify(this.#control, at.put);
    return slot;
  }

  /** The digest in the slot of the latest order. */
  #result(slot: number): string | undefined {
    this.#waitUntil(0);
    if (this.#broken) return undefined;
    return Buffer.from(this.#bytes.subarray(slot * slotBytes, slot * slotBytes + digestBytes)).toString('hex');
  }

  #free(): number {
    return this.#broken ? slotCount : slotCount - ((this.#put - Atomics.load(this.#control, at.taken)) | 0);
  }

  /** Waits until at most so many orders are left. */
  #waitUntil(left: number): void {
    while (!this.#broken) {
      const taken = Atomics.load(this.#control, at.taken);
      if (((this.#put - taken) | 0) <= left) return;
      if (Atomics.wait(this.#control, at.taken, taken, this.#patienceMs) === 'timed-out')
        this.#fail(new Error(`the thread stood still for ${this.#patienceMs / 1000} s`));
    }
  }

  #askForRoom(): void {
    Atomics.store(this.#control, at.wanted, 1);
    // It may have come before that was seen.
    if (this.#free() > 0) this.#roomCame();
  }

  #roomCame(): void {
    for (const resolve of this.#waiting.splice(0, this.#free())) resolve();
    if (this.#waiting.length > 0) this.#askForRoom();
  }

  #fail(error: Error): void {
    if (this.#broken) return;
    log('no content is hashed beside the rest from here on: %O', error);
    this.#broken = true;
    void this.#worker.terminate();
    this.#roomCame();
  }
}

let thread: HashingThread | undefined;

/** A hash on the process's thread. */
function hashOnThread(): GrowingHash {
  try {
    thread ??= new HashingThread();
  } catch (error) {
    log('no thread can be begun: %O', error);
    return hashHere();
  }
  return thread.begin();
}

/** {@link HashingThread.room} of that. */
export function hashingRoom(): Promise<void> | undefined {
  return thread?.room();
}

/** Bytes from this many on, at once or altogether, are better hashed on the thread: as programs that copy write them. */
const threadBytesMin = 128 * 1024;

/** A hash for so many bytes: on the thread, or, where handing them over would take as long, in this one. */
export function growingHash(lengthBytes: number): GrowingHash {
  return lengthBytes < threadBytesMin ? hashHere() : hashOnThread();
}

/** SHA-256 of so many bytes, which can be read again where the thread fails. 64 lower-case hex digits. Rejects as reading does. */
export async function sha256Of(lengthBytes: number, read: () => AsyncIterable<Uint8Array>): Promise<string> {
  return (await digestOf(read(), growingHash(lengthBytes))) ?? ((await digestOf(read(), hashHere())) as string);
}

async function digestOf(pieces: AsyncIterable<Uint8Array>, hash: GrowingHash): Promise<string | undefined> {
  try {
    for await (const piece of pieces) {
      hash.update(piece);
      if (hash.isBeside) await hashingRoom();
    }
    return hash.digest();
  } finally {
    hash.close();
  }
}

function hashHere(): GrowingHash {
  const hash = createHash('sha256');
  return {
    isBeside: false,
    update: (bytes) => void hash.update(bytes),
    digest: () => hash.copy().digest('hex'),
    close: () => undefined,
  };
}
