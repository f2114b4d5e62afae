// The composition root: config -> a mounted drive. The one place that knows all rooms; it builds them in order, hands each
// what it needs, and stops them in the opposite order whoever ends the mount.
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { abortReason, delay } from './base/abort.ts';
import { Deadline } from './base/deadline.ts';
import { bootId } from './base/boot-id.ts';
import { lackOfRoom } from './base/disk-room.ts';
import { errno } from './base/errno.ts';
import { createLog } from './base/log.ts';
import { Stops } from './base/stops.ts';
import { accountDirectoryName } from './cache/account-names.ts';
import { openContentBlocks } from './cache/blocks.ts';
import { Journal, LOCAL_LAG_WINDOW_MS } from './cache/journal.ts';
import { Listings } from './cache/listings.ts';
import type { TreeDirectory, TreeNode } from './cache/tree.ts';
import { openTree } from './cache/tree/open-tree.ts';
import { Trust } from './cache/trust.ts';
import { cacheReserveBytes, type MountConfig } from './config.ts';
import { controlHandlers, type LeftChange } from './control/methods.ts';
import { serveControl } from './control/server.ts';
import type { MountStatus } from './control/status.ts';
import { Beside } from './fs-ops/beside.ts';
import { History } from './fs-ops/beside/history.ts';
import { Thumbnails } from './fs-ops/beside/thumbnails.ts';
import { FileSystem } from './fs-ops/file-system.ts';
import { findDirectory } from './fs-ops/find-directory.ts';
import { naming } from './fs-ops/names.ts';
import { FsError } from './fs-ops/operations.ts';
import type { Failure } from './fs-ops/waits.ts';
import { WithBeside } from './fs-ops/with-beside.ts';
import type { TransportMount } from './fuse/transport.ts';
import { openMetrics } from './metrics/metrics.ts';
import { takeLock } from './mount/access.ts';
import { mountedService, openService, whoseDrive } from './mount/service.ts';
import { locate } from './mount/locating.ts';
import { Linking } from './mount/linking.ts';
import { Notifying, openTelling } from './mount/notifying.ts';
import { readingsOf } from './mount/measuring.ts';
import { Pinning } from './mount/pinning.ts';
import { refreshPaths } from './mount/refreshing.ts';
import { forgetRefusedStart, tellRefusedStart } from './mount/refused-start.ts';
import { gatherStatus } from './mount/status.ts';
import { createTransport } from './mount/transports.ts';
import { openWriting } from './mount/writing.ts';
import type { RemoteDrive } from './remote-drive.ts';
import type { Pusher } from './sync/pusher.ts';
import { changeReports } from './sync/reports.ts';
import { Watcher } from './sync/watcher.ts';

const log = createLog('mount');

/** Programs repeat what fails: the log gets one line in this time. */
const FAILURE_LOG_INTERVAL_MS = 5_000;
/** Empty files kept for what is written next: as many as a folder of a working tree has. */
const SPARE_FILES = 1024;
/** Between two tries to unmount a mount that is in use. */
const BUSY_RETRY_MS = 200;
/** A mount that nobody uses ends sooner after it was unmounted. */
const LIVED_ON_MS = 2_000;

/** A mounted drive. */
export interface RunningMount {
  status(): Promise<MountStatus>;
  /** Unmounts; rejects when the mount stays busy for `timeoutMs` (default 0). `lazy` detaches it nevertheless. */
  unmount(options?: { readonly timeoutMs?: number; readonly lazy?: boolean }): Promise<void>;
  /** Resolves, never rejects, when the mount is gone, whoever ended it, and all that served it is stopped. */
  readonly finished: Promise<{ readonly reason: string; readonly error?: Error }>;
}

export interface MountHooks {
  readonly onReady?: () => void;
  /** Gets lines that users should see, before the mount answers and after. */
  readonly warn?: (line: string) => void;
}

/**
 * Builds and mounts the drive a config describes; resolves, after `onReady`, once the mount answers. Rejects with one line
 * for the user, and leaves nothing running.
 */
export async function startMount(config: MountConfig, hooks: MountHooks = {}): Promise<RunningMount> {
  const stops = new Stops();
  try {
    const running = await build(config, stops, hooks.warn ?? ((line): void => console.error(line)));
    await forgetRefusedStart(config);
    hooks.onReady?.();
    return running;
  } catch (error) {
    for (const failure of await stops.run()) log('%s', failure.message);
    await tellRefusedStart(error, config, process.env);
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

async function build(config: MountConfig, stops: Stops, warn: (line: string) => void): Promise<RunningMount> {
  // First: nothing is made where it cannot be had.
  const transport = createTransport(config.transport);
  await requireRoom(config.stateDirectory);
  const metrics = config.metrics === undefined ? undefined : await openMetrics(config.metrics);
  if (metrics !== undefined) {
    stops.add('metrics', () => metrics.stop());
    if (!metrics.isLoopback)
      warn(`whoever reaches ${metrics.url} can read the metrics of this mount: it asks for no password`);
  }
  const service = await openService(config, stops, warn);
  const { drive } = service;
  stops.add('service', () => drive.stop());
  const { userId, host, actsFor } = await whoseDrive(service, config);
  const accountName = accountDirectoryName({ host, userId, asUser: actsFor, instance: config.instance });
  const accountDirectory = join(config.stateDirectory, 'accounts', accountName);
  takeLock(accountDirectory, config, stops);

  const tree = await openTree(join(accountDirectory, 'tree'));
  stops.add('tree', () => tree.close());
  const callsAreFree = service.access.emulator !== undefined;
  const journal = new Journal(tree, bootId(), callsAreFree ? LOCAL_LAG_WINDOW_MS : undefined);
  const trust = new Trust({
    journal,
    lifetimeMs: config.listingLifetimeMs,
    backstopMs: config.backstopLifetimeMs,
    pollIntervalMs: config.pollIntervalMs,
  });
  const listings = new Listings({ journal, drive, naming, trust, callsAreFree });
  stops.add('listings', () => listings.stop());
  const blocks = await openContentBlocks({
    directory: join(config.cacheDirectory, 'accounts', accountName, 'blocks'),
    diskBytesMax: config.cacheSizeBytes,
    reserveBytes: cacheReserveBytes(config.stageReserveBytes),
    memoryBytesMax: config.memoryBytes,
    drive,
  });
  stops.add('content blocks', () => blocks.stop());
  const pinning = new Pinning(
    { journal, listings, blocks, drive, cacheBytesMax: config.cacheSizeBytes, opTimeoutMs: config.opTimeoutMs },
    stops,
  );
  const { staging, changes, pusher, decisions } = await openWriting(
    {
      accountDirectory,
      config,
      spareFilesMax: config.readOnly ? 0 : SPARE_FILES,
      journal,
      listings,
      blocks,
      drive,
      onChange: (syncpointId) => trust.changing(syncpointId),
      letGo: (inode, generation) => pinning.keeper.letGo(inode, generation),
      commitOpenFiles: (ageMs) => fileSystem.commitOpenFiles(ageMs),
    },
    stops,
  );

  const ownership = {
    uid: config.uid ?? process.getuid?.() ?? 0,
    gid: config.gid ?? process.getgid?.() ?? 0,
    umask: config.umask,
    keepsOwners: process.getuid?.() === 0 && config.uid === undefined && config.gid === undefined,
  };
  const path = config.source.kind === 'connection' ? config.source.path : '/';
  const rootInode = await findDirectory({ tree, listings, path, timeoutMs: config.opTimeoutMs });
  const fileSystem = new FileSystem({
    journal,
    changes,
    listings,
    staging,
    kernelCache: transport.cache,
    ownership,
    rootInode,
    readOnly: config.readOnly,
    opTimeoutMs: config.opTimeoutMs,
    onFailure: failureLog(),
    storing: {
      nudge: () => pusher.retryNow(),
      settled: (inodes, signal) => settled(pusher, inodes, signal),
      sending: (inode) => pusher.isSending(inode),
    },
    writeThrough: config.writeThrough,
    syncpoints: config.managesSyncpoints
      ? {
          create: (name, signal) => drive.createSyncpoint(name, { signal }),
          rename: (id, name, signal) => drive.renameSyncpoint(id, name, { signal }),
          remove: (id, signal) => drive.deleteSyncpoint(id, { signal }),
        }
      : undefined,
    pinning: pinning.attribute,
    links: new Linking({ journal, links: drive.links }),
    isHeldBack: () => drive.isHoldingBack(),
    callers: service.members.length,
    versionsMayGo: callsAreFree,
    prepareRead: (vaultId) => drive.prepareRead(vaultId),
    fetchAhead: (file) => {
      const version = journal.version(file);
      return version === undefined ? () => undefined : blocks.fetchAhead(version);
    },
    moves: {
      cost: (node, target) => moveCost(journal, drive, node, target),
      uncachedBytes: (file, bytesMax) => {
        const version = journal.version(file);
        return version === undefined ? file.lengthBytes : blocks.uncachedBytes(version, bytesMax);
      },
      filesMax: config.exdevFilesMax,
      bytesMax: config.exdevBytesMax,
    },
  });
  stops.add('file system', () => fileSystem.stop());

  const beside = new Beside({
    fileSystem,
    journal,
    shelves: [
      new History({ fileSystem, journal, drive, reader: (content) => blocks.reader(content) }),
      new Thumbnails({ fileSystem, journal, thumbnails: drive.thumbnails }),
    ],
    isHeldBack: () => drive.isHoldingBack(),
  });
  stops.add('what is beside the files', () => beside.stop());

  const kernelMount = await transport.mount({
    operations: new WithBeside(fileSystem, beside),
    mountpoint: config.mountpoint,
    deviceName: config.deviceName,
    readOnly: config.readOnly,
    allowOther: config.allowOther,
    kernelOptions: config.kernelOptions,
    timesRequests: metrics !== undefined,
  });
  stops.add('mount', async () => {
    await kernelMount.unmount({ lazy: true });
    await kernelMount.finished;
  });
  if (config.pollIntervalMs > 0) {
    const watcher = new Watcher({
      tree,
      listings,
      intervalMs: config.pollIntervalMs,
      callsLeft: () => {
        const { perHour, leftThisHour } = drive.statistics().budget;
        return perHour === 0 ? 1 : leftThisHour / perHour;
      },
      onIdle: () => fileSystem.expireNames(),
      onWoken: () => drive.woken(),
    });
    stops.add('watcher', () => watcher.stop());
    watcher.start();
  }
  // A mount that may not write leaves what an earlier one wrote in the journal.
  if (!config.readOnly) pusher.start();
  const notifying = new Notifying({
    journal,
    signIns: drive.signIns,
    mountpoint: config.mountpoint,
    file: join(accountDirectory, 'told.json'),
    telling: openTelling(config.notifications, warn),
  });
  stops.add('notifications', () => notifying.stop());
  notifying.start();
  const pinKeeper = pinning.keeper;
  pinKeeper.start();
  const identity = {
    mountpoint: config.mountpoint,
    connection: config.connectionName,
    root: path,
    pid: process.pid,
    transport: config.transport,
    metrics: metrics?.url ?? null,
    since: new Date().toISOString(),
    readOnly: config.readOnly,
    online: true,
  } as const;
  const stagedBytes = (generation: number): number => staging.abandoned(generation).lengthBytes;
  const sources = { drive, listings, blocks, journal, pusher, pinKeeper, fileSystem, kernelMount, stagedBytes };
  const status = (itemsMax = Infinity): Promise<MountStatus> => gatherStatus(identity, sources, itemsMax);
  if (metrics !== undefined) {
    await metrics.begin(await readingsOf(identity, sources, config));
    // Again, before what it asks is stopped.
    stops.add('metrics', () => metrics.stop());
  }
  let ending = new AbortController();
  /** When somebody had it unmounted, who did not want this process to end whatever happens. */
  let unmountedMs = Infinity;
  const unmount: RunningMount['unmount'] = async (options) => {
    ending.abort(new Error('the mount is being ended'));
    unmountedMs = Infinity;
    try {
      await unmountWhenFree(kernelMount, options?.timeoutMs ?? 0, options?.lazy ?? false);
    } catch (error) {
      ending = new AbortController();
      throw error;
    }
  };
  const left = (latestMs = Infinity): LeftChange[] => leftChanges(journal, pusher, latestMs);
  let changesKept: number | undefined;
  const control = await serveControl({
    runtimeDirectories: config.runtimeDirectories,
    mountpoint: config.mountpoint,
    handlers: controlHandlers({
      status,
      flush: async (timeoutMs, signal) => {
        return left(await flushWithin(pusher, timeoutMs, signal));
      },
      left: () => left(),
      unmount: async (options) => {
        await unmount(options);
        unmountedMs = performance.now();
        changesKept ??= left().length;
      },
      changesLeft: () => changesKept ?? left().length,
      retry: (at) => decisions.retry(at),
      discard: (at) => Promise.resolve(at).then((path) => decisions.discard(path)),
      save: (at, to, signal) => decisions.save(at, to, signal),
      pause: () => {
        pinKeeper.pause();
        return pusher.pause();
      },
      resume: () => {
        pinKeeper.resume();
        pusher.resume();
      },
      pin: (paths, wait, signal) => pinning.pin(paths, wait, signal),
      unpin: (paths) => pinning.unpin(paths),
      free: (paths) => pinning.free(paths),
      locate: (at) => locate({ journal, listings, opTimeoutMs: config.opTimeoutMs }, at),
      service: () => mountedService(config, service.access),
      refresh: (paths, recursive, signal) =>
        refreshPaths({ tree, listings, believesEvents: config.pollIntervalMs > 0 }, paths, recursive, signal),
    }),
  });
  stops.add('control socket', () => control.stop());
  await stat(config.mountpoint);
  const finished = kernelMount.finished.then(async (end) => {
    // The last releases of the kernel are committed by now. An unmount that nobody asked this process for leaves it to bring what is
    // pending to the service, without a mountpoint, until somebody ends it or the next mount takes over. So does the end of a mount that
    // was used on elsewhere after it was unmounted here, as by a container: what was changed there meanwhile is nobody's to send but ours.
    if (performance.now() - unmountedMs > LIVED_ON_MS) ending = new AbortController();
    if (!config.readOnly) await pusher.flush(ending.signal);
    changesKept ??= left().length;
    const failures = await stops.run();
    const error = end.error ?? failures[0];
    return error === undefined ? { reason: end.reason } : { reason: end.reason, error };
  });
  return { status, unmount, finished };
}

/** What was changed until then and is not at the service, for people. */
function leftChanges(journal: Journal, pusher: Pusher, latestMs: number): LeftChange[] {
  return changeReports(journal, pusher)
    .filter(({ localOnly, sinceMs }) => !localOnly && sinceMs <= latestMs)
    .map(({ path, change, error, isHopeless }) => ({ path, change, error, failed: isHopeless }));
}

/** Waits as {@link Pusher.flush}, but not longer than that. Rejects when the one who asked leaves. */
async function flushWithin(pusher: Pusher, timeoutMs: number, signal: AbortSignal): Promise<number> {
  const slow = (): Error => new Error('the time is over');
  const deadline = new Deadline(timeoutMs, slow, [signal]);
  try {
    const latestMs = await pusher.flush(deadline.signal);
    if (signal.aborted) throw abortReason(signal);
    return latestMs;
  } finally {
    deadline.release();
  }
}

/** Resolves when what was changed of these inodes is stored; rejects as the service refuses it, or with the signal's reason. */
async function settled(pusher: Pusher, inodes: readonly number[], signal: AbortSignal): Promise<void> {
  await pusher.flush(signal, inodes);
  if (signal.aborted) throw abortReason(signal);
  const refused = pusher.refusalOf(inodes);
  if (refused !== undefined) throw refused;
}

/** Whether the service can move an object to another directory, as far as is known: what was not tried may well work. */
function moveCost(journal: Journal, drive: RemoteDrive, node: TreeNode, target: TreeDirectory): 'free' | 'copy' {
  const { tree } = journal;
  const place = journal.place(node.inode);
  // Never stored: there is nothing to be moved at the service.
  if (place === undefined) return 'free';
  const from = tree.syncpointOf(node)?.remote?.syncpointId;
  const to = tree.syncpointOf(target)?.remote?.syncpointId;
  if (from === undefined || from !== to) return 'copy';
  return drive.moveSupport(from, node.kind === 'directory' ? 'folder' : 'file') === 'no' ? 'copy' : 'free';
}

/** Unmounts; while programs use the mount, again until the time is over. Rejects with who uses it. */
async function unmountWhenFree(mount: TransportMount, timeoutMs: number, lazy: boolean): Promise<void> {
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
