// A file system that is written to and a pusher that stores what is written at a drive in memory, in real time.
import type { TreeDirectory } from '../../../src/cache/tree.ts';
import type { Pusher } from '../../../src/sync/pusher.ts';
import type { MemoryDrive } from '../../fakes/memory-drive.ts';
import { Program } from '../../fs-ops/support/program.ts';
import { nobody, TestFileSystem } from '../../fs-ops/support/test-file-system.ts';
import { pusherFor } from './pusher-for.ts';

const FLUSH_LIMIT_MS = 10_000;

export interface PushedDrive {
  readonly made: TestFileSystem;
  readonly pusher: Pusher;
  readonly program: Program;
  /** Has all stored that is pending. */
  readonly flush: () => Promise<unknown>;
  /** Brings a listing of the syncpoint P now. */
  readonly relist: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** The pusher is at work; the drive has a syncpoint P. */
export async function pushedDrive(drive: MemoryDrive): Promise<PushedDrive> {
  const made = await TestFileSystem.start(drive);
  const pusher = pusherFor(made, drive);
  pusher.start();
  return {
    made,
    pusher,
    program: new Program(made.fileSystem),
    flush: () => pusher.flush(AbortSignal.timeout(FLUSH_LIMIT_MS)),
    relist: () => made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal),
    stop: async () => {
      await pusher.stop();
      await made.stop();
    },
  };
}
