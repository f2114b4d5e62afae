// A gate of bytes: who enters holds its bytes until it leaves, and waits in line when they do not fit. Promises order of
// arrival (a large one is not overtaken by small ones), that one alone always gets in however large, and that one owner's
// waiting does not shut out the others. Knows nothing of reads or blocks.
import { abortReason } from '../../base/abort.ts';

/** Of the gate, what one owner may hold: a file whose server hangs leaves the rest to others. */
const ownerShare = 3 / 4;

interface Waiting {
  readonly owner: object;
  readonly bytes: number;
  readonly grant: () => void;
  readonly refuse: (error: Error) => void;
}

export class ByteGate {
  readonly #bytesMax: number;
  readonly #ownerBytesMax: number;
  #usedBytes = 0;
  readonly #usedBy = new Map<object, number>();
  /** In order of arrival. As long as its callers are many: each is a request somebody waits for. */
  readonly #line = new Set<Waiting>();
  #closed: Error | undefined;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#ownerBytesMax = bytesMax * ownerShare;
  }

  /** Bytes of all who are in. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Undefined when the caller is in at once, else a promise of that; rejects with the signal's reason, or with the error of
   * {@link close}. Each entrance must be followed by a {@link leave}.
   */
  enter(owner: object, bytes: number, signal: AbortSignal | undefined): Promise<void> | undefined {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#line.size === 0 && this.#fits(bytes) && this.#fitsOwner(owner, bytes)) {
      this.#take(owner, bytes);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const end = (): void => {
        signal?.removeEventListener('abort', onAbort);
        this.#line.delete(waiting);
      };
      const waiting: Waiting = {
        owner,
        bytes,
        grant: () => {
          end();
          this.#take(owner, bytes);
          resolve();
        },
        refuse: (error) => {
          end();
          reject(error);
        },
      };
      const onAbort = (): void => {
        waiting.refuse(abortReason(signal as AbortSignal));
        // Those behind it may fit.
        this.#advance();
      };
      this.#line.add(waiting);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#advance();
    });
  }

  leave(owner: object, bytes: number): void {
    this.#usedBytes -= bytes;
    const left = (this.#usedBy.get(owner) ?? bytes) - bytes;
    if (left > 0) this.#usedBy.set(owner, left);
    else this.#usedBy.delete(owner);
    this.#advance();
  }

  /** Refuses all who wait and all who come. */
  close(error: Error): void {
    this.#closed = error;
    for (const waiting of [...this.#line]) waiting.refuse(error);
  }

  #advance(): void {
    const passedOver = new Set<object>();
    for (const waiting of this.#line) {
      if (passedOver.has(waiting.owner)) continue;
      if (!this.#fitsOwner(waiting.owner, waiting.bytes)) passedOver.add(waiting.owner);
      else if (this.#fits(waiting.bytes)) waiting.grant();
      else return;
    }
  }

  #fits(bytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + bytes <= this.#bytesMax;
  }

  #fitsOwner(owner: object, bytes: number): boolean {
    const used = this.#usedBy.get(owner) ?? 0;
    return used === 0 || used + bytes <= this.#ownerBytesMax;
  }

  #take(owner: object, bytes: number): void {
    this.#usedBytes += bytes;
    this.#usedBy.set(owner, (this.#usedBy.get(owner) ?? 0) + bytes);
  }
}
