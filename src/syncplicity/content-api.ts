// The service for single calls, without a mount: one connection's gateway, and its drive for what mounts ask for too. The calls themselves
// are in content/, one file for each area of the API.
import { RemoteError } from '../remote-drive.ts';
import type { CallOptions, RemoteAccount } from '../remote-drive.ts';
import { driveOf } from './drive.ts';
import type { SyncplicityDrive } from './drive.ts';
import { Gateway } from './gateway.ts';
import { Members } from './members/members.ts';
import type { MemberOptions, PoolOptions } from './options.ts';
import { Regions } from './regions.ts';
import { openLine } from './service-line.ts';

/** A connection that signed in. Its owner stops it. */
export interface ContentApi {
  readonly gateway: Gateway;
  /** The same connection, for listing and reading. */
  readonly drive: SyncplicityDrive;
  readonly account: RemoteAccount;
  /** Whom calls act for, where that is another user: a GUID or an e-mail address. */
  readonly asUser: string | undefined;
  /** The other regions of the service. */
  readonly regions: Regions;
  stop(): Promise<void>;
}

/** Signs in. Of several members the first that can does all calls; rejects with RemoteError as the last of them did. */
export async function openContentApi(options: PoolOptions, call: CallOptions): Promise<ContentApi> {
  const [first, ...more] = options.members;
  let opened = await signIn(options, first, call);
  for (const member of more) {
    if (!(opened instanceof RemoteError)) break;
    opened = await signIn(options, member, call);
  }
  if (opened instanceof RemoteError) throw opened;
  return opened;
}

/** A member's refusal is an answer: another one may be let in. */
async function signIn(
  options: PoolOptions,
  member: MemberOptions,
  call: CallOptions,
): Promise<ContentApi | RemoteError> {
  const { line, make } = openLine(options, 1);
  const made = make(member);
  const members = new Members([made], undefined);
  const drive = driveOf(line, members);
  try {
    const account = await drive.account(call);
    const gateway = new Gateway({ ...line, members });
    const regions = new Regions({ ...line, member: made, options: member, email: account.email });
    return { gateway, drive, account, asUser: made.session.asUser, regions, stop: () => drive.stop() };
  } catch (error) {
    await drive.stop();
    if (error instanceof RemoteError && call.signal?.aborted !== true) return error;
    throw error;
  }
}
