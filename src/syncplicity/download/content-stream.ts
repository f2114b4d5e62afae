// A body with its bytes counted: exactly those promised, or an error.
import { RemoteError } from '../../remote-drive.ts';
import type { ContentStream } from '../../remote-drive.ts';

export interface CountedBodyParts {
  readonly body: AsyncIterable<Buffer> & { destroy(): unknown };
  readonly offsetBytes: number;
  readonly endBytes: number;
  /** For messages: "version 5 of syncpoint 3". */
  readonly thing: string;
  /** What an error met while reading becomes. */
  readonly broken: (error: unknown) => Error;
  /** Gives out what arrived when it may pass, until the signal. Undefined: at once. */
  readonly paced: ((chunk: Uint8Array, signal: AbortSignal) => AsyncIterable<Uint8Array>) | undefined;
  /** Told of all bytes that arrive. */
  readonly received: (bytes: number) => void;
}

/** Wraps a reply's body. Nothing is read from the connection faster than the stream is iterated. */
export function countedBody(parts: CountedBodyParts): ContentStream {
  let closed = false;
  const closing = new AbortController();
  const close = (): void => {
    if (closed) return;
    closed = true;
    closing.abort();
    // Before the end of the body this breaks the connection: the rest of a large file is not worth reading.
    parts.body.destroy();
  };
  return {
    offsetBytes: parts.offsetBytes,
    endBytes: parts.endBytes,
    close,
    async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
      let left = parts.endBytes - parts.offsetBytes;
      try {
        for await (const chunk of parts.body) {
          parts.received(chunk.length);
          left -= chunk.length;
          if (left < 0) throw broken(parts, 'more bytes than it should');
          if (parts.paced === undefined) yield chunk;
          else yield* parts.paced(chunk, closing.signal);
        }
        if (left > 0) throw broken(parts, `${left} bytes less than it should`);
      } catch (error) {
        if (error instanceof RemoteError) throw error;
        // Our own doing, and no news of the vault.
        if (closed) throw new RemoteError('unavailable', `download of ${parts.thing}: the stream was closed`);
        throw parts.broken(error);
      } finally {
        close();
      }
    },
  };
}

function broken(parts: CountedBodyParts, how: string): RemoteError {
  return new RemoteError('unavailable', `download of ${parts.thing}: the vault sent ${how}`);
}
