// A request's body on its way to a handler: at the line's speed, counted, broken where a fault says so.
// Promises: who stops reading leaves the connection usable; a fault strikes at its byte, not a piece later.
import type { IncomingMessage } from 'node:http';
import type { Strike } from './faults.ts';
import type { Line } from './line.ts';
import type { Reply } from './reply.ts';

export interface BodyOptions {
  readonly strike: Strike | undefined;
  readonly line: Line | undefined;
  readonly gone: AbortSignal;
  readonly onBytes: (bytes: number) => void;
  /** Carries out a fault after which reading goes on; throws Struck for one that ends the call. */
  readonly onStrike: (strike: Strike) => Promise<void>;
}

/** A fault that ends a call while its body is read. */
export class Struck extends Error {
  override readonly name = 'Struck';
  readonly strike: Strike;
  /** What the call is answered; undefined: nothing, the connection ends or hangs. */
  readonly reply: Reply | undefined;

  constructor(strike: Strike, reply: Reply | undefined) {
    super(`injected fault: ${strike.kind}`);
    this.strike = strike;
    this.reply = reply;
  }
}

/** Yields the body; a fault due within it strikes between two bytes. */
export async function* requestBody(request: IncomingMessage, options: BodyOptions): AsyncGenerator<Buffer> {
  const { strike, line, gone, onBytes, onStrike } = options;
  let left = bytesBefore(strike);
  for await (const piece of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    if (line !== undefined) await line.carry(piece.byteLength, gone);
    let rest = piece;
    if (strike !== undefined && piece.byteLength >= left) {
      onBytes(left);
      if (left > 0) yield piece.subarray(0, left);
      await onStrike(strike);
      rest = piece.subarray(left);
      left = Number.POSITIVE_INFINITY;
    }
    left -= rest.byteLength;
    onBytes(rest.byteLength);
    if (rest.byteLength > 0) yield rest;
  }
}

function bytesBefore(strike: Strike | undefined): number {
  const bytes = strike?.kind === 'cut-request' ? strike.afterBytes : strike?.afterRequestBytes;
  return bytes ?? Number.POSITIVE_INFINITY;
}

/** Whether a fault waits for a part of the body. */
export function isWithinBody(strike: Strike | undefined): boolean {
  return bytesBefore(strike) !== Number.POSITIVE_INFINITY;
}
