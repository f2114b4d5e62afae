// Puts a reply on a connection: with or without its length, at the line's speed, broken where a fault says so.
// Promises: a stream's chunk is out of its memory before the next is asked for; a reader that stops stops the stream; a
// stream that fails breaks the connection, so that a reader never takes a part for the whole.
import type { ServerResponse } from 'node:http';
import type { FaultAction } from './faults.ts';
import type { Line } from './line.ts';
import type { Chunk, Reply } from './reply.ts';

export interface SendOptions {
  readonly transfer: 'auto' | 'length' | 'chunked';
  readonly fault: FaultAction | undefined;
  readonly line: Line | undefined;
  /** Aborts when the connection is gone. */
  readonly gone: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

// Replies up to this size announce their length in `auto`; larger ones are sent as they come.
const SMALL_BYTES = 64 * 1024;
// One burst on a limited line.
const LINE_BURST_BYTES = 64 * 1024;

/** Sends the reply; resolves when it is out, and rejects when it could not be sent whole. */
export async function send(response: ServerResponse, reply: Reply, options: SendOptions): Promise<void> {
  const { fault } = options;
  if (fault?.kind === 'garbage-json') {
    const body = '{"SyncpointId": 12, "Files": [{"FileId": <br/> 502 bad';
    response.writeHead(200, { ...reply.headers, 'Content-Length': String(body.length) }).end(body);
    return;
  }
  const bytes = asBytes(reply.body);
  const held: Uint8Array[] = [];
  let length = reply.lengthBytes;
  if (length === undefined && (options.transfer !== 'chunked' || typeof reply.body === 'string')) {
    const limit = options.transfer === 'length' || fault?.kind === 'short' ? Number.POSITIVE_INFINITY : SMALL_BYTES;
    length = await hold(bytes, held, limit);
  }
  if (fault?.kind === 'short' && length !== undefined) length = Math.min(length, fault.afterBytes);
  const headers: Record<string, string> = { ...reply.headers };
  if (length !== undefined && reply.status !== 204) headers['Content-Length'] = String(length);
  if (reply.reason === undefined) response.writeHead(reply.status, headers);
  else response.writeHead(reply.status, reply.reason, headers);
  await sendBody(response, both(held, bytes), options);
}

async function sendBody(
  response: ServerResponse,
  chunks: AsyncIterable<Uint8Array>,
  { fault, line, gone, onBytes }: SendOptions,
): Promise<void> {
  const cut = fault?.kind === 'truncate' || fault?.kind === 'short' || fault?.kind === 'stall' ? fault : undefined;
  let left = cut?.afterBytes ?? Number.POSITIVE_INFINITY;
  for await (const whole of chunks) {
    const chunk = whole.byteLength > left ? whole.subarray(0, left) : whole;
    const burst = line === undefined ? chunk.byteLength : LINE_BURST_BYTES;
    for (let start = 0; start < chunk.byteLength; start += burst) {
      const part = chunk.subarray(start, start + burst);
      if (line !== undefined) await line.carry(part.byteLength, gone);
      await write(response, part, gone);
      onBytes(part.byteLength);
    }
    left -= chunk.byteLength;
    if (left <= 0) break;
  }
  if (cut?.kind === 'stall') {
    response.flushHeaders();
    return untilGone(gone);
  }
  if (cut?.kind === 'truncate') {
    response.flushHeaders();
    // Lets the bytes leave before the connection does.
    await new Promise((resolve) => setImmediate(resolve));
    response.destroy();
    return;
  }
  response.end();
}

/** Resolves when the other side, or stop(), has closed the connection. */
export function untilGone(gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (gone.aborted) resolve();
    else gone.addEventListener('abort', () => resolve(), { once: true });
  });
}

function write(response: ServerResponse, bytes: Uint8Array, gone: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onGone = (): void => reject(new Error('the connection closed'));
    if (gone.aborted) {
      onGone();
      return;
    }
    gone.addEventListener('abort', onGone, { once: true });
    response.write(bytes, (error) => {
      gone.removeEventListener('abort', onGone);
      if (error) reject(error);
      else resolve();
    });
  });
}

async function* asBytes(body: string | AsyncIterable<Chunk>): AsyncGenerator<Uint8Array> {
  if (typeof body === 'string') {
    if (body !== '') yield Buffer.from(body, 'utf8');
    return;
  }
  for await (const chunk of body) yield typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk;
}

/** Takes chunks into `held` until the end or the limit; answers the length if that was the end. */
async function hold(
  chunks: AsyncGenerator<Uint8Array>,
  held: Uint8Array[],
  limitBytes: number,
): Promise<number | undefined> {
  let length = 0;
  while (length <= limitBytes) {
    const next = await chunks.next();
    if (next.done === true) return length;
    // Held longer than until the next is asked for, so it needs memory of its own.
    held.push(Uint8Array.prototype.slice.call(next.value));
    length += next.value.byteLength;
  }
  return undefined;
}

async function* both(held: readonly Uint8Array[], rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* held;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}
