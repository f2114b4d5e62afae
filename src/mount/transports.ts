// Which transports there are: the composition root takes one, `doctor` asks what could be had. Part of the composition root.
import { fuseNativeVersion, createFuseNativeTransport } from '../fuse/fuse-native/transport.ts';
import { createKernelTransport } from '../fuse/kernel/transport.ts';
import type { Transport } from '../fuse/transport.ts';
import type { MountConfig } from '../config.ts';

/** The transport of that name. Throws FsError with one line for the user where this machine has not got it. */
export function createTransport(name: MountConfig['transport']): Transport {
  if (name === 'kernel') return createKernelTransport();
  try {
    return createFuseNativeTransport();
  } catch (error) {
    const instead = process.platform === 'linux' ? '; without --transport the mount does without it' : '';
    throw new Error(`${(error as Error).message}${instead}`, { cause: error });
  }
}

/** The library behind the transport fuse-native, or why there is none. */
export function fuseNativeLibrary(): { readonly version: string } | { readonly missing: string } {
  try {
    return { version: fuseNativeVersion() };
  } catch (error) {
    return { missing: (error as Error).message };
  }
}
