// What a source is reached through: a stored connection, those of a pool, or an emulator over a directory of this machine, which is started
// first. Mounts and commands that make single calls get the same, with one budget for each app key.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLog } from '../base/log.ts';
import type { Stops } from '../base/stops.ts';
import { lockAccount } from '../cache/account-lock.ts';
import type { MountConfig } from '../config.ts';
import { openConnectionStore } from '../connections/store.ts';
import { demoData } from '../emulator/demo-content.ts';
import { startEmulatorProcess, type EmulatorProcess } from '../emulator/process.ts';
import type { BudgetLimits, MemberOptions } from '../syncplicity/options.ts';

const log = createLog('mount');

/** A connection as a drive wants it. */
export type AccessMember = MemberOptions & { readonly id: string };

/** An emulator's address and credentials. */
export type EmulatorAccess = Pick<EmulatorProcess, 'gatewayUrl' | 'credentials'>;

/** How a source is reached. Holds secrets. */
export interface Access {
  /** What the account is remembered under between starts. */
  readonly key: string;
  readonly isPool: boolean;
  /** In the pool's order. */
  readonly members: readonly [AccessMember, ...AccessMember[]];
  readonly budget: Pick<BudgetLimits, 'perSecond' | 'perHour'>;
  readonly ca: string | undefined;
  /** The emulator behind it, where there is one: its calls cost nobody anything. */
  readonly emulator: EmulatorAccess | undefined;
}

/** What of a mount's config says how its source is reached. */
export type AccessConfig = Pick<
  MountConfig,
  'source' | 'instance' | 'stateDirectory' | 'configDirectory' | 'caFile' | 'callsPerSecond' | 'callsPerHour' | 'asUser'
> & {
  /** Undefined: nothing is mounted, a command makes single calls. */
  readonly mountpoint: string | undefined;
};

/** The access to the config's source. What it starts is stopped with `stops`; `warn` gets lines about it. */
export async function openAccess(config: AccessConfig, stops: Stops, warn: (line: string) => void): Promise<Access> {
  const { source, stateDirectory } = config;
  const ca = config.caFile === undefined ? undefined : await readCertificates(config.caFile);
  const emulated = async (dataDirectory: string, layout: 'single' | 'children', name: string): Promise<Access> => {
    const key = config.instance === undefined ? name : `${name}@${config.instance}`;
    const directory = join(stateDirectory, 'emulators', key);
    takeLock(directory, config, stops);
    const emulator = await startEmulatorProcess({
      programFile: process.argv[1] ?? '',
      dataDirectory,
      layout,
      stateDirectory: join(directory, 'service'),
      warn,
    });
    stops.add('emulator', () => emulator.stop());
    return emulatorAccess(key, name, emulator, stateDirectory);
  };
  if (source.kind === 'demo') return emulated(await demoData(join(stateDirectory, 'demo')), 'children', 'demo');
  const { connectionId: key } = source;
  const budget = { perSecond: config.callsPerSecond, perHour: config.callsPerHour };
  const shared = { key, budget, ca, emulator: undefined };
  const store = openConnectionStore(config.configDirectory, (message) => log('%s', message));
  const found = await store.find(key);
  if (found?.group === true) {
    const connections = await store.members(key);
    const members = await Promise.all(
      connections.map(async (connection) => {
        const auth = await store.auth(connection.id);
        if (auth.platform === 'fs')
          throw new Error(`"${connection.name}" is a directory: pools of them are not mounted`);
        return memberOf(connection, auth, config);
      }),
    );
    const [first, ...more] = members;
    if (first === undefined) throw new Error(`the pool "${found.name}" has no connections`);
    return { ...shared, isPool: true, members: [first, ...more] };
  }
  const auth = await store.auth(key);
  if (auth.platform === 'fs') return emulated(auth.directory, 'single', key);
  return { ...shared, isPool: false, members: [memberOf({ id: key, name: found?.name ?? key }, auth, config)] };
}

/** The access to an emulator that runs. */
export function emulatorAccess(
  key: string,
  name: string,
  { gatewayUrl, credentials: { appKey, appSecret, appToken } }: EmulatorAccess,
  stateDirectory: string,
): Access {
  const credentials = { clientId: appKey, clientSecret: appSecret, appToken };
  return {
    key,
    isPool: false,
    members: [memberOf({ id: key, name }, { credentials, apiUrl: gatewayUrl }, { stateDirectory, asUser: undefined })],
    // Its calls cost nobody anything.
    budget: { perSecond: 0, perHour: 0 },
    ca: undefined,
    emulator: { gatewayUrl, credentials: { appKey, appSecret, appToken } },
  };
}

function memberOf(
  { id, name }: { readonly id: string; readonly name: string },
  { credentials: own, apiUrl, golUrl }: Pick<MemberOptions, 'credentials' | 'apiUrl' | 'golUrl'>,
  { stateDirectory, asUser }: Pick<AccessConfig, 'stateDirectory' | 'asUser'>,
): AccessMember {
  const credentials = asUser === undefined ? own : { ...own, asUser };
  // The allowance belongs to the app key: connections and processes that share it share the file.
  const stateFile = join(stateDirectory, 'budgets', `${appKeyName(credentials.clientId)}.json`);
  return { id, name, credentials, apiUrl, golUrl, stateFile };
}

/** A file name for an app key that does not tell it. */
function appKeyName(appKey: string): string {
  return createHash('sha256').update(appKey).digest('hex').slice(0, 32);
}

async function readCertificates(path: string): Promise<string> {
  const text = await readFile(path, 'utf8');
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new Error(`${path} holds no PEM certificate`);
  return text;
}

/** Claims a state directory for this mount or command, or rejects with who has it. */
export function takeLock(directory: string, { mountpoint }: Pick<AccessConfig, 'mountpoint'>, stops: Stops): void {
  const lock = lockAccount(directory, { pid: process.pid, mountpoint: mountpoint ?? '' });
  if ('heldBy' in lock) throw new Error(heldMessage(lock.heldBy));
  stops.add('lock', () => lock.release());
}

function heldMessage(holder: { readonly pid: number; readonly mountpoint: string } | undefined): string {
  if (holder?.mountpoint === '') {
    return `a command of syncplicityfs uses this account (process ${holder.pid}); try again when it has ended`;
  }
  const where = holder === undefined ? 'by another process' : `on ${holder.mountpoint} by process ${holder.pid}`;
  return `this account is mounted already ${where}; unmount it first, or give this mount a state of its own with --instance NAME`;
}
