// What the kernel is told when something happened in a syncpoint and nobody knows what.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Trust } from '../../src/cache/trust.ts';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import { ROOT_NODE } from '../../src/fs-ops/operations.ts';
import type { RemoteSyncpoint } from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { TestFileSystem, nobody, type TestFileSystemOptions } from './support/test-file-system.ts';

let drive: MemoryDrive;
let syncpoints: RemoteSyncpoint[];
let made: TestFileSystem;

async function start(options: TestFileSystemOptions = {}): Promise<void> {
  made = await TestFileSystem.start(drive, {
    trust: (journal) => new Trust({ journal, lifetimeMs: 300_000, backstopMs: 900_000, pollIntervalMs: 15_000 }),
    ...options,
  });
}

/** Something happened in the first syncpoint, and the service is asked. */
async function happens(event: string): Promise<void> {
  const [first, second] = syncpoints;
  drive.syncpointList.splice(0, 2, { ...(first as RemoteSyncpoint), lastEvent: event }, second as RemoteSyncpoint);
  await made.listings.refresh(made.tree.root(), nobody.signal);
}

/** What a program does that looks at a path. */
async function look(...names: string[]): Promise<number> {
  let node = ROOT_NODE;
  for (const name of names) node = (await made.fileSystem.lookup(node, name, nobody)).node;
  return node;
}

beforeEach(() => {
  drive = new MemoryDrive();
  syncpoints = ['P', 'Q'].map((name) => drive.addSyncpoint(name, { lastEvent: '1' }));
  for (const { rootFolderId } of syncpoints) {
    drive.addFile(rootFolderId, 'a', 'content');
    drive.addFile(drive.addFolder(rootFolderId, 'd'), 'b', 'content');
  }
});
afterEach(async () => {
  await made.stop();
});

describe('an event', () => {
  it('has the kernel ask for every name again, by one message', async () => {
    await start();
    await look('P', 'd', 'b');
    made.kernel.length = 0;
    await happens('2');
    expect(made.kernel).toContain('all names');
    expect(made.kernel.filter((note) => note.startsWith('entry'))).toEqual([]);
  });

  it('has older kernels ask for each name of that syncpoint that they know', async () => {
    await start({ canExpireNames: false });
    const [p, d] = [await look('P'), await look('P', 'd')];
    await look('P', 'a');
    await look('P', 'd', 'b');
    await look('Q', 'a');
    made.kernel.length = 0;
    await happens('2');
    await expect
      .poll(() => made.kernel.filter((note) => note.startsWith('entry')).sort())
      .toEqual([`entry ${ROOT_NODE} P`, `entry ${p} a`, `entry ${p} d`, `entry ${d} b`].sort());
  });

  it('is not needed for a name that is missing, where such a kernel cannot be told of it', async () => {
    await start({ canExpireNames: false });
    const missing = await made.fileSystem.lookup(await look('P'), 'none', nobody);
    expect(missing).toMatchObject({ node: 0, entryLifetimeMs: 15_000 });
    await made.stop();
    await start();
    const kept = await made.fileSystem.lookup(await look('P'), 'none', nobody);
    expect(kept.entryLifetimeMs).toBeGreaterThan(600_000);
  });

  it('lets the way to a folder be shown as it is known, and the folder itself be looked at', async () => {
    await start();
    await look('P', 'd', 'b');
    const top = made.tree.child(1, 'P') as TreeDirectory;
    const inner = made.tree.child(top.inode, 'd') as TreeDirectory;
    const isLookedAt = (): boolean => drive.calls.includes(`list ${inner.remote?.folderId ?? ''}`);
    drive.calls.length = 0;
    await happens('2');
    const found = made.fileSystem.lookup(await look('P'), 'd', nobody);
    expect(found).not.toBeInstanceOf(Promise);
    const { node } = await found;
    // What was in use is looked at behind everybody as well, and that may be through before anybody asks.
    expect(isLookedAt() || made.fileSystem.lookup(node, 'b', nobody) instanceof Promise).toBe(true);
    await look('P', 'd', 'b');
    expect(isLookedAt()).toBe(true);
  });
});
