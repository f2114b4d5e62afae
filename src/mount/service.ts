// Which service a mount's source means: the drive of a stored connection or pool, or an emulator of its own over a directory; whose drive it is,
// and the lock that keeps it to one mount. Part of the composition root.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Deadline } from '../base/deadline.ts';
import { createLog } from '../base/log.ts';
import type { Stops } from '../base/stops.ts';
import { lockAccount } from '../cache/account-lock.ts';
import { recallAccount, rememberAccount } from '../cache/account-names.ts';
import type { MountConfig } from '../config.ts';
import { openConnectionStore } from '../connections/store.ts';
import { demoData } from '../emulator/demo-content.ts';
import { startEmulatorProcess } from '../emulator/process.ts';
import { RemoteError, type RemoteAccount } from '../remote-drive.ts';
import {
  createPoolDrive,
  createSyncplicityDrive,
  type PoolDrive,
  type SyncplicityDrive,
} from '../syncplicity/drive.ts';
import type { MemberOptions } from '../syncplicity/options.ts';

const log = createLog('mount');

/** How long a start waits to learn whose drive it is before it goes on with what the last start learnt. */
const ACCOUNT_LIMIT_MS = 10_000;

/** A drive, and what it is known by. */
export interface Service {
  readonly drive: SyncplicityDrive;
  /** The same, where it is a pool's: to be opened first. */
  readonly pool: PoolDrive | undefined;
  /** What the account is remembered under between starts. */
  readonly key: string;
  /** The connections behind it, in the pool's order: the account is remembered as each one's too. */
  readonly members: readonly [ServiceMember, ...ServiceMember[]];
}

/** One connection of a service. */
export interface ServiceMember {
  readonly id: string;
  /** Host part of the account directory's name. */
  readonly host: string;
  readonly asUser: string | undefined;
}

/** The drive of the config's source; an emulator is started first where the source is one. `warn` gets lines for the user. */
export async function openService(config: MountConfig, stops: Stops, warn: (line: string) => void): Promise<Service> {
  const { bandwidth } = config;
  const ca = config.caFile === undefined ? undefined : await readCertificates(config.caFile);
  const openEmulated = async (dataDirectory: string, layout: 'single' | 'children', name: string): Promise<Service> => {
    const key = config.instance === undefined ? name : `${name}@${config.instance}`;
    const directory = join(config.stateDirectory, 'emulators', key);
    takeLock(directory, config, stops);
    const emulator = await startEmulatorProcess({
      programFile: process.argv[1] ?? '',
      dataDirectory,
      layout,
      stateDirectory: join(directory, 'service'),
    });
    stops.add('emulator', () => emulator.stop());
    const { appKey, appSecret, appToken } = emulator.credentials;
    const credentials = { clientId: appKey, clientSecret: appSecret, appToken };
    const member = memberOptions({ id: key, name }, { credentials, apiUrl: emulator.gatewayUrl }, config);
    // Its calls cost nobody anything.
    const budget = { perSecond: 0, perHour: 0 };
    const drive = createSyncplicityDrive({ ...member, ca, budget, bandwidth });
    return { drive, pool: undefined, key, members: [serviceMember(key, member)] };
  };
  if (config.source.kind === 'demo') {
    return openEmulated(await demoData(join(config.stateDirectory, 'demo')), 'children', 'demo');
  }
  const { connectionId: key } = config.source;
  const budget = { perSecond: config.callsPerSecond, perHour: config.callsPerHour };
  const store = openConnectionStore(config.configDirectory, (message) => log('%s', message));
  const found = await store.find(key);
  if (found?.group === true) {
    const connections = await store.members(key);
    const options = await Promise.all(
      connections.map(async (connection) => {
        const auth = await store.auth(connection.id);
        if (auth.platform === 'fs')
          throw new Error(`"${connection.name}" is a directory: pools of them are not mounted`);
        return memberOptions(connection, auth, config);
      }),
    );
    const [first, ...more] = options;
    if (first === undefined) throw new Error(`the pool "${found.name}" has no connections`);
    const drive = createPoolDrive({ members: [first, ...more], ca, budget, bandwidth, report: warn });
    const members = more.map((member) => serviceMember(member.id, member));
    return { drive, pool: drive, key, members: [serviceMember(first.id, first), ...members] };
  }
  const auth = await store.auth(key);
  if (auth.platform === 'fs') return openEmulated(auth.directory, 'single', key);
  const member = memberOptions({ id: key, name: config.deviceName }, auth, config);
  const drive = createSyncplicityDrive({ ...member, ca, budget, bandwidth });
  return { drive, pool: undefined, key, members: [serviceMember(key, member)] };
}

/** A connection as a drive wants it. */
function memberOptions(
  { id, name }: { readonly id: string; readonly name: string },
  { credentials, apiUrl, golUrl }: Pick<MemberOptions, 'credentials' | 'apiUrl' | 'golUrl'>,
  { stateDirectory }: MountConfig,
): MemberOptions & { readonly id: string } {
  // The allowance belongs to the app key: connections and processes that share it share the file.
  const stateFile = join(stateDirectory, 'budgets', `${appKeyName(credentials.clientId)}.json`);
  return { id, name, credentials, apiUrl, golUrl, stateFile };
}

function serviceMember(id: string, { apiUrl, credentials }: MemberOptions): ServiceMember {
  const host = apiUrl === undefined ? 'api.syncplicity.com' : new URL(apiUrl).hostname;
  return { id, host, asUser: credentials.asUser };
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

/** An account, and which connection showed it. */
export interface MountedAccount extends RemoteAccount, Pick<ServiceMember, 'host' | 'asUser'> {}

/** The account, from the service; when that is out of reach, as a former start learnt it. Wrong credentials fail the mount. */
export async function whoseDrive(service: Service, config: MountConfig): Promise<MountedAccount> {
  const { drive, pool, key, members } = service;
  const remembered = await recallShared(service, config);
  // Bounded by itself.
  await pool?.open(remembered?.userId);
  const slow = (): Error =>
    new RemoteError('unavailable', `the service did not answer within ${ACCOUNT_LIMIT_MS / 1000} s`);
  const deadline = new Deadline(ACCOUNT_LIMIT_MS, slow);
  try {
    const account = await drive.account({ signal: deadline.signal });
    const out = new Set(drive.statistics().members.flatMap((one) => (one.out === undefined ? [] : [one.id])));
    const showing = members.filter(({ id }) => !out.has(id));
    for (const known of new Set([key, ...showing.map(({ id }) => id)])) {
      await rememberAccount(config.stateDirectory, known, account);
    }
    return { ...account, ...placeOf(showing[0] ?? members[0]) };
  } catch (error) {
    const offline = error instanceof RemoteError && (error.kind === 'unavailable' || error.kind === 'throttled');
    if (!offline || remembered === undefined) throw error;
    console.error(`mounting offline: ${error.message}`);
    return { ...remembered, ...placeOf(members[0]) };
  } finally {
    deadline.release();
  }
}

function placeOf({ host, asUser }: ServiceMember): Pick<ServiceMember, 'host' | 'asUser'> {
  return { host, asUser };
}

/** Whose drive it was; of a pool only while one of its connections was seen to be that user's, for a pool is filled anew at any time. */
async function recallShared({ key, pool, members }: Service, config: MountConfig): Promise<RemoteAccount | undefined> {
  const account = await recallAccount(config.stateDirectory, key);
  if (pool === undefined || account === undefined) return account;
  const seen = await Promise.all(members.map(({ id }) => recallAccount(config.stateDirectory, id)));
  return seen.some((one) => one?.userId === account.userId) ? account : undefined;
}

/** Claims a state directory for this mount, or rejects with who has it. */
export function takeLock(directory: string, config: MountConfig, stops: Stops): void {
  const lock = lockAccount(directory, { pid: process.pid, mountpoint: config.mountpoint });
  if ('heldBy' in lock) throw new Error(heldMessage(lock.heldBy));
  stops.add('lock', () => lock.release());
}

function heldMessage(holder: { readonly pid: number; readonly mountpoint: string } | undefined): string {
  const where = holder === undefined ? 'by another process' : `on ${holder.mountpoint} by process ${holder.pid}`;
  return `this account is mounted already ${where}; unmount it first, or give this mount a state of its own with --instance NAME`;
}
