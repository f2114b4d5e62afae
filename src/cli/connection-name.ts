// What a connection or a pool may be called.
import { UsageError } from '../base/usage-error.ts';
import { environmentConnectionName } from '../connections/environment.ts';
import { platformName, type PlatformId } from '../connections/platforms.ts';
import type { ConnectionStore } from '../connections/store.ts';

/** A name must not be mistaken for an id, nor for CONNECTION:/PATH. */
export function checkConnectionName(name: string): void {
  if (name.trim() === '') throw new UsageError('the name is empty');
  if (name.length > 255) throw new UsageError('the name is longer than 255 characters');
  if (/\p{Cc}/u.test(name)) throw new UsageError('the name holds a control character');
  if (name.includes(':/'))
    throw new UsageError('a name must not contain ":/": that is how a folder of a connection is written');
  if (name.startsWith('/') || name.startsWith('-')) throw new UsageError('a name must not begin with "/" or "-"');
  if (name === environmentConnectionName || name.startsWith(`${environmentConnectionName}-`)) {
    throw new UsageError('"env" and what begins with "env-" are names of the connection of the environment');
  }
  if (/^[0-9a-f]{32}$/i.test(name)) throw new UsageError('a name must not look like an id');
}

/** "Syncplicity (me@example.com)", with a number behind it if that is taken. */
export async function freeConnectionName(
  store: ConnectionStore,
  platform: PlatformId,
  whose: string | undefined,
): Promise<string> {
  const base = whose === undefined ? platformName(platform) : `${platformName(platform)} (${whose})`;
  const taken = new Set((await store.list()).map(({ name }) => name));
  let name = base;
  for (let number = 2; taken.has(name); number++) name = `${base} ${number}`;
  return name;
}
