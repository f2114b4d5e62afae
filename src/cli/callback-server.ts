// The address on this machine to which a browser comes back from a sign-in. Promises: loopback only, one answer, then closed; what its
// reader does not know is refused and ends nothing. Must not know what an answer is worth, nor whose page sent it.
import { createServer, type ServerResponse } from 'node:http';
import { listenOn } from '../base/listening.ts';
import { namesLoopback } from '../base/loopback.ts';

/** How one kind of sign-in comes back. */
export interface CallbackReader<A> {
  /** The answer in an address that was asked for; else why not: somebody else's sign-in, or nothing of ours. */
  read(asked: URL): { readonly answer: A } | 'foreign' | 'elsewhere';
  /** What the user is shown in the browser. */
  page(answer: A): string;
}

export interface CallbackServer<A> {
  /** Where the browser is to come back to. */
  readonly url: string;
  /** Settles once. */
  readonly answer: Promise<A>;
  stop(): Promise<void>;
}

/** Listens where `url` says; at port 0, at a free one. */
export async function startCallbackServer<A>(url: URL, reader: CallbackReader<A>): Promise<CallbackServer<A>> {
  let settle: (answer: A) => void;
  const answer = new Promise<A>((resolve) => (settle = resolve));
  let isAnswered = false;
  const server = createServer((request, response) => {
    const asked = new URL(request.url ?? '/', url);
    // A page of some site that lets its name point here must not be served.
    const found = request.method === 'GET' && namesLoopback(request.headers.host) ? reader.read(asked) : 'elsewhere';
    if (found === 'elsewhere') {
      show(response, 404, 'There is nothing here.');
      return;
    }
    if (found === 'foreign') {
      show(response, 400, 'This is not the sign-in that syncplicityfs waits for.');
      return;
    }
    if (isAnswered) {
      show(response, 410, 'This sign-in is over.');
      return;
    }
    isAnswered = true;
    show(response, 200, reader.page(found.answer), () => settle(found.answer));
  });
  const { port, stop } = await listenOn(server, { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) });
  const own = new URL(url);
  own.port = String(port);
  return { url: own.href, answer, stop };
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
