// The pusher that stores at a drive what programs do in a file system: with the file system, the write path without the kernel.
import type { RemoteDrive } from '../../../src/remote-drive.ts';
import { Pusher, type PusherOptions } from '../../../src/sync/pusher.ts';
import type { TestFileSystem } from '../../fs-ops/support/test-file-system.ts';

/** Not started. It waits for nothing to settle; what is a copy at the service is read from the drive. */
export function pusherFor(
  made: TestFileSystem,
  drive: RemoteDrive,
  uploadsMax = 2,
  more: Pick<PusherOptions, 'storesTimes' | 'purgesRemoved' | 'steadyMs' | 'onChange'> = {},
): Pusher {
  const { journal, listings, staging, fileSystem } = made;
  return new Pusher({
    journal,
    listings,
    drive,
    content: {
      seal: (staged, signal) => staging.seal(staged, signal),
      version: (content) => ({
        lengthBytes: content.lengthBytes,
        staged: undefined,
        sha256: () => Promise.resolve(undefined),
        async *read(offsetBytes, lengthBytes) {
          if (lengthBytes > 0) yield* await drive.read(content, { offsetBytes, lengthBytes });
        },
        makeDurable: () => Promise.resolve(),
        close: () => undefined,
      }),
      keep: () => undefined,
    },
    // In virtual time it is the only clock that goes.
    nowMs: () => Date.now(),
    ...more,
    settleMs: 0,
    uploadsMax,
    commitOpenFiles: (ageMs) => fileSystem.commitOpenFiles(ageMs),
  });
}
