// One call as a handler sees it: its parts read, its socket left outside.
import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from './reply.ts';
import type { Reply } from './reply.ts';

export interface Call {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  /** The variable segments of the path, in order. */
  readonly segments: readonly string[];
  /** The body as text; refuses what is larger than any call needs. */
  readonly body: () => Promise<string>;
  /** The body as it comes; to be asked for once. What is not taken of it does not disturb the connection. */
  readonly stream: () => AsyncIterable<Buffer>;
}

export interface Route {
  /** The endpoint's name in counters and faults. */
  readonly endpoint: string;
  readonly method: string;
  /** Matches a path whole; groups are the segments. */
  readonly path: RegExp;
  readonly handle: (call: Call) => Promise<Reply>;
}

// Token forms, metadata and test changes; the largest is a test's file text.
const BODY_BYTES_MAX = 16 * 1024 * 1024;

export async function readBody(stream: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of stream) {
    bytes += piece.byteLength;
    if (bytes > BODY_BYTES_MAX) throw new Refusal(413, 'Request Entity Too Large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** The route of a path, or the refusal the call gets: 405 where only the method is wrong, else 404. */
export function findRoute(
  routes: readonly Route[],
  method: string,
  path: string,
): { route: Route; segments: readonly string[] } | { refusal: Refusal; endpoint: string } {
  const allowed: string[] = [];
  let endpoint = 'unknown';
  for (const route of routes) {
    const match = route.path.exec(path);
    if (match === null) continue;
    if (route.method === method) return { route, segments: match.slice(1).map((segment) => segment) };
    allowed.push(route.method);
    endpoint = route.endpoint;
  }
  if (allowed.length === 0) return { refusal: new Refusal(404, 'Not Found'), endpoint };
  return { refusal: new Refusal(405, 'Method Not Allowed', { Allow: allowed.join(', ') }), endpoint };
}

/** A query value that is a comma list, lower case, without blanks. */
export function listOf(call: Call, name: string): ReadonlySet<string> {
  const values = call.url.searchParams.getAll(name).join(',').toLowerCase().split(',');
  return new Set(values.map((value) => value.trim()).filter((value) => value !== ''));
}

/** A positive integer of the query; undefined when absent. */
export function numberOf(call: Call, name: string): bigint | undefined {
  const value = call.url.searchParams.get(name);
  if (value === null || value === '') return undefined;
  if (!/^[0-9]{1,19}$/.test(value)) throw new Refusal(400, 'Bad Request');
  return BigInt(value);
}
