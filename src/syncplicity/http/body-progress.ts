// A streamed body on its way out: how much of it the connection has taken, and whether its source failed.

/** A body that is sent as it is made, never held as a whole. */
export interface StreamedBody {
  readonly lengthBytes: number;
  /** Exactly `lengthBytes`; asked for once. What it throws, the request rejects with. */
  pieces(): AsyncIterable<Uint8Array>;
}

/** How much of a request had left before it failed: `all` means that the server may have acted on it. */
export type SentPart = 'nothing' | 'part' | 'all';

export class BodyProgress {
  readonly #body: StreamedBody;
  #sent: SentPart = 'nothing';
  #failure: Error | undefined;

  constructor(body: StreamedBody) {
    this.#body = body;
  }

  get lengthBytes(): number {
    return this.#body.lengthBytes;
  }

  /** `all` from the moment on when the last piece may have been written. */
  get sent(): SentPart {
    return this.#sent;
  }

  /** What the source threw. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** The pieces. `taken` is called whenever the connection asks for more; with true when it asks for the last piece. */
  async *pieces(taken: (isLast: boolean) => void): AsyncGenerator<Uint8Array> {
    let left = this.#body.lengthBytes;
    try {
      for await (const piece of this.#body.pieces()) {
        left -= piece.length;
        this.#sent = left > 0 ? 'part' : 'all';
        taken(left <= 0);
        yield piece;
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  }
}
