// Which service a mount's source means: the drive of a stored connection, or an emulator of its own over a directory; whose drive it is,
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
import { createSyncplicityDrive, type SyncplicityDrive } from '../syncplicity/drive.ts';
import type { BudgetLimits, SyncplicityCredentials } from '../syncplicity/options.ts';

const log = createLog('mount');

/** How long a start waits to learn whose drive it is before it goes on with what the last start learnt. */
const ACCOUNT_LIMIT_MS = 10_000;

type CallLimits = Pick<BudgetLimits, 'perSecond' | 'perHour'>;

/** A drive, and what it is known by. */
export interface Service {
  readonly drive: SyncplicityDrive;
  /** Host part of the account directory's name. */
  readonly host: string;
  /** What the account is remembered under between starts. */
  readonly key: string;
  readonly asUser: string | undefined;
}

/** The drive of the config's source; an emulator is started first where the source is one. */
export async function openService(config: MountConfig, stops: Stops): Promise<Service> {
  const ca = config.caFile === undefined ? undefined : await readCertificates(config.caFile);
  const open = (
    credentials: SyncplicityCredentials,
    key: string,
    limits: CallLimits,
    apiUrl?: string,
    golUrl?: string,
  ): Service => ({
    drive: createSyncplicityDrive({
      credentials,
      apiUrl,
      golUrl,
      ca,
      budget: limits,
      // The allowance belongs to the app key: connections and processes that share it share the file.
      stateFile: join(config.stateDirectory, 'budgets', `${appKeyName(credentials.clientId)}.json`),
    }),
    host: apiUrl === undefined ? 'api.syncplicity.com' : new URL(apiUrl).hostname,
    key,
    asUser: credentials.asUser,
  });
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
    // Its calls cost nobody anything.
    const limits = { perSecond: 0, perHour: 0 };
    return open({ clientId: appKey, clientSecret: appSecret, appToken }, key, limits, emulator.gatewayUrl);
  };
  if (config.source.kind === 'demo') {
    return openEmulated(await demoData(join(config.stateDirectory, 'demo')), 'children', 'demo');
  }
  const limits = { perSecond: config.callsPerSecond, perHour: config.callsPerHour };
  const store = openConnectionStore(config.configDirectory, (message) => log('%s', message));
  const auth = await store.auth(config.source.connectionId);
  return auth.platform === 'fs'
    ? openEmulated(auth.directory, 'single', config.source.connectionId)
    : open(auth.credentials, config.source.connectionId, limits, auth.apiUrl, auth.golUrl);
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

/** The account, from the service; when that is out of reach, as a former start learnt it. Wrong credentials fail the mount. */
export async function whoseDrive(drive: SyncplicityDrive, config: MountConfig, key: string): Promise<RemoteAccount> {
  const remembered = await recallAccount(config.stateDirectory, key);
  const slow = (): Error =>
    new RemoteError('unavailable', `the service did not answer within ${ACCOUNT_LIMIT_MS / 1000} s`);
  const deadline = new Deadline(ACCOUNT_LIMIT_MS, slow);
  try {
    const account = await drive.account({ signal: deadline.signal });
    await rememberAccount(config.stateDirectory, key, account);
    return account;
  } catch (error) {
    const offline = error instanceof RemoteError && (error.kind === 'unavailable' || error.kind === 'throttled');
    if (!offline || remembered === undefined) throw error;
    console.error(`mounting offline: ${error.message}`);
    return remembered;
  } finally {
    deadline.release();
  }
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
