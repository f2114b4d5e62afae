// A listing that takes longer than listings are taken to lag: what was stored, moved and removed since it was asked for stands against it.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import type { CallOptions, FolderId, RemoteEntry, SyncpointId } from '../../src/remote-drive.ts';
import { pass, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { writtenDrive, type WrittenDrive } from './support/written-drive.ts';

class SlowDrive extends MemoryDrive {
  /** Awaited by the next listing, which tells what there was before. */
  slowness: Promise<void> | undefined;

  override async *list(id: SyncpointId, folder: FolderId, options?: CallOptions): AsyncGenerator<RemoteEntry[]> {
    const { slowness } = this;
    this.slowness = undefined;
    const then = [...this.entries(folder)];
    await slowness;
    if (slowness !== undefined) yield then;
    else yield* super.list(id, folder, options);
  }
}

let drive: SlowDrive;
let root: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new SlowDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  for (const name of ['gone', 'old']) drive.addFile(root, name, name);
  written = await writtenDrive(drive);
  await passing(written.program.readdir('P'));
});
afterEach(() => written.stop());

it('changes nothing of them', async () => {
  const { made, program, pusher } = written;
  const top = made.tree.child(1, 'P') as TreeDirectory;
  let answer: () => void = () => undefined;
  drive.slowness = new Promise((resolve) => (answer = resolve));
  const slow = made.listings.refresh(top, nobody.signal);
  await pass(10);
  await passing(program.writeFile('P/new', 'new'));
  await passing(program.unlink('P/gone'));
  // What is removed looks at its folder first, which is being listed.
  const flushed = pusher.flush(nobody.signal);
  await pass(90_000);
  const names = (): string[] => [...made.tree.children(top.inode)].map(({ name }) => name).sort();
  const { inode } = made.tree.child(top.inode, 'new') ?? {};
  answer();
  await passing(slow);
  expect(names()).toEqual(['new', 'old']);
  expect(made.tree.child(top.inode, 'new')?.inode).toBe(inode);
  await passing(flushed);
  expect(drive.entries(root).map(({ name }) => name)).toEqual(['old', 'new']);
});

it('lets nothing be removed that it does not show as it is by now', async () => {
  const { made, program, pusher } = written;
  // A service that asks for no more than a version that the file once had.
  drive.deleteFile = () => {
    drive.remove(root, 'old');
    return Promise.resolve();
  };
  let answer: () => void = () => undefined;
  drive.slowness = new Promise((resolve) => (answer = resolve));
  const slow = made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal);
  await pass(20_000);
  drive.write(root, 'old', 'theirs');
  await passing(program.unlink('P/old'));
  const flushed = pusher.flush(nobody.signal);
  await pass(1_000);
  answer();
  await passing(slow);
  await passing(flushed);
  expect(drive.entries(root).map(({ name }) => name)).toEqual(['gone', 'old']);
  expect(await passing(program.readFile('P/old'))).toBe('theirs');
});
