// The vault's own sign-in: /v2/auth in a browser, which ends with a storage token for a machine. There is one user, whom the company's
// sign-in lets in, or not, at once. Source: section 2.5 of the API reference. Must not know: content.
import { randomBytes } from 'node:crypto';
import { same } from './apps.ts';
import type { Call, Route } from './call.ts';
import type { Dialect } from './dialect.ts';
import type { Machines } from './machines.ts';
import { Refusal } from './reply.ts';
import type { Reply } from './reply.ts';

/** More sign-ins than any test or demonstration makes. */
const TOKENS_MAX = 1_000;

export class StorageTokens {
  readonly #live = new Map<string, string>();

  /** A token as long and with such characters as need to be encoded in an address. */
  issue(machineId: string): string {
    const token = `SSOUseremulated-storage-${randomBytes(16).toString('hex')}/+${randomBytes(100).toString('base64')}`;
    this.#live.set(token, machineId);
    for (const oldest of this.#live.keys()) {
      if (this.#live.size <= TOKENS_MAX) break;
      this.#live.delete(oldest);
    }
    return token;
  }

  /** The machine that a token was given for; undefined: no token of this vault. */
  machineOf(header: string | string[] | undefined): string | undefined {
    const given = Array.isArray(header) ? header[0] : header;
    if (given === undefined) return undefined;
    return [...this.#live].find(([token]) => same(given, token))?.[1];
  }

  endAll(): void {
    this.#live.clear();
  }
}

export interface StorageSignInOptions {
  readonly machines: Machines;
  readonly storageTokens: StorageTokens;
  readonly dialect: Dialect;
  /** The company does not let the user in. */
  readonly refuses: boolean;
}

export function storageSignInRoutes(options: StorageSignInOptions): readonly Route[] {
  const { machines, storageTokens, dialect, refuses } = options;

  /** The vault sends the browser to the company's sign-in, which here sends it back at once. */
  function begin(call: Call): Promise<Reply> {
    const { machineId, scheme } = asked(call);
    const back = new URLSearchParams({ machine_id: machineId, scheme });
    return Promise.resolve(redirect(`/v2/auth/acs?${back.toString()}`));
  }

  function end(call: Call): Promise<Reply> {
    const { machineId, scheme } = asked(call);
    if (refuses) throw new Refusal(403, 'User Not Authorized For Action');
    const token = encodeURIComponent(storageTokens.issue(machineId));
    return Promise.resolve(
      redirect(dialect.storageCallback === 'path' ? `${scheme}token/${token}` : `${scheme}?token=${token}`),
    );
  }

  function asked(call: Call): { readonly machineId: string; readonly scheme: string } {
    const query = call.url.searchParams;
    const machine = machines.byId(query.get('machine_id') ?? '');
    if (machine === undefined) throw new Refusal(400, 'Invalid Machine ID');
    const scheme = query.get('scheme') ?? '';
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(scheme)) throw new Refusal(400, 'Bad request');
    return { machineId: machine.id, scheme };
  }

  return [
    { endpoint: 'storageAuth', method: 'GET', path: /^\/v2\/auth\/?$/, handle: begin },
    { endpoint: 'storageAuth', method: 'GET', path: /^\/v2\/auth\/acs\/?$/, handle: end },
  ];
}

function redirect(location: string): Reply {
  return { status: 302, headers: { Location: location, 'Cache-Control': 'no-store' }, body: '' };
}
