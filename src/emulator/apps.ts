// The apps that may call for the account: each an App Key with its secret, as the developer portal gives them. One can be suspended,
// as an administrator does it. Must not know: what is called.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { derivedId } from './identity.ts';

export interface App {
  readonly appKey: string;
  readonly appSecret: string;
}

/** The first app and as many further ones as make `count`, which follow from it. */
export function appsOf(first: App, count: number): App[] {
  return Array.from({ length: count }, (_, index) => {
    if (index === 0) return { appKey: first.appKey, appSecret: first.appSecret };
    const purpose = `app ${index + 1}`;
    return {
      appKey: derivedId(first.appKey, purpose),
      appSecret: `emulated-secret-${createHash('sha256').update(`${first.appSecret} ${purpose}`).digest('base64url')}`,
    };
  });
}

/** Which of the apps a request says it is from, whether it may call or not; undefined: none of them. */
export function claimedApp(apps: Apps, headers: IncomingHttpHeaders): string | undefined {
  const given = headers['appkey'] ?? basic(headers.authorization)?.split(':')[0];
  return apps.list.find(({ appKey }) => appKey === given)?.appKey;
}

export class Apps {
  readonly list: readonly App[];
  readonly #suspended = new Set<string>();

  constructor(list: readonly App[]) {
    this.list = list;
  }

  /** The app whose `Basic` header this is. */
  byBasic(authorization: string | undefined): App | undefined {
    const given = basic(authorization);
    return this.#active().find(({ appKey, appSecret }) => given !== undefined && same(given, `${appKey}:${appSecret}`));
  }

  byKey(key: string | string[] | undefined): App | undefined {
    const given = Array.isArray(key) ? key[0] : key;
    return this.#active().find(({ appKey }) => given !== undefined && same(given, appKey));
  }

  /** Refuses an app, or takes it back. */
  suspend(appKey: string, suspended: boolean): void {
    if (suspended) this.#suspended.add(appKey);
    else this.#suspended.delete(appKey);
  }

  #active(): readonly App[] {
    return this.list.filter(({ appKey }) => !this.#suspended.has(appKey));
  }
}

function basic(authorization: string | undefined): string | undefined {
  const encoded = /^Basic +(\S+)$/i.exec(authorization ?? '')?.[1];
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString('utf8');
}

/** Compares secrets in a time that tells nothing of them. */
export function same(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}
