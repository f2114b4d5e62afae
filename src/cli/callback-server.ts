// The address on this machine to which a browser comes back from a sign-in. Promises: loopback only, one answer, then closed; what comes
// without the right state is refused and ends nothing. Must not know what a code is worth, nor whose page sent it.
import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What came back: a code, or the service's reason for none. */
export type CallbackAnswer = { readonly code: string } | { readonly error: string };

export interface CallbackServer {
  /** Where the browser is to come back to. */
  readonly url: string;
  /** Settles once. */
  readonly answer: Promise<CallbackAnswer>;
  stop(): Promise<void>;
}

/** Listens on 127.0.0.1, or where `url` says. */
export async function startCallbackServer(
  state: string,
  url: URL = new URL('http://127.0.0.1:0/callback'),
): Promise<CallbackServer> {
  let settle: (answer: CallbackAnswer) => void;
  const answer = new Promise<CallbackAnswer>((resolve) => (settle = resolve));
  let isAnswered = false;
  const server = createServer((request, response) => {
    const asked = new URL(request.url ?? '/', url);
    if (request.method !== 'GET' || asked.pathname !== url.pathname || !isLocal(request)) {
      show(response, 404, 'There is nothing here.');
      return;
    }
    const found = answerIn(asked.searchParams, state);
    if (found === undefined) {
      show(response, 400, 'This is not the sign-in that syncplicityfs waits for.');
      return;
    }
    if (isAnswered) {
      show(response, 410, 'This sign-in is over.');
      return;
    }
    isAnswered = true;
    const text =
      'code' in found
        ? 'You are signed in. You can close this window.'
        : 'You are not signed in; the terminal says why. You can close this window.';
    show(response, 200, text, () => settle(found));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(url.port), url.hostname.replace(/^\[|\]$/g, ''), resolve);
  });
  const { port } = server.address() as AddressInfo;
  const own = new URL(url);
  own.port = String(port);
  return {
    url: own.href,
    answer,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The answer in what a browser was sent back with; undefined without the right state. */
export function answerIn(query: URLSearchParams, state: string): CallbackAnswer | undefined {
  const [given, expected] = [Buffer.from(query.get('state') ?? ''), Buffer.from(state)];
  if (given.byteLength !== expected.byteLength || !timingSafeEqual(given, expected)) return undefined;
  const code = query.get('code');
  if (code !== null && code !== '') return { code };
  const error = query.get('error');
  if (error === null) return undefined;
  return { error: [error, query.get('error_description')].filter(Boolean).join(': ') };
}

/** A page of some site that lets its name point here must not be served. */
function isLocal({ headers }: IncomingMessage): boolean {
  return /^(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?$/.test(headers.host ?? '');
}

function show(response: ServerResponse, status: number, text: string, done?: () => void): void {
  const page = `<!doctype html><meta charset="utf-8"><title>syncplicityfs</title><p>${text}</p>\n`;
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'",
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    connection: 'close',
  });
  response.end(page, done);
}
