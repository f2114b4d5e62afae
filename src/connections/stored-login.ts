// A browser sign-in that is kept in a connection: its refresh token, used by one process at a time, and replaced by the one the service
// gives for it. Promises: what the service gave last is stored before anybody else uses it, or held here until it can be. Must not know
// what else the connection holds.
import { createLog } from '../base/log.ts';
import type { Login } from '../syncplicity/options.ts';
import { withFileLock } from './file-lock.ts';

const log = createLog('login');

/** Whoever has the lock asks the service once: connecting and its answer take 70 s at most. */
const LOCK_TIMEOUT_MS = 90_000;

export interface LoginKeeping {
  /** Locked while the service is asked. */
  readonly lockFile: string;
  /** The token that is stored; rejects where the connection has gone. */
  readonly read: () => Promise<string>;
  readonly write: (refreshToken: string) => Promise<void>;
  readonly remedy: string;
}

export class StoredLogin implements Login {
  readonly #keeping: LoginKeeping;
  /** Given by the service for `used`, and not stored: the disk was full, say. */
  #held: { readonly used: string; readonly token: string } | undefined;

  constructor(keeping: LoginKeeping) {
    this.#keeping = keeping;
  }

  get remedy(): string {
    return this.#keeping.remedy;
  }

  async peek(): Promise<string> {
    return this.#newest(await this.#keeping.read());
  }

  async renew<T>(
    work: (refreshToken: string) => Promise<{ readonly value: T; readonly next: string | undefined }>,
  ): Promise<T> {
    const { lockFile, read } = this.#keeping;
    return withFileLock(lockFile, LOCK_TIMEOUT_MS, async () => {
      const stored = await read();
      const current = this.#newest(stored);
      const { value, next } = await work(current);
      if (next !== undefined && next !== current) await this.#keep(stored, next);
      else if (current !== stored) await this.#keep(stored, current);
      return value;
    });
  }

  /** Somebody who stored another one since has a newer one. */
  #newest(stored: string): string {
    return this.#held?.used === stored ? this.#held.token : stored;
  }

  async #keep(used: string, token: string): Promise<void> {
    this.#held = { used, token };
    try {
      await this.#keeping.write(token);
      this.#held = undefined;
    } catch (error) {
      // The access token that came with it is good; the next renewal stores it.
      log('a new refresh token could not be stored yet: %s', (error as Error).message);
    }
  }
}
