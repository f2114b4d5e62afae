// SHA-256 of content that is written from its beginning on: of the bytes [0, hashedBytes), whatever happens behind them. Promises a
// digest of the whole or none. Knows no files.
import { createHash, type Hash } from 'node:crypto';

export class RunningHash {
  #hash: Hash | undefined;
  #hashedBytes = 0;

  /** These bytes were written there. */
  wrote(offsetBytes: number, data: Uint8Array): void {
    this.changed(offsetBytes);
    if (offsetBytes !== this.#hashedBytes) return;
    this.#hash ??= createHash('sha256');
    this.#hash.update(data);
    this.#hashedBytes += data.length;
  }

  /** Something at or behind this offset is different now. */
  changed(offsetBytes: number): void {
    if (offsetBytes >= this.#hashedBytes) return;
    this.#hash = undefined;
    this.#hashedBytes = 0;
  }

  /** Of content of this length; undefined where not all of it came in order. */
  digest(lengthBytes: number): string | undefined {
    if (this.#hashedBytes !== lengthBytes) return undefined;
    return (this.#hash ?? createHash('sha256')).copy().digest('hex');
  }
}
