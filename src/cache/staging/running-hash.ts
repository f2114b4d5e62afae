// SHA-256 of content that is written from its beginning on: of the bytes [0, hashedBytes), whatever happens behind them. Promises a
// digest of the whole or none. A program that writes waits for the hashing for a moment at most: where that takes longer than the writing,
// the content goes without a hash, and is hashed when it is sent. Knows no files.
import { hash as hashOf } from 'node:crypto';
import { afterReply, type Waiting } from '../../base/after-reply.ts';
import { growingHash, hashingRoom, type GrowingHash } from '../../base/hashing-thread.ts';

/** What is written in one piece of up to this length is hashed in one piece: a hash that can go on costs several times as much to make. */
const pieceBytesMax = 64 * 1024;
/** Pieces kept for that, over all contents: those of many files that are open at once are hashed as they come. */
const keptBytesMax = 4 * 1024 * 1024;

/** What a program waits for the hashing of one content before that is given up: more than this, and more than this part of the time since it began. */
const defaultPatience = { ms: 250, part: 0.1 };

let keptBytes = 0;

export class RunningHash {
  #hash: GrowingHash | undefined;
  /** All that was written so far, where it came in one piece. */
  #piece: Buffer | undefined;
  /** What `#hash` lacks of the bytes that count as hashed: the last ones. */
  #unhashed: Uint8Array | undefined;
  #hashedBytes = 0;
  readonly #patience: typeof defaultPatience;
  #begunMs = 0;
  #waitedMs = 0;

  /** `patience` is for tests. */
  constructor(patience = defaultPatience) {
    this.#patience = patience;
  }

  /** These bytes were written there, by somebody who waits or by nobody. */
  wrote(offsetBytes: number, data: Uint8Array, waiting?: Waiting): void {
    this.changed(offsetBytes);
    if (offsetBytes !== this.#hashedBytes) return;
    if (offsetBytes === 0 && data.length <= pieceBytesMax && keptBytes + data.length <= keptBytesMax) {
      this.#piece = Buffer.from(data);
      keptBytes += data.length;
    } else {
      this.#catchUp();
      this.#hash ??= this.#begun(data.length);
      this.#unhashed = data;
      if (this.#hash.isBeside) this.#catchUp();
      else afterReply(waiting, () => this.#catchUp());
    }
    this.#hashedBytes += data.length;
  }

  /** Resolves when what is written next would be taken at once; undefined where it is. */
  keptUp(): Promise<void> | undefined {
    const hash = this.#hash;
    const room = hash?.isBeside === true ? hashingRoom() : undefined;
    if (room === undefined) return undefined;
    const sinceMs = performance.now();
    return room.then(() => {
      const nowMs = performance.now();
      this.#waitedMs += nowMs - sinceMs;
      const limitMs = Math.max(this.#patience.ms, (nowMs - this.#begunMs) * this.#patience.part);
      if (this.#hash === hash && this.#waitedMs > limitMs) this.changed(0);
    });
  }

  /** Something at or behind this offset is different now. */
  changed(offsetBytes: number): void {
    if (offsetBytes >= this.#hashedBytes) return;
    this.#dropPiece();
    this.#hash?.close();
    this.#hash = undefined;
    this.#unhashed = undefined;
    this.#hashedBytes = 0;
  }

  /** Of content of this length; undefined where not all of it came in order, or hashing failed or was given up. */
  digest(lengthBytes: number): string | undefined {
    if (this.#hashedBytes !== lengthBytes) return undefined;
    if (this.#piece !== undefined) return hashOf('sha256', this.#piece);
    this.#catchUp();
    return (this.#hash ?? growingHash(0)).digest();
  }

  /** Nothing is written any more, nor asked. */
  close(): void {
    this.changed(0);
  }

  #catchUp(): void {
    const data = this.#unhashed;
    this.#unhashed = undefined;
    if (data !== undefined) this.#hash?.update(data);
  }

  #dropPiece(): void {
    keptBytes -= this.#piece?.length ?? 0;
    this.#piece = undefined;
  }

  /** A hash that goes on with a piece of this length. */
  #begun(pieceBytes: number): GrowingHash {
    const begun = growingHash(pieceBytes);
    this.#begunMs = performance.now();
    this.#waitedMs = 0;
    if (this.#piece !== undefined) begun.update(this.#piece);
    this.#dropPiece();
    return begun;
  }
}
