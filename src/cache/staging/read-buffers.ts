// Buffers for bytes read from staged files, used again when the tick they were handed out in is over: reading a large file takes no new
// memory for each answer.

/** The largest read of the kernel; larger ones get a buffer of their own. */
const bufferBytes = 1024 * 1024;
/** What one tick uses and the next can use again. */
const spareMax = 4;

export class ReadBuffers {
  readonly #spare: Buffer[] = [];
  readonly #handedOut: Buffer[] = [];
  #immediate: NodeJS.Immediate | undefined;

  /** A buffer of so many bytes, which is the caller's until the present tick ends. */
  take(lengthBytes: number): Buffer {
    if (lengthBytes <= Buffer.poolSize / 2 || lengthBytes > bufferBytes) return Buffer.allocUnsafe(lengthBytes);
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
    this.#handedOut.push(buffer);
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      for (const ended of this.#handedOut.splice(0)) if (this.#spare.length < spareMax) this.#spare.push(ended);
    });
    return buffer.subarray(0, lengthBytes);
  }
}
