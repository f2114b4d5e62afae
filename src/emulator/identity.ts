// Who the emulated account is: made at random, or kept in a file so that it is the same after a restart.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../base/atomic-file.ts';

export interface Credentials {
  readonly appKey: string;
  readonly appSecret: string;
  readonly appToken: string;
  readonly machineToken: string;
  readonly userId: string;
  readonly email: string;
}

export type Identity = Credentials;

/** What is secret of it says so, wherever it may turn up. */
export function randomIdentity(): Identity {
  return {
    appKey: randomUUID(),
    appSecret: `emulated-secret-${randomBytes(24).toString('base64url')}`,
    appToken: `emulated-token-${randomBytes(48).toString('base64url')}`,
    machineToken: `emulated-machine-${randomBytes(48).toString('base64url')}`,
    userId: randomUUID(),
    email: 'user@emulator.invalid',
  };
}

/**
 * The identity kept in a state directory, made there (mode 0600) the first time. What `env` gives in
 * SYNCPLICITYFS_EMULATOR_APP_KEY, _APP_SECRET and _APP_TOKEN takes the place of what is kept.
 */
export async function keptIdentity(stateDirectory: string, env: NodeJS.ProcessEnv): Promise<Identity> {
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const path = join(stateDirectory, 'identity.json');
  const kept = (await readIdentity(path)) ?? (await writeIdentity(path));
  const given = (name: string): string | undefined => env[`SYNCPLICITYFS_EMULATOR_${name}`] || undefined;
  return {
    ...kept,
    appKey: given('APP_KEY') ?? kept.appKey,
    appSecret: given('APP_SECRET') ?? kept.appSecret,
    appToken: given('APP_TOKEN') ?? kept.appToken,
  };
}

async function readIdentity(path: string): Promise<Identity | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const value = JSON.parse(text) as Record<string, unknown>;
  for (const key of Object.keys(randomIdentity())) {
    if (typeof value[key] !== 'string') throw new Error(`${path} lacks ${key}: remove it to start with a new identity`);
  }
  return value as unknown as Identity;
}

async function writeIdentity(path: string): Promise<Identity> {
  const identity = randomIdentity();
  await replaceFile(path, `${JSON.stringify(identity, null, 2)}\n`, 0o600);
  return identity;
}

/** A GUID that follows from another, so that ids of one account stay what they were. */
export function derivedId(id: string, purpose: string): string {
  const hex = createHash('sha256').update(`${id} ${purpose}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
