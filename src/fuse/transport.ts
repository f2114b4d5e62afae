// What a transport is to the composition root, whichever it is: createTransport() first, because the file system needs its `cache`,
// then mount(). fuse/kernel speaks to /dev/fuse itself; fuse/fuse-native goes through libfuse.
import type { KernelCache, Operations } from '../fs-ops/operations.ts';
import type { LatencySnapshot } from './latency-histogram.ts';

/** What a mount needs to know. */
export interface TransportMountOptions {
  readonly operations: Operations;
  /** An existing directory; empty, unless `kernelOptions` has "nonempty". */
  readonly mountpoint: string;
  /** What `mount` and `df` show as the device. */
  readonly deviceName: string;
  readonly readOnly: boolean;
  readonly allowOther: boolean;
  /** Further mount options, one each, as after -o. */
  readonly kernelOptions: readonly string[];
  /** Whether each request's time is taken, which costs two looks at the clock. Default: no. */
  readonly timesRequests?: boolean | undefined;
}

/** Why a mount ended. `device-error` carries the error. */
export interface MountEnd {
  readonly reason: 'unmounted' | 'aborted' | 'device-error';
  readonly error?: Error;
}

/** Counts of one kind of request. Bytes are of the replies' bodies. */
export interface OpcodeStatistics {
  readonly requests: number;
  readonly errors: number;
  readonly bytes: number;
  /** How long they took until their reply was written; undefined where that is not measured. What has no reply is in none. */
  readonly latency: LatencySnapshot | undefined;
}

/** A snapshot of what every transport counts. */
export interface RequestStatistics {
  /** By the kernel's names: LOOKUP, READ, ... Opcodes never seen are left out. */
  readonly byOpcode: Readonly<Record<string, OpcodeStatistics>>;
  /** Requests whose answer is not there yet. */
  readonly pending: number;
  /** What is spoken with the kernel, as "7.38", or through whom; undefined where that is not known yet. */
  readonly protocol: string | undefined;
}

/** A mount that is served. */
export interface TransportMount {
  /** The mountpoint without symbolic links. */
  readonly mountpoint: string;
  /** Resolves, never rejects, when the kernel has let go, whoever unmounted. Then no thread is blocked any more. */
  readonly finished: Promise<MountEnd>;
  statistics(): RequestStatistics;
  /**
   * Takes the mount out of the tree; `finished` follows once nobody uses it. Throws FsError EBUSY that says who uses it;
   * with `lazy` a busy mount disappears at once and lives on for those who use it. Nothing to do if it is gone already.
   */
  unmount(options?: { readonly lazy?: boolean }): Promise<void>;
}

/** One way to the kernel, for one mount. */
export interface Transport {
  /** Give this to the file system. Before mount() and after the end its calls do nothing. */
  readonly cache: KernelCache;
  /** Mounts, and resolves once the mount answers. May be called once. Throws FsError with a line for the user. */
  mount(options: TransportMountOptions): Promise<TransportMount>;
}
