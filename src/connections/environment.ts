// A connection out of environment variables, for containers: one that nobody stored. Promises: once taken, its variables are in the
// environment of no child, and a _FILE variable names a file in the place of its value. Must not know who mounts it.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { UsageError } from '../base/usage-error.ts';
import { parseAuth, type SyncplicityAuth } from './auth-file.ts';

/** What the connection is called. No stored one may be. */
export const environmentConnectionName = 'env';

const PREFIX = 'SYNCPLICITYFS_';
/** The keys of an auth file that a variable may hold, SYNCPLICITYFS_CLIENT_ID and so on. */
const KEYS = [
  'client_id',
  'client_secret',
  'app_token',
  'machine_token',
  'storage_token',
  'as_user',
  'email',
  'admin_mode',
  'api_url',
  'gol_url',
  'xml_url',
] as const;
/** As of a Docker or Kubernetes secret, whose file often ends with a line break. */
const FILE_SUFFIX = '_FILE';

/** The names of all variables, for the manual and for tests. */
export const environmentVariables: readonly string[] = KEYS.map(variableOf);

function variableOf(key: string): string {
  return PREFIX + key.toUpperCase();
}

/** The environment is the process's: so is what was taken out of it. */
let taken: Readonly<Record<string, string>> = {};

/** Takes the variables out of the environment, once, before anything is started that would inherit them. */
export function takeEnvironmentConnection(environment: NodeJS.ProcessEnv): void {
  const found: Record<string, string> = {};
  for (const name of environmentVariables.flatMap((variable) => [variable, variable + FILE_SUFFIX])) {
    const value = environment[name];
    if (value !== undefined && value !== '') found[name] = value;
    Reflect.deleteProperty(environment, name);
  }
  taken = found;
}

/** What was taken, for the one child that needs it: the daemon of a mount of this connection. */
export function takenVariables(): Readonly<Record<string, string>> {
  return taken;
}

/** The credentials in the environment, with an id that is theirs alone; undefined where there are none. */
export async function environmentConnection(): Promise<{ id: string; auth: SyncplicityAuth } | undefined> {
  const fields: Record<string, string> = {};
  for (const key of KEYS) {
    const value = await valueOf(variableOf(key));
    if (value !== undefined) fields[key] = value;
  }
  if (Object.keys(fields).length === 0) return undefined;
  const { auth } = inWords(fields);
  if (auth.platform === 'fs') throw new Error('a directory has no credentials');
  const { clientId, appToken, machineToken } = auth.credentials;
  // State is remembered by id: another user's credentials must not find it. Tokens are random, so a part of the hash tells nothing.
  const hash = createHash('sha256').update(JSON.stringify([clientId, appToken, machineToken, auth.apiUrl]));
  return { id: `${environmentConnectionName}-${hash.digest('hex').slice(0, 24)}`, auth };
}

async function valueOf(variable: string): Promise<string | undefined> {
  const [value, file] = [taken[variable], taken[variable + FILE_SUFFIX]];
  if (value !== undefined && file !== undefined) {
    throw new UsageError(`${variable} and ${variable}${FILE_SUFFIX} exclude each other`);
  }
  if (file === undefined) return value;
  return (await readFile(file, 'utf8')).trim() || undefined;
}

function inWords(fields: Readonly<Record<string, string>>): ReturnType<typeof parseAuth> {
  try {
    return parseAuth('syncplicity', fields);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const key = /^"(\w+)"/.exec(error.message)?.[1] ?? '';
    const message = error.message.replace(`"${key}"`, variableOf(key));
    throw new UsageError(`the connection "env" of the environment: ${message}`, error.hint);
  }
}
