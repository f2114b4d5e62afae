// The drive of a mount's source, and whose drive it is. Part of the composition root.
import { Deadline } from '../base/deadline.ts';
import type { Stops } from '../base/stops.ts';
import { actingKey, recallAccount, rememberAccount } from '../cache/account-names.ts';
import type { MountConfig } from '../config.ts';
import type { MountedService } from '../control/methods.ts';
import { RemoteError, type RemoteAccount } from '../remote-drive.ts';
import {
  createPoolDrive,
  createSyncplicityDrive,
  type PoolDrive,
  type SyncplicityDrive,
} from '../syncplicity/drive.ts';
import { openAccess, type Access, type AccessMember } from './access.ts';

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
  /** For commands that make single calls beside the mount. */
  readonly access: Access;
}

/** One connection of a service. */
export interface ServiceMember {
  readonly id: string;
  /** Host part of the account directory's name. */
  readonly host: string;
}

/** The drive of the config's source; an emulator is started first where the source is one. `warn` gets lines for the user. */
export async function openService(config: MountConfig, stops: Stops, warn: (line: string) => void): Promise<Service> {
  const { bandwidth } = config;
  const access = await openAccess(config, stops, warn);
  const { key, isPool, budget, ca } = access;
  const [first, ...more] = access.members;
  const pool = isPool ? createPoolDrive({ members: access.members, ca, budget, bandwidth, report: warn }) : undefined;
  const drive = pool ?? createSyncplicityDrive({ ...first, ca, budget, bandwidth });
  return { drive, pool, key, members: [serviceMember(first), ...more.map(serviceMember)], access };
}

function serviceMember({ id, apiUrl }: AccessMember): ServiceMember {
  const host = apiUrl === undefined ? 'api.syncplicity.com' : new URL(apiUrl).hostname;
  return { id, host };
}

/** An account, and which connection showed it. */
export interface MountedAccount extends RemoteAccount, Pick<ServiceMember, 'host'> {}

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
      await rememberAccount(config.stateDirectory, actingKey(known, config.asUser), account);
    }
    return { ...account, host: (showing[0] ?? members[0]).host };
  } catch (error) {
    const offline = error instanceof RemoteError && (error.kind === 'unavailable' || error.kind === 'throttled');
    if (!offline || remembered === undefined) throw error;
    console.error(`mounting offline: ${error.message}`);
    return { ...remembered, host: members[0].host };
  } finally {
    deadline.release();
  }
}

/** Whose drive it was; of a pool only while one of its connections was seen to be that user's, for a pool is filled anew at any time. */
async function recallShared({ key, pool, members }: Service, config: MountConfig): Promise<RemoteAccount | undefined> {
  const recall = (known: string): Promise<RemoteAccount | undefined> =>
    recallAccount(config.stateDirectory, actingKey(known, config.asUser));
  const account = await recall(key);
  if (pool === undefined || account === undefined) return account;
  const seen = await Promise.all(members.map(({ id }) => recall(id)));
  return seen.some((one) => one?.userId === account.userId) ? account : undefined;
}

/** What a command needs to call the same service as the mount does. */
export function mountedService(config: MountConfig, { emulator }: Access): MountedService {
  const { source, caFile, callsPerSecond, callsPerHour, asUser } = config;
  const connectionId = source.kind === 'connection' ? source.connectionId : undefined;
  return { connectionId, caFile, callsPerSecond, callsPerHour, asUser, emulator };
}
