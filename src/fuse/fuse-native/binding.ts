// The native half of the package fuse-native: loaded on demand, typed. Its other half, index.js, is not used: it takes file handles,
// buffer lengths and modification times for something else (doc/decisions/0020-fuse-native.md). Loading it anywhere, or failing to,
// has no effect on the kernel transport.
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import koffi from 'koffi';
import { errno } from '../../base/errno.ts';
import { FsError } from '../../fs-ops/operations.ts';

/** The requests of libfuse's high level that the binding passes on, by its own names. */
export const operationNames = [
  'init',
  'access',
  'statfs',
  'fgetattr',
  'getattr',
  'flush',
  'fsync',
  'fsyncdir',
  'readdir',
  'truncate',
  'ftruncate',
  'utimens',
  'chown',
  'chmod',
  'mknod',
  'setxattr',
  'getxattr',
  'listxattr',
  'removexattr',
  'open',
  'opendir',
  'read',
  'write',
  'release',
  'releasedir',
  'create',
  'unlink',
  'rename',
  'link',
  'symlink',
  'mkdir',
  'rmdir',
] as const;

export type OperationName = (typeof operationNames)[number];

/** Memory of the libfuse thread that waits for an answer: it goes on when the request's signal is called with it. */
export type Waiting = Buffer;

/** Answers a request: the result is 0 or a count, or a negative errno; what follows depends on the request. Called once for each. */
export type Signal = (waiting: Waiting, result: number, ...rest: readonly unknown[]) => void;

/** Called for each request of one kind, with that request's arguments. Must not throw. */
export type Handler = (waiting: Waiting, operation: number, ...args: readonly unknown[]) => void;

/** Operations are numbered below this. */
const OPERATIONS_MAX = 35;
/** The binding copies both into arrays of this size, cutting what is longer. */
const TEXT_BYTES_MAX = 1024;

/** The thread of libfuse that serves a mount, and ends with it. */
export interface ServingThread {
  /** What the library keeps of it (fuse_thread_t). */
  readonly memory: Buffer;
  /** Its number, for pthread_join(3). */
  readonly number: bigint;
  /** To be called once it has ended: lets this process end too. */
  ended(): void;
}

/** What the native library exports, apart from its numbers and signals. */
interface NativeLibrary {
  readonly sizeof_fuse_thread_t: number;
  fuse_native_mount(
    mountpoint: string,
    options: string,
    thread: Buffer,
    self: object,
    allocate: (sizeBytes: number) => Buffer,
    handlers: readonly Handler[],
    implemented: Uint32Array,
  ): void;
  fuse_native_unmount(mountpoint: string, thread: Buffer): void;
}

/** Memory that the library goes on using after the end: its event handles are never closed. A few hundred bytes a mount and thread. */
const kept = new Set<object>();

export class Binding {
  readonly #native: NativeLibrary;
  /** As libfuse tells it, for example "2.9". */
  readonly libraryVersion: string;

  constructor(native: NativeLibrary, libraryVersion: string) {
    this.#native = native;
    this.libraryVersion = libraryVersion;
  }

  /** The function that answers requests of this kind. */
  signal(name: OperationName): Signal {
    return (this.#native as unknown as Record<string, Signal>)[`fuse_native_signal_${name}`] as Signal;
  }

  /**
   * Mounts; requests come from then on, `init` first. Throws where libfuse refuses; it writes its reason to stderr.
   */
  mount(mountpoint: string, options: string, handlers: ReadonlyMap<OperationName, Handler>): ServingThread {
    for (const text of [mountpoint, options]) {
      if (Buffer.byteLength(text) < TEXT_BYTES_MAX) continue;
      throw new FsError(errno.ENAMETOOLONG, `libfuse takes no more than ${TEXT_BYTES_MAX - 1} bytes: ${text}`);
    }
    // Every place must hold a function: the library makes a reference of each.
    const table: Handler[] = Array.from({ length: OPERATIONS_MAX - 1 }, () => () => undefined);
    const implemented = new Uint32Array(OPERATIONS_MAX);
    for (const [name, handler] of handlers) {
      const number = (this.#native as unknown as Record<string, number>)[`op_${name}`] as number;
      table[number] = handler;
      implemented[number] = 1;
    }
    const thread = Buffer.alloc(this.#native.sizeof_fuse_thread_t);
    kept.add(thread);
    const allocate = (sizeBytes: number): Buffer => {
      const memory = Buffer.alloc(sizeBytes);
      kept.add(memory);
      return memory;
    };
    this.#native.fuse_native_mount(mountpoint, options, thread, {}, allocate, table, implemented);
    return {
      memory: thread,
      number: thread.readBigUInt64LE(THREAD_OFFSET_BYTES),
      ended: () => this.#native.fuse_native_unmount(mountpoint, thread),
    };
  }
}

/** fuse_thread_t begins with the environment's address, then the thread. */
const THREAD_OFFSET_BYTES = 8;

let loaded: Binding | undefined;

/** Loads the package, once. Throws FsError with one line that says why it cannot be had. */
export function loadBinding(): Binding {
  loaded ??= load();
  return loaded;
}

function load(): Binding {
  try {
    const require = createRequire(import.meta.url);
    const manifest = require.resolve('fuse-native/package.json');
    const ofPackage = createRequire(manifest);
    const version = loadLibfuse(ofPackage);
    const open = ofPackage('node-gyp-build') as (directory: string) => NativeLibrary;
    return new Binding(open(dirname(manifest)), version);
  } catch (error) {
    const [reason = ''] = (error as Error).message.split('\n');
    const missing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    throw new FsError(
      errno.ENOTSUP,
      missing
        ? 'the package fuse-native is not installed: its installation needs libfuse 2 or a C compiler on this machine'
        : `the package fuse-native cannot be loaded: ${reason}`,
      { cause: error },
    );
  }
}

/**
 * Loads the libfuse that the package brings for this machine, so that the binding finds what it is linked with and no system package
 * needs to be installed. Elsewhere it must be the system's.
 */
function loadLibfuse(ofPackage: NodeJS.Require): string {
  if (process.platform !== 'linux' || process.arch !== 'x64') return '2';
  const { lib } = ofPackage('fuse-shared-library') as { readonly lib: string };
  const version = (koffi.load(lib, { global: true }).func('int fuse_version()') as () => number)();
  return `${Math.floor(version / 10)}.${version % 10}`;
}
