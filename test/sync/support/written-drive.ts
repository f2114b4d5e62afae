// A file system that is written to, a pusher that stores what is written at a drive in memory, and virtual time: what most tests of the
// pusher begin with.
import { expect } from 'vitest';
import { isPending } from '../../../src/cache/journal.ts';
import type { TreeDirectory } from '../../../src/cache/tree.ts';
import type { FolderId } from '../../../src/remote-drive.ts';
import type { Pusher } from '../../../src/sync/pusher.ts';
import { enterVirtualTime, leaveVirtualTime, passing } from '../../crash/support/virtual-time.ts';
import type { MemoryDrive } from '../../fakes/memory-drive.ts';
import { memoryDirectory } from '../../fakes/temporary-directory.ts';
import { Program } from '../../fs-ops/support/program.ts';
import { nobody, TestFileSystem, type TestFileSystemOptions } from '../../fs-ops/support/test-file-system.ts';
import { pusherFor } from './pusher-for.ts';

export interface WrittenDrive {
  readonly made: TestFileSystem;
  readonly pusher: Pusher;
  readonly program: Program;
  /** What a directory holds, after a listing of it that is brought now. */
  relist(path: string): Promise<string[]>;
  /** Has all stored that is pending, and nothing left. */
  store(): Promise<void>;
  /** Ends it, and the virtual time. */
  stop(): Promise<void>;
}

/** Virtual time begins, and the pusher is at work. */
export async function writtenDrive(
  drive: MemoryDrive,
  options: Pick<TestFileSystemOptions, 'lifetimeMs' | 'lagWindowMs'> = {},
): Promise<WrittenDrive> {
  enterVirtualTime();
  const made = await TestFileSystem.start(drive, { ...options, state: memoryDirectory() });
  const pusher = pusherFor(made, drive);
  const program = new Program(made.fileSystem);
  pusher.start();
  const relist = async (path: string): Promise<string[]> => {
    const directory = made.tree.node((await passing(program.stat(path))).inode) as TreeDirectory;
    await passing(made.listings.refresh(directory, nobody.signal));
    return passing(program.readdir(path));
  };
  const store = async (): Promise<void> => {
    pusher.resume();
    await passing(pusher.flush(nobody.signal));
    expect([...made.journal.records()].filter(isPending)).toEqual([]);
  };
  const stop = async (): Promise<void> => {
    leaveVirtualTime();
    await pusher.stop();
    await made.stop();
  };
  return { made, pusher, program, relist, store, stop };
}

/** The files that a folder holds at the service, each as "NAME: TEXT"; folders are ''. */
export function heldIn(drive: MemoryDrive, folder: FolderId): string[] {
  return drive
    .entries(folder)
    .map((entry) => (entry.kind === 'file' ? `${entry.name}: ${drive.content(entry.versionId).toString()}` : ''));
}
