// Reads a whole body, up to a limit. When this resolves, the connection that it came over takes the next request.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { HttpReply } from './transport.ts';

/** Longest part of an error page that is looked at. */
const errorTextBytes = 64 * 1024;

/** The whole body, or undefined when it is longer than `limitBytes`; the rest is then given up. */
export async function bodyBytes(reply: HttpReply, limitBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of reply.body as AsyncIterable<Buffer>) {
    total += chunk.length;
    if (total > limitBytes) return undefined;
    chunks.push(chunk);
  }
  await connectionIsFree();
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}

/** The beginning of an error's body; empty where it cannot be read: the status alone must do then. */
export async function errorText(reply: HttpReply): Promise<string> {
  const chunks: Buffer[] = [];
  let total = 0;
  try {
    for await (const chunk of reply.body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      total += chunk.length;
      if (total >= errorTextBytes) break;
    }
    await connectionIsFree();
  } catch {
    return Buffer.concat(chunks).toString('utf8');
  }
  return Buffer.concat(chunks).toString('utf8', 0, errorTextBytes);
}

/**
 * The HTTP library gives a connection back a turn of the event loop after the reply's end. Who sends the next request sooner gets another
 * one: a handshake more, and for long uploads two connections that take turns, each of them cooled down when its turn comes.
 */
async function connectionIsFree(): Promise<void> {
  await nextTurn();
}
