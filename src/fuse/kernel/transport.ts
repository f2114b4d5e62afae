// The kernel transport: mounts a file system by speaking to /dev/fuse directly. createKernelTransport() comes first, because
// the file system needs its `cache`; mount() then serves until the kernel lets go. Needs UV_THREADPOOL_SIZE as device.ts says.
import { readFileSync } from 'node:fs';
import { errno } from '../../base/errno.ts';
import { deferred } from '../../base/deferred.ts';
import { createLog } from '../../base/log.ts';
import { carriesMounts, findMount, parseMountTable } from '../../base/mount-table.ts';
import { FsError, type Operations } from '../../fs-ops/operations.ts';
import type { MountEnd, Transport, TransportMount, TransportMountOptions } from '../transport.ts';
import { BLOCKED_THREADS_MAX, Device } from './device.ts';
import { mountAsRoot } from './mounting/as-root.ts';
import { mountAsUser } from './mounting/as-user.ts';
import { prepareMountpoint } from '../mounting/mountpoint.ts';
import { checkKernelOptions, hasOption } from '../mounting/options.ts';
import { detach, unmountOurs } from '../mounting/unmount.ts';
import { Notifier } from './notifier.ts';
import type { Agreement } from './protocol/init.ts';
import { widenReadAhead } from './read-ahead.ts';
import { Session } from './session.ts';
import { RequestCounters, type TransportStatistics } from './statistics.ts';

export type { TransportStatistics } from './statistics.ts';

const log = createLog('fuse');

/** Two READs of the largest size: measured best with two cores (128 KiB: 0.5-1 GB/s, 1 MiB: 1.3-2, 2 MiB: 1.8-2.1, 4 MiB: 1.4). */
const READ_AHEAD_BYTES = 2 * 2 ** 20;
/** INIT is the kernel's first message and needs nobody else. */
const INIT_TIMEOUT_MS = 10_000;
/** Node's default thread pool. */
const THREADS_DEFAULT = 4;

/** With what only this transport knows. */
export interface KernelMountOptions extends TransportMountOptions {
  /** The kernel's read-ahead window; beyond 128 KiB only root gets it. Default 2 MiB. */
  readonly maxReadAheadBytes?: number | undefined;
}

export interface KernelMount extends TransportMount {
  statistics(): TransportStatistics;
}

export interface KernelTransport extends Transport {
  mount(options: KernelMountOptions): Promise<KernelMount>;
}

export function createKernelTransport(): KernelTransport {
  const notifier = new Notifier();
  let used = false;
  return {
    cache: notifier,
    mount(options) {
      if (used) throw new FsError(errno.EBUSY, 'a transport mounts once');
      used = true;
      return mountWith(notifier, options);
    },
  };
}

async function mountWith(notifier: Notifier, options: KernelMountOptions): Promise<KernelMount> {
  warnOfFewThreads();
  checkKernelOptions(options.kernelOptions);
  const mountpoint = await prepareMountpoint(options.mountpoint, {
    nonEmpty: hasOption(options.kernelOptions, 'nonempty'),
  });
  const root = process.geteuid?.() === 0;
  const maxReadAheadBytes = options.maxReadAheadBytes ?? READ_AHEAD_BYTES;
  const fd = await (root ? mountAsRoot(mountpoint, options) : mountAsUser(mountpoint, options));

  const counters = new RequestCounters(options.timesRequests);
  const { session, device, agreed, finished } = startServing(
    fd,
    notifier,
    counters,
    options.operations,
    maxReadAheadBytes,
  );
  let kernelDevice: string | undefined;
  let agreement: Agreement;
  let readAheadBytes: number | undefined;
  try {
    agreement = await agreed;
    kernelDevice = (await findMount(mountpoint))?.device;
    notifier.start(device, agreement, mountsOn(kernelDevice));
    if (kernelDevice !== undefined) {
      readAheadBytes = await widenReadAhead(kernelDevice, root ? maxReadAheadBytes : undefined);
    }
  } catch (error) {
    await detach(mountpoint, { lazy: true });
    throw error;
  }
  log('mounted on %s, FUSE 7.%d of 7.%d', mountpoint, agreement.minor, agreement.kernelMinor);

  return {
    mountpoint,
    finished,
    statistics: () => ({
      byOpcode: counters.byOpcode(),
      pending: session.pendingCount,
      interrupted: counters.interrupted,
      refusedReplies: counters.refusedReplies,
      malformed: counters.malformed,
      protocol: `7.${agreement.minor}`,
      readAheadBytes,
      notifications: notifier.statistics(),
    }),
    unmount: ({ lazy = false } = {}) => unmountOurs(mountpoint, kernelDevice, lazy),
  };
}

/** Whether something is mounted in here; asked of the mount table, since the kernel tells a file system nothing of that. */
function mountsOn(kernelDevice: string | undefined): () => boolean {
  return () => {
    if (kernelDevice === undefined) return false;
    try {
      return carriesMounts(parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8')), kernelDevice);
    } catch (error) {
      log('the mount table cannot be read: %O', error);
      return true;
    }
  };
}

interface Serving {
  readonly session: Session;
  readonly device: Device;
  /** Resolves with INIT; rejects if the kernel's version cannot be served, INIT does not come or the mount ends first. */
  readonly agreed: Promise<Agreement>;
  readonly finished: Promise<MountEnd>;
}

function startServing(
  fd: number,
  notifier: Notifier,
  counters: RequestCounters,
  operations: Operations,
  maxReadAheadBytes: number,
): Serving {
  const device = new Device(fd);
  const agreed = deferred<Agreement>();
  const finished = deferred<MountEnd>();
  const session = new Session({
    operations,
    channel: device,
    counters,
    events: { agreed: agreed.resolve, refused: agreed.reject },
    maxReadAheadBytes,
  });
  const timer = setTimeout(() => {
    agreed.reject(new FsError(errno.EIO, `the kernel sent no INIT within ${INIT_TIMEOUT_MS / 1000} s`));
  }, INIT_TIMEOUT_MS);
  device.start(
    (message, lengthBytes) => session.receive(message, lengthBytes),
    (end) => {
      notifier.stop();
      session.end();
      agreed.reject(end.error ?? new FsError(errno.ENODEV, 'the mount was taken away before it answered'));
      finished.resolve(end);
    },
  );
  const clear = (): void => clearTimeout(timer);
  agreed.promise.then(clear, clear);
  return { session, device, agreed: agreed.promise, finished: finished.promise };
}

function warnOfFewThreads(): void {
  const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? THREADS_DEFAULT);
  if (threads > BLOCKED_THREADS_MAX + 1) return;
  log(
    'UV_THREADPOOL_SIZE is %d: this transport alone may block %d threads; start the process with 11 or more',
    threads,
    BLOCKED_THREADS_MAX,
  );
}
