// Who may ask the dashboard what. The page itself is no secret and is anybody's; all else takes the token of this run, from a page that
// this server served. Promises: the token is compared in constant time, and stands in no refusal.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const TOKEN_BYTES = 32;

/** Why a request is not served. */
export interface Refusal {
  readonly status: 401 | 403 | 421;
  readonly text: string;
}

export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

export class Guard {
  readonly #hosts: readonly string[];
  readonly #tokenDigest: Buffer;

  constructor({ host, port }: { readonly host: string; readonly port: number }, token: string) {
    const names = host === '127.0.0.1' ? [host, 'localhost'] : [host];
    // As browsers spell them: http's own port, 80, is left out.
    this.#hosts = names.map((name) => new URL(`http://${name}:${port}`).host);
    this.#tokenDigest = digest(token);
  }

  /** For every request: another name that leads here (DNS rebinding) would make a stranger's page one of this origin. */
  refusesHost({ headers }: IncomingMessage): Refusal | undefined {
    if (this.#hosts.includes(headers.host ?? '')) return undefined;
    return { status: 421, text: 'This server does not answer to that name.' };
  }

  /** For data. A browser says from which page a request comes; one without a token is told nothing more. */
  refusesReading({ headers }: IncomingMessage): Refusal | undefined {
    const site = headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin') return foreign;
    // Origin goes without saying with a GET; where it is said, it has to be right.
    if (headers.origin !== undefined && !this.#isOwn(headers.origin, headers.host)) return foreign;
    const [, token] = /^Bearer ([\w-]{1,100})$/.exec(headers.authorization ?? '') ?? [];
    // Digests are of one length, whatever was sent.
    if (token !== undefined && timingSafeEqual(digest(token), this.#tokenDigest)) return undefined;
    return { status: 401, text: 'The token is missing or that of an earlier run.' };
  }

  /** For what changes something: only from the page itself. */
  refusesChanging(request: IncomingMessage): Refusal | undefined {
    const { origin, host } = request.headers;
    if (!this.#isOwn(origin, host)) return foreign;
    return this.refusesReading(request);
  }

  #isOwn(origin: string | undefined, host: string | undefined): boolean {
    return host !== undefined && this.#hosts.includes(host) && origin === `http://${host}`;
  }
}

const foreign: Refusal = { status: 403, text: 'Only the page of this server may ask that.' };

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
