// A committed generation, complete and immutable until it is closed: what an upload reads. Reads without holding up the event loop. Knows
// no service and no journal.
import { abortReason } from '../../base/abort.ts';
import { sha256Of } from '../../base/hashing-thread.ts';
import type { StagedContent } from '../tree/records.ts';
import { eachSegment, type Generation } from './generation.ts';
import type { StagedFiles } from './staged-files.ts';

/** Read and hashed at a time: 0.1 ms of hashing. */
const stepBytes = 256 * 1024;

/** Content that is complete and stays as it is until it is closed. */
export interface SealedContent {
  readonly lengthBytes: number;
  /**
   * What the journal may name from now on in place of what was sealed: the same generation without the service's version, which is no
   * longer needed to read it, and with its SHA-256 once that is known. Only this serves {@link Staging.keep}.
   */
  readonly staged: StagedContent;
  /** 64 lower-case hex digits. Rejects with StagingError, or with the signal's reason. */
  sha256(signal: AbortSignal): Promise<string>;
  /** Exactly the bytes [offsetBytes, offsetBytes + lengthBytes), in order; may be asked for again. Each piece is the reader's to keep. */
  read(offsetBytes: number, lengthBytes: number): AsyncIterable<Uint8Array>;
  /** Makes the bytes and their files' names safe against power loss. */
  makeDurable(): Promise<void>;
  /** From here on it may change. */
  close(): void;
}

/** A generation, complete and held. */
export class SealedGeneration implements SealedContent {
  readonly lengthBytes: number;
  readonly #generation: Generation;
  readonly #files: StagedFiles;
  readonly #sync: () => Promise<void>;
  readonly #onClose: () => void;
  #closed = false;

  constructor(
    generation: Generation,
    around: { readonly files: StagedFiles; readonly sync: () => Promise<void>; readonly onClose: () => void },
  ) {
    this.lengthBytes = generation.lengthBytes;
    this.#generation = generation;
    this.#files = around.files;
    this.#sync = around.sync;
    this.#onClose = around.onClose;
  }

  get staged(): StagedContent {
    return this.#generation.record(true);
  }

  async sha256(signal: AbortSignal): Promise<string> {
    const known = this.#generation.sha256;
    if (known !== undefined) return known;
    return (this.#generation.sha256 = await sha256Of(this.lengthBytes, () => this.#readUnless(signal)));
  }

  async *#readUnless(signal: AbortSignal): AsyncIterable<Uint8Array> {
    for await (const piece of this.read(0, this.lengthBytes)) {
      if (signal.aborted) throw abortReason(signal);
      yield piece;
    }
  }

  async *read(offsetBytes: number, lengthBytes: number): AsyncIterable<Uint8Array> {
    const endBytes = offsetBytes + lengthBytes;
    if (offsetBytes < 0 || lengthBytes < 0 || endBytes > this.lengthBytes) {
      throw new RangeError(`${offsetBytes}+${lengthBytes} is outside of ${this.lengthBytes} bytes`);
    }
    for (let at = offsetBytes; at < endBytes;) {
      if (this.#closed) throw new Error('sealed content was read after it was closed');
      const buffer = Buffer.allocUnsafeSlow(Math.min(stepBytes, endBytes - at));
      await this.#fill(buffer, at);
      yield buffer;
      at += buffer.length;
    }
  }

  makeDurable(): Promise<void> {
    return this.#sync();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose();
  }

  async #fill(buffer: Buffer, at: number): Promise<void> {
    const reads: Promise<void>[] = [];
    eachSegment(this.#generation, at, at + buffer.length, (source, start, end) => {
      if (source.kind === 'version') throw new Error('sealed content is not complete');
      reads.push(this.#files.readLater(source.id, buffer.subarray(start - at, end - at), start));
      return false;
    });
    await Promise.all(reads);
  }
}
