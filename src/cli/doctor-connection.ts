// What a mount needs of one connection: that it can be reached, signs in, lists, and gives bytes.
import { readFile } from 'node:fs/promises';
import { isAbort } from '../base/abort.ts';
import { formatDuration } from '../base/quantities.ts';
import type { ConnectionAuth, SyncplicityAuth } from '../connections/auth-file.ts';
import { openDrive, type Region, regionOf, verifyConnection } from '../connections/verify.ts';
import { type RemoteDrive, RemoteError, type RemoteFile, type RemoteSyncpoint } from '../remote-drive.ts';
import type { Check, Finding } from './finding.ts';
import { SERVICE_ADVICE } from './service-advice.ts';

/** Long enough for a retry, short enough to wait for. */
const CHECK_TIMEOUT_MS = 30_000;
/** Certificates and time stamps of changed files suffer past this. */
const CLOCK_TOLERANCE_MS = 60_000;
const NOT_TRIED: Finding = { state: 'fail', detail: 'not tried: it needs the credentials' };
/** Top folders looked into for a file to read: each is a call. */
const FOLDERS_TRIED = 5;

/** The checks of one connection; the caller runs each once. */
export function connectionChecks(auth: ConnectionAuth, caFile: string | undefined): Check[] {
  if (auth.platform === 'fs') {
    return [
      {
        name: 'directory',
        look: async () => ({ state: 'ok', detail: (await verifyConnection(auth)).account }),
      },
    ];
  }
  const check = (name: string, look: () => Promise<Finding>): Check => ({ name, look: () => advised(look) });
  let isSignedIn = true;
  const signIn = check('credentials', () => credentials(auth, caFile));
  // Who cannot sign in would be told the same of each, after the longest wait where nothing answers.
  const signedIn = (name: string, look: () => Promise<Finding>): Check => ({
    name,
    look: () => (isSignedIn ? advised(look) : Promise.resolve(NOT_TRIED)),
  });
  return [
    check('clock', () => clock(auth, caFile)),
    {
      name: signIn.name,
      look: async () => {
        const finding = await signIn.look();
        isSignedIn = finding.state !== 'fail';
        return finding;
      },
    },
    check('region', () => region(auth, caFile)),
    signedIn('syncpoints', () => withDrive(auth, caFile, syncpoints)),
    signedIn('vaults', () => withDrive(auth, caFile, vaults)),
    signedIn('reading', () => withDrive(auth, caFile, reading)),
  ];
}

/** A failure of the service with what to do about it. */
async function advised(look: () => Promise<Finding>): Promise<Finding> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof RemoteError)
      return { state: 'fail', detail: error.message, advice: SERVICE_ADVICE[error.kind] };
    if (isAbort(error)) {
      return {
        state: 'fail',
        detail: `no answer within ${CHECK_TIMEOUT_MS / 1000} s`,
        advice: SERVICE_ADVICE.unavailable,
      };
    }
    throw error;
  }
}

async function clock(auth: SyncplicityAuth, caFile: string | undefined): Promise<Finding> {
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
  // Loaded here: most commands make no request.
  const { clockOffset } = await import('../connections/server-clock.ts');
  const offsetMs = await clockOffset(auth.apiUrl, { ca, signal: AbortSignal.timeout(CHECK_TIMEOUT_MS) });
  if (offsetMs === undefined) return { state: 'ok', detail: 'the gateway answers without telling its time' };
  if (Math.abs(offsetMs) <= CLOCK_TOLERANCE_MS) return { state: 'ok', detail: 'agrees with the gateway' };
  const direction = offsetMs > 0 ? 'ahead of' : 'behind';
  return {
    state: 'warn',
    detail: `this machine is ${formatDuration(Math.abs(offsetMs))} ${direction} the gateway`,
    advice: 'switch time synchronisation on: timedatectl set-ntp true',
  };
}

async function credentials(auth: SyncplicityAuth, caFile: string | undefined): Promise<Finding> {
  const signal = AbortSignal.timeout(CHECK_TIMEOUT_MS);
  const { account, actsFor } = await verifyConnection(auth, { caFile, signal });
  const acting = actsFor === undefined ? '' : `, acting for ${auth.credentials.asUser ?? actsFor}`;
  return { state: 'ok', detail: `signed in as ${account}${acting}` };
}

/** The first sign-in must be at the home region; the others let its token in afterwards. */
async function region(auth: SyncplicityAuth, caFile: string | undefined): Promise<Finding> {
  const signal = AbortSignal.timeout(CHECK_TIMEOUT_MS);
  let found: Region;
  try {
    found = await regionOf(auth, { caFile, signal });
  } catch (error) {
    // Without the look-up only those cannot work whose gateway it tells.
    const needsLookUp = auth.apiUrl === undefined && auth.credentials.email !== undefined;
    if (!(error instanceof RemoteError) || needsLookUp) throw error;
    return { state: 'warn', detail: `the home region cannot be told: ${error.message}` };
  }
  const { gateway, home } = found;
  if (home === undefined) return { state: 'ok', detail: `${gateway}, as the connection says` };
  if (home.gateway === gateway) return { state: 'ok', detail: `${gateway}, the home region${home.name}` };
  return {
    state: 'warn',
    detail: `${gateway}, but the home region${home.name} of the account is ${home.gateway}`,
    advice: 'add the connection again with the home region as api_url, or with email and without api_url',
  };
}

async function syncpoints(drive: RemoteDrive, signal: AbortSignal): Promise<Finding> {
  const count = (await drive.syncpoints({ signal })).length;
  if (count > 0) return { state: 'ok', detail: `${count} to be seen` };
  return {
    state: 'warn',
    detail: 'none: the mount will be empty',
    advice: 'create or get shared a folder in Syncplicity',
  };
}

async function vaults(drive: RemoteDrive, signal: AbortSignal): Promise<Finding> {
  const found = await drive.vaults({ signal });
  return { state: 'ok', detail: found.length === 0 ? 'none told' : found.map(({ name }) => name).join(', ') };
}

/** One byte of one file shows that tokens, addresses and certificates of a vault work. */
async function reading(drive: RemoteDrive, signal: AbortSignal): Promise<Finding> {
  const found = await anyFile(drive, signal);
  if (found === undefined) return { state: 'ok', detail: 'not tried: no file in the top folders' };
  const { syncpoint, file } = found;
  const { versionId, lengthBytes } = file;
  const content = { syncpointId: syncpoint.id, versionId, vaultId: syncpoint.vaultId, lengthBytes };
  const stream = await drive.read(content, { offsetBytes: 0, lengthBytes: 1 }, { signal });
  try {
    for await (const chunk of stream) {
      if (chunk.length > 0) return { state: 'ok', detail: `${file.name} in ${syncpoint.name} can be read` };
    }
    return { state: 'fail', detail: `${file.name} in ${syncpoint.name} came without content` };
  } finally {
    stream.close();
  }
}

async function anyFile(
  drive: RemoteDrive,
  signal: AbortSignal,
): Promise<{ syncpoint: RemoteSyncpoint; file: RemoteFile } | undefined> {
  for (const syncpoint of (await drive.syncpoints({ signal })).slice(0, FOLDERS_TRIED)) {
    for await (const batch of drive.list(syncpoint.id, syncpoint.rootFolderId, { signal })) {
      const file = batch.find((entry) => entry.kind === 'file' && entry.lengthBytes > 0);
      if (file?.kind === 'file') return { syncpoint, file };
    }
  }
  return undefined;
}

/** Runs a check on a drive of its own, so that a failure of one does not colour the next. */
async function withDrive(
  auth: SyncplicityAuth,
  caFile: string | undefined,
  look: (drive: RemoteDrive, signal: AbortSignal) => Promise<Finding>,
): Promise<Finding> {
  const drive = await openDrive(auth, caFile);
  try {
    return await look(drive, AbortSignal.timeout(CHECK_TIMEOUT_MS));
  } finally {
    await drive.stop();
  }
}
