// The transport through the package fuse-native, which goes through libfuse 2: for machines whose kernel is not spoken to directly.
// libfuse's threads wait for this process's event loop; one thread of libuv's pool waits for them to end. What this transport cannot
// do is in doc/SEMANTICS.md.
import { access, open, readFile } from 'node:fs/promises';
import koffi from 'koffi';
import { deferred } from '../../base/deferred.ts';
import { errno } from '../../base/errno.ts';
import { createLog } from '../../base/log.ts';
import { findMount } from '../../base/mount-table.ts';
import { FsError, type KernelCache } from '../../fs-ops/operations.ts';
import { deviceMissing } from '../mounting/device.ts';
import { prepareMountpoint } from '../mounting/mountpoint.ts';
import { checkKernelOptions, hasOption } from '../mounting/options.ts';
import { ALLOW_OTHER_REFUSED, FUSERMOUNT_MISSING, detach, fusermount, unmountOurs } from '../mounting/unmount.ts';
import type { MountEnd, Transport, TransportMount, TransportMountOptions } from '../transport.ts';
import { loadBinding, type Binding, type ServingThread } from './binding.ts';
import { passOmittedTimes } from './omitted-times.ts';
import { LIFETIME_SECONDS, libfuseOptions } from './option-string.ts';
import { Session } from './session.ts';

const log = createLog('fuse');

/** The kernel's first message needs nobody else. */
const INIT_TIMEOUT_MS = 10_000;

/** libfuse 2's high level has no way to tell the kernel anything: what it knows has a short lifetime instead. */
const noCache: KernelCache = {
  invalidateEntry: () => undefined,
  invalidateNode: () => undefined,
  canExpireNames: () => false,
  expireNames: () => false,
};

/** Throws FsError with one line where the package or its library cannot be had. */
export function createFuseNativeTransport(): Transport {
  const binding = loadBinding();
  let used = false;
  return {
    cache: noCache,
    mount(options) {
      if (used) throw new FsError(errno.EBUSY, 'a transport mounts once');
      used = true;
      return mountWith(binding, options);
    },
  };
}

/** Which libfuse would serve a mount. Throws FsError with one line where none can be had. */
export function fuseNativeVersion(): string {
  return `libfuse ${loadBinding().libraryVersion}`;
}

async function mountWith(binding: Binding, options: TransportMountOptions): Promise<TransportMount> {
  checkKernelOptions(options.kernelOptions);
  const mountpoint = await prepareMountpoint(options.mountpoint, {
    nonEmpty: hasOption(options.kernelOptions, 'nonempty'),
  });
  await requireMeans(options);
  const session = new Session(options.operations, (name) => binding.signal(name), options.timesRequests);
  const ready = deferred<undefined>();
  const thread = await startServing(binding, mountpoint, options, session, () => ready.resolve(undefined));
  if (!passOmittedTimes(thread.memory, mountpoint, LIFETIME_SECONDS))
    log('this libfuse drops times that are set one at a time');
  const finished = untilEnded(thread.number).then(async (): Promise<MountEnd> => {
    ready.reject(new FsError(errno.ENODEV, 'the mount was taken away before it answered'));
    await session.end();
    thread.ended();
    return { reason: 'unmounted' };
  });
  const timer = setTimeout(() => {
    ready.reject(new FsError(errno.EIO, `the kernel sent nothing within ${INIT_TIMEOUT_MS / 1000} s`));
  }, INIT_TIMEOUT_MS);
  try {
    await ready.promise;
  } catch (error) {
    await detach(mountpoint, { lazy: true });
    throw error;
  } finally {
    clearTimeout(timer);
  }
  const device = (await findMount(mountpoint))?.device;
  log('mounted on %s through libfuse %s', mountpoint, binding.libraryVersion);
  return {
    mountpoint,
    finished,
    statistics: () => ({
      byOpcode: session.byOpcode(),
      pending: session.pendingCount,
      protocol: `libfuse ${binding.libraryVersion}`,
    }),
    async unmount({ lazy = false } = {}) {
      await unmountOurs(mountpoint, device, lazy);
      if (!lazy) session.abort();
    },
  };
}

async function startServing(
  binding: Binding,
  mountpoint: string,
  options: TransportMountOptions,
  session: Session,
  onReady: () => void,
): Promise<ServingThread> {
  try {
    return binding.mount(mountpoint, libfuseOptions(options), session.handlers(onReady));
  } catch (error) {
    // It may have mounted before it refused to serve.
    if ((await findMount(mountpoint)) !== undefined) await detach(mountpoint, { lazy: true });
    if (error instanceof FsError) throw error;
    throw new FsError(
      errno.EIO,
      `${mountpoint} could not be mounted: libfuse refused, and wrote its reason to the log`,
      {
        cause: error,
      },
    );
  }
}

/** Throws FsError for what libfuse would refuse with a line on stderr only. */
async function requireMeans(options: TransportMountOptions): Promise<void> {
  if (process.platform !== 'linux') return;
  const isRoot = process.geteuid?.() === 0;
  try {
    // An ordinary user gets it opened by fusermount.
    if (isRoot) await (await open('/dev/fuse', 'r+')).close();
    else await access('/dev/fuse');
  } catch (error) {
    throw deviceMissing(error);
  }
  if (isRoot) return;
  if ((await fusermount(['--version'])).kind === 'missing') throw new FsError(errno.ENOENT, FUSERMOUNT_MISSING);
  if (options.allowOther && !/^\s*user_allow_other\s*$/m.test(await fuseConfiguration()))
    throw new FsError(errno.EPERM, ALLOW_OTHER_REFUSED);
}

function fuseConfiguration(): Promise<string> {
  return readFile('/etc/fuse.conf', 'utf8').catch(() => '');
}

/** Resolves when a thread has ended. */
function untilEnded(thread: bigint): Promise<void> {
  const join = koffi.load(null).func('int pthread_join(uintptr_t thread, void *result)');
  return new Promise((resolve) => {
    join.async(thread, null, (error: Error | null, code: number) => {
      if (error !== null || code !== 0) log('waiting for libfuse failed: %s', error?.message ?? `code ${code}`);
      resolve();
    });
  });
}
