// One upload request's form as it arrives: bytes to a stage, values kept, all of it checked for form only.
// Promises: bytes are handed on as they come; values of the query stand in for parts that lack. Must not know: sessions, folders.
import { createGunzip } from 'node:zlib';
import { Readable } from 'node:stream';
import type { Call } from './call.ts';
import { boundaryOf, MalformedForm, readForm } from './multipart.ts';
import type { PartHead, PartTaker } from './multipart.ts';
import { Refusal } from './reply.ts';

/** What a form held besides its bytes. */
export interface UploadForm {
  readonly hasData: boolean;
  /** A part's value, else the query's. */
  value(name: string): string | undefined;
}

const DATA_PARTS = new Set(['fileData', 'file']);
const VALUE_BYTES_MAX = 64 * 1024;

/** Reads the form; `data` takes the file's bytes. A form that is not well-formed is the server's 500. */
export async function readUploadForm(
  call: Call,
  signal: AbortSignal,
  data: (bytes: Uint8Array) => Promise<void>,
): Promise<UploadForm> {
  const boundary = boundaryOf(call.headers['content-type']);
  if (boundary === undefined) throw new Refusal(400, 'Bad request');
  const values = new Map<string, string>();
  let hasData = false;
  const taker = (head: PartHead): PartTaker => {
    if (DATA_PARTS.has(head.name)) {
      if (hasData || head.fileName === undefined) throw new Refusal(400, 'Bad request');
      hasData = true;
      return { take: data, end: () => undefined };
    }
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    return {
      take: (piece) => {
        bytes += piece.byteLength;
        if (bytes > VALUE_BYTES_MAX) throw new Refusal(400, 'Bad request');
        pieces.push(piece);
      },
      end: () => {
        values.set(head.name, Buffer.concat(pieces).toString('utf8'));
      },
    };
  };
  try {
    await readForm(until(signal, body(call)), boundary, taker);
  } catch (error) {
    if (error instanceof MalformedForm) throw new Refusal(500, 'Internal Server Error');
    throw error;
  }
  const query = call.url.searchParams;
  return { hasData, value: (name) => values.get(name) ?? query.get(name) ?? undefined };
}

function body(call: Call): AsyncIterable<Buffer> {
  switch (call.headers['content-encoding']?.toLowerCase()) {
    case undefined:
    case 'identity':
      return call.stream();
    case 'gzip':
      return unzipped(call.stream());
    default:
      throw new Refusal(415, 'Unsupported Media Type');
  }
}

async function* unzipped(packed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const source = Readable.from(packed);
  const gunzip = createGunzip();
  // A stream that fails must fail what reads the other end, or it would wait for ever.
  source.on('error', (error) => gunzip.destroy(error));
  try {
    yield* source.pipe(gunzip) as AsyncIterable<Buffer>;
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

/** The pieces until the signal says stop, also while the next one is waited for. */
async function* until(signal: AbortSignal, pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const iterator = pieces[Symbol.asyncIterator]();
  let stop = (): void => undefined;
  const stopped = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  // Handled where it is raced; alone it must not count as unhandled.
  stopped.catch(() => undefined);
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await Promise.race([iterator.next(), stopped]);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    // A piece still waited for may never come: leaving must not wait for it.
    iterator.return?.().catch(() => undefined);
  }
}
