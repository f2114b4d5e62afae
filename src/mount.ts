// The composition root: config -> a mounted drive. The one place that knows all rooms; it builds them in order, hands each
// what it needs, and stops them in the opposite order whoever ends the mount.
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { delay } from './base/abort.ts';
import { Deadline } from './base/deadline.ts';
import { lackOfRoom } from './base/disk-room.ts';
import { errno } from './base/errno.ts';
import { createLog } from './base/log.ts';
import { processMemory } from './base/process-memory.ts';
import { Stops } from './base/stops.ts';
import { lockAccount } from './cache/account-lock.ts';
import { accountDirectoryName, recallAccount, rememberAccount } from './cache/account-names.ts';
import { openContentBlocks, type ContentBlocks } from './cache/blocks.ts';
import { Listings } from './cache/listings.ts';
import { openTree } from './cache/tree/open-tree.ts';
import type { MountConfig } from './config.ts';
import { openConnectionStore } from './connections/store.ts';
import { emptyStatus, type MountIdentity, type MountStatus } from './control/status.ts';
import { serveControl } from './control/server.ts';
import { demoData } from './emulator/demo-content.ts';
import { startEmulatorProcess } from './emulator/process.ts';
import { FileSystem } from './fs-ops/file-system.ts';
import { findDirectory } from './fs-ops/find-directory.ts';
import { naming } from './fs-ops/names.ts';
import type { Failure } from './fs-ops/waits.ts';
import { FsError } from './fs-ops/operations.ts';
import { createKernelTransport, type KernelMount } from './fuse/kernel/transport.ts';
import { RemoteError, type RemoteAccount } from './remote-drive.ts';
import { createSyncplicityDrive, type SyncplicityDrive } from './syncplicity/drive.ts';
import type { BudgetLimits, SyncplicityCredentials } from './syncplicity/options.ts';

const log = createLog('mount');

/** How long a start waits to learn whose drive it is before it goes on with what the last start learnt. */
const ACCOUNT_LIMIT_MS = 10_000;
/** How long `status` shows a request that got an error. */
const FAILURE_SHOWN_MS = 300_000;
/** Programs repeat what fails: the log gets one line in this time. */
const FAILURE_LOG_INTERVAL_MS = 5_000;
/** Between two tries to unmount a mount that is in use. */
const BUSY_RETRY_MS = 200;

/** A mounted drive. */
export interface RunningMount {
  status(): Promise<MountStatus>;
  /** Unmounts; rejects when the mount stays busy for `timeoutMs` (default 0). `lazy` detaches it nevertheless. */
  unmount(options?: { readonly timeoutMs?: number; readonly lazy?: boolean }): Promise<void>;
  /** Resolves, never rejects, when the mount is gone, whoever ended it, and all that served it is stopped. */
  readonly finished: Promise<{ readonly reason: string; readonly error?: Error }>;
}

/**
 * Builds and mounts the drive a config describes; resolves, after `onReady`, once the mount answers. Rejects with one line
 * for the user, and leaves nothing running.
 */
export async function startMount(config: MountConfig, hooks: { onReady?: () => void } = {}): Promise<RunningMount> {
  const stops = new Stops();
  try {
    const running = await build(config, stops);
    hooks.onReady?.();
    return running;
  } catch (error) {
    for (const failure of await stops.run()) log('%s', failure.message);
    const { code } = error as NodeJS.ErrnoException;
    // Writes fail without a path, and the cache does without a disk: it is the state that has none.
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
    throw new Error(fullMessage(`no space left for ${config.stateDirectory}`), { cause: error });
  }
}

/** Rejects where the databases of a mount would find no room. */
async function requireRoom(stateDirectory: string): Promise<void> {
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const lack = await lackOfRoom(stateDirectory);
  if (lack !== undefined) throw new Error(fullMessage(lack));
}

function fullMessage(lack: string): string {
  return `${lack}: free some, or set XDG_STATE_HOME to a directory on another disk`;
}

async function build(config: MountConfig, stops: Stops): Promise<RunningMount> {
  await requireRoom(config.stateDirectory);
  const { drive, host, key, asUser } = await openService(config, stops);
  stops.add('service', () => drive.stop());
  const account = await whoseDrive(drive, config, key);
  const accountName = accountDirectoryName({ host, userId: account.userId, asUser, instance: config.instance });
  const accountDirectory = join(config.stateDirectory, 'accounts', accountName);
  takeLock(accountDirectory, config, stops);

  const tree = await openTree(join(accountDirectory, 'tree'));
  stops.add('tree', () => tree.close());
  const listings = new Listings({ tree, drive, naming, lifetimeMs: config.listingLifetimeMs });
  stops.add('listings', () => listings.stop());
  const blocks = await openContentBlocks({
    directory: join(config.cacheDirectory, 'accounts', accountName, 'blocks'),
    diskBytesMax: config.cacheSizeBytes,
    memoryBytesMax: config.memoryBytes,
    drive,
  });
  stops.add('content blocks', () => blocks.stop());

  const transport = createKernelTransport();
  const ownership = {
    uid: config.uid ?? process.getuid?.() ?? 0,
    gid: config.gid ?? process.getgid?.() ?? 0,
    umask: config.umask,
  };
  const path = config.source.kind === 'connection' ? config.source.path : '/';
  const rootInode = await findDirectory({ tree, listings, path, timeoutMs: config.opTimeoutMs });
  const fileSystem = new FileSystem({
    tree,
    listings,
    blocks,
    kernelCache: transport.cache,
    ownership,
    rootInode,
    opTimeoutMs: config.opTimeoutMs,
    onFailure: failureLog(),
  });
  stops.add('file system', () => fileSystem.stop());

  const kernelMount = await transport.mount({
    operations: fileSystem,
    mountpoint: config.mountpoint,
    deviceName: config.deviceName,
    // Nothing can be written yet, whatever the options say: the kernel refuses with EROFS before it asks.
    readOnly: true,
    allowOther: config.allowOther,
    kernelOptions: config.kernelOptions,
  });
  stops.add('mount', async () => {
    await kernelMount.unmount({ lazy: true });
    await kernelMount.finished;
  });
  const identity = {
    mountpoint: config.mountpoint,
    connection: config.deviceName,
    root: path,
    pid: process.pid,
    transport: 'kernel',
    since: new Date().toISOString(),
    readOnly: true,
    online: true,
  } as const;
  const status = (): Promise<MountStatus> =>
    gatherStatus(identity, { drive, listings, blocks, fileSystem, kernelMount });
  const unmount: RunningMount['unmount'] = (options) =>
    unmountWhenFree(kernelMount, options?.timeoutMs ?? 0, options?.lazy ?? false);
  const control = await serveControl({
    runtimeDirectory: config.runtimeDirectory,
    mountpoint: config.mountpoint,
    handlers: {
      status,
      unmount: async (params) => {
        await unmount({ timeoutMs: Number(params['timeoutMs'] ?? 0), lazy: params['lazy'] === true });
        return null;
      },
    },
  });
  stops.add('control socket', () => control.stop());
  await stat(config.mountpoint);
  const finished = kernelMount.finished.then(async (end) => {
    const failures = await stops.run();
    const error = end.error ?? failures[0];
    return error === undefined ? { reason: end.reason } : { reason: end.reason, error };
  });
  return { status, unmount, finished };
}

type CallLimits = Pick<BudgetLimits, 'perSecond' | 'perHour'>;

interface Service {
  readonly drive: SyncplicityDrive;
  /** Host part of the account directory's name. */
  readonly host: string;
  /** What the account is remembered under between starts. */
  readonly key: string;
  readonly asUser: string | undefined;
}

/** The drive of the config's source; an emulator is started first where the source is one. */
async function openService(config: MountConfig, stops: Stops): Promise<Service> {
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
async function whoseDrive(drive: SyncplicityDrive, config: MountConfig, key: string): Promise<RemoteAccount> {
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
function takeLock(directory: string, config: MountConfig, stops: Stops): void {
  const lock = lockAccount(directory, { pid: process.pid, mountpoint: config.mountpoint });
  if ('heldBy' in lock) throw new Error(heldMessage(lock.heldBy));
  stops.add('lock', () => lock.release());
}

function heldMessage(holder: { readonly pid: number; readonly mountpoint: string } | undefined): string {
  const where = holder === undefined ? 'by another process' : `on ${holder.mountpoint} by process ${holder.pid}`;
  return `this account is mounted already ${where}; unmount it first, or give this mount a state of its own with --instance NAME`;
}

/** Unmounts; while programs use the mount, again until the time is over. Rejects with who uses it. */
async function unmountWhenFree(mount: KernelMount, timeoutMs: number, lazy: boolean): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    try {
      await mount.unmount({ lazy });
      return;
    } catch (error) {
      if (!(error instanceof FsError) || error.errno !== errno.EBUSY || performance.now() >= end) throw error;
      await delay(BUSY_RETRY_MS);
    }
  }
}

/** Writes failures to the daemon's log, with how many were left out in between. */
function failureLog(): (failure: Failure) => void {
  let lastMs = -Infinity;
  let leftOut = 0;
  return ({ reason }) => {
    if (performance.now() - lastMs < FAILURE_LOG_INTERVAL_MS) {
      leftOut += 1;
      return;
    }
    const more = leftOut === 0 ? '' : ` (and ${leftOut} more before it)`;
    console.error(`${new Date().toISOString()} a program got an error: ${reason}${more}`);
    lastMs = performance.now();
    leftOut = 0;
  };
}

interface StatusSources {
  readonly drive: SyncplicityDrive;
  readonly listings: Listings;
  readonly blocks: ContentBlocks;
  readonly fileSystem: FileSystem;
  readonly kernelMount: KernelMount;
}

async function gatherStatus(identity: MountIdentity, from: StatusSources): Promise<MountStatus> {
  const drive = from.drive.statistics();
  const blocks = from.blocks.statistics();
  const now = Date.now();
  const { perSecond, perHour, leftThisHour } = drive.budget;
  return {
    ...emptyStatus({ ...identity, online: drive.online }),
    waiting: [
      ...from.fileSystem.waiting().map(({ verb, path, waitedMs }) => ({
        path,
        operation: verb,
        reason: drive.lastError ?? 'waiting for the service',
        since: new Date(now - waitedMs).toISOString(),
      })),
      ...from.fileSystem
        .failures()
        .filter(({ atMs }) => now - atMs < FAILURE_SHOWN_MS)
        .map(({ verb, path, reason, atMs }) => ({
          path,
          operation: verb,
          reason,
          since: new Date(atMs).toISOString(),
        })),
    ],
    calls: {
      total: drive.total,
      byEndpoint: drive.byEndpoint,
      byClass: drive.byClass,
      throttled: drive.throttled,
      budget: { perSecond, perHour, leftThisHour },
    },
    cache: {
      memoryBytes: blocks.memoryBytes,
      diskBytes: blocks.diskBytes,
      hits: blocks.hits,
      misses: blocks.misses,
      staleListings: from.listings.statistics().stale,
    },
    prefetch: { unusedBytes: blocks.prefetchUnusedBytes },
    transfers: { bytesIn: drive.bytesIn, bytesOut: 0 },
    capabilities: capabilities(drive, from.kernelMount),
    memory: await processMemory(),
  };
}

/** What server and kernel were found to support, as names and words. */
function capabilities(drive: ReturnType<SyncplicityDrive['statistics']>, mount: KernelMount): Record<string, string> {
  const found: Record<string, string> = {
    folderListing: drive.capabilities.folderListing,
    lastEvent: drive.capabilities.lastEvent === undefined ? 'unknown' : drive.capabilities.lastEvent ? 'yes' : 'no',
  };
  for (const [id, vault] of Object.entries(drive.capabilities.vaults)) found[`ranges ${id}`] = vault.ranges;
  found['fuse'] = mount.statistics().protocol ?? 'unknown';
  return found;
}
