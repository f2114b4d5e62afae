// A keyring in memory, and one that nobody unlocks.
import type { Keyring } from '../../src/connections/keyring.ts';

export class MemoryKeyring implements Keyring {
  readonly entries = new Map<string, string>();
  isLocked = false;

  read(name: string): Promise<string | undefined> {
    return this.#unlocked(() => this.entries.get(name));
  }

  write(name: string, text: string): Promise<void> {
    return this.#unlocked(() => void this.entries.set(name, text));
  }

  remove(name: string): Promise<void> {
    return this.#unlocked(() => void this.entries.delete(name));
  }

  async #unlocked<T>(work: () => T): Promise<T> {
    if (this.isLocked) throw new Error('the desktop keyring cannot be used: it is locked');
    return Promise.resolve(work());
  }
}
