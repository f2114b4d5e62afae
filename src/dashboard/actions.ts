// What the page has a mount do: decisions about refused changes, pausing and going on. Promises: no other method of the control socket can
// be reached, and a copy is saved in one directory only, whatever the page says.
import { lstat, mkdir } from 'node:fs/promises';
import { join, parse, posix } from 'node:path';
import type { RuntimeDirectories } from '../base/paths.ts';
import { connectControl, type ControlClient } from '../control/client.ts';
import { askMount } from '../control/methods.ts';
import { type Action, actionMethods, type ActionOutcome } from './view.ts';

/** Copying is as slow as the disks are. */
const SAVE_TIMEOUT_MS = 600_000;
/** Names tried beside those that are there. */
const COPIES_MAX = 1_000;

/** An action in what was sent; undefined where it is none. */
export function actionIn(value: unknown): Action | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { mountpoint, method, path } = value as Readonly<Record<string, unknown>>;
  const known = actionMethods.find((one) => one === method);
  if (typeof mountpoint !== 'string' || mountpoint === '' || known === undefined) return undefined;
  if (known === 'pause' || known === 'resume') return { mountpoint, method: known };
  return typeof path === 'string' && path.startsWith('/') ? { mountpoint, method: known, path } : undefined;
}

export interface ActionPlaces {
  readonly runtimeDirectories: RuntimeDirectories;
  /** Where copies are saved; made if missing. */
  readonly savesDirectory: string;
}

/** Has the mount do it. Rejects with a line for the user. */
export async function act(places: ActionPlaces, action: Action, signal: AbortSignal): Promise<ActionOutcome> {
  const { mountpoint } = action;
  const client = await connectControl({ runtimeDirectories: places.runtimeDirectories, mountpoint });
  if (client === undefined) throw new Error(`${mountpoint} is not mounted any more`);
  try {
    return await ask(client, places, action, signal);
  } finally {
    client.close();
  }
}

async function ask(
  client: ControlClient,
  { savesDirectory }: ActionPlaces,
  { method, path = '/' }: Action,
  signal: AbortSignal,
): Promise<ActionOutcome> {
  switch (method) {
    case 'pause':
    case 'resume':
      await askMount(client, method, {}, { signal });
      return {};
    case 'retry':
    case 'discard':
      return askMount(client, method, { path }, { signal });
    case 'save': {
      const savedAs = await freeName(savesDirectory, posix.basename(path));
      await askMount(client, method, { path, to: savedAs }, { signal, timeoutMs: SAVE_TIMEOUT_MS });
      return { savedAs };
    }
  }
}

/** A name that nothing has there; who is quicker than us makes the daemon refuse, which never writes over a file. */
async function freeName(directory: string, name: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { name: stem, ext } = parse(name);
  for (let number = 1; number <= COPIES_MAX; number += 1) {
    const file = join(directory, number === 1 ? name : `${stem} (${number})${ext}`);
    if (!(await isThere(file))) return file;
  }
  throw new Error(`${directory} has ${COPIES_MAX} copies of ${name} already: remove some`);
}

async function isThere(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
