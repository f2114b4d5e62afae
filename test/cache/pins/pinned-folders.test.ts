// Pinned folders that nobody opens: when they are looked at again, and how many calls that takes.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Journal } from '../../../src/cache/journal.ts';
import { Listings } from '../../../src/cache/listings.ts';
import { PinnedFolders } from '../../../src/cache/pins/pinned-folders.ts';
import { Pins } from '../../../src/cache/pins.ts';
import { ROOT_INODE, Tree, type TreeDirectory, type TreeNode } from '../../../src/cache/tree.ts';
import { Trust } from '../../../src/cache/trust.ts';
import { naming } from '../../../src/fs-ops/names.ts';
import type { RemoteSyncpoint } from '../../../src/remote-drive.ts';
import { enterVirtualTime, leaveVirtualTime, pass, passing } from '../../crash/support/virtual-time.ts';
import { MemoryDrive } from '../../fakes/memory-drive.ts';
import { temporaryDirectory } from '../../fakes/temporary-directory.ts';

const FOLDERS = 40;
const never = new AbortController().signal;

let directory: ReturnType<typeof temporaryDirectory>;
let drive: MemoryDrive;
let syncpoint: RemoteSyncpoint;
let tree: Tree;
let trust: Trust;
let listings: Listings;
let pins: Pins;
let folders: PinnedFolders;
let paused: boolean;

/** A syncpoint of many folders, all listed. Without `lastEvent` the service tells no events. */
async function start(lastEvent: string | undefined): Promise<void> {
  syncpoint = drive.addSyncpoint('P', { lastEvent });
  for (let index = 0; index < FOLDERS; index += 1) {
    drive.addFile(drive.addFolder(syncpoint.rootFolderId, `d${index}`), 'a', 'content');
  }
  tree = Tree.open(directory.path);
  const journal = new Journal(tree);
  trust = new Trust({ journal, lifetimeMs: 300_000, backstopMs: 900_000, pollIntervalMs: 15_000 });
  listings = new Listings({ journal, drive, naming, trust });
  pins = new Pins(tree);
  folders = new PinnedFolders({ tree, pins, listings, isPaused: () => paused });
  await poll();
  await passing(listings.ensure(top(), never) ?? Promise.resolve());
  for (const child of tree.children(top().inode)) {
    await passing(listings.ensure(child as TreeDirectory, never) ?? Promise.resolve());
  }
  folders.start();
  await passes(60_000);
  drive.calls.length = 0;
}

beforeEach(() => {
  enterVirtualTime({ monotonic: true });
  directory = temporaryDirectory();
  drive = new MemoryDrive();
  paused = false;
});
afterEach(async () => {
  await folders.stop();
  leaveVirtualTime();
  await listings.stop();
  await tree.close();
  directory.remove();
});

const poll = (): Promise<void> => passing(listings.refresh(tree.root(), never, 'prefetch'));
const top = (): TreeDirectory => tree.child(ROOT_INODE, 'P') as TreeDirectory;
const child = (name: string, parent = top()): TreeNode => tree.child(parent.inode, name) as TreeNode;
const listed = (): number => drive.calls.filter((call) => call.startsWith('list ')).length;

/** Time passes, with the polls of a mount. */
async function passes(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 15_000) {
    await pass(Math.min(left, 15_000));
    await poll();
  }
}

function pin(node: TreeNode): void {
  pins.add([node.inode]);
  if (node.kind === 'directory') folders.add(node.inode);
}

function happens(event: string): void {
  const former = syncpoint;
  syncpoint = { ...syncpoint, lastEvent: event };
  drive.syncpointList.splice(drive.syncpointList.indexOf(former), 1, syncpoint);
}

it.each(['the folder', 'a file in it'])(
  'others change it: it is listed when listings show that; pinned: %s',
  async (which) => {
    await start('1');
    const folder = child('d7') as TreeDirectory;
    pin(which === 'the folder' ? folder : child('a', folder));
    const { folderId } = folder.remote ?? { folderId: syncpoint.rootFolderId };
    happens('2');
    await passes(15_000);
    drive.addFile(folderId, 'new', 'by others');
    happens('3');
    expect(listed()).toBe(0);
    await passes(30_000);
    expect(tree.child(folder.inode, 'new')).toMatchObject({ name: 'new' });
    // As a listing that lags behind its event.
    drive.addFile(folderId, 'late', 'by others');
    await passes(30_000);
    expect(tree.child(folder.inode, 'late')).toMatchObject({ name: 'late' });
    expect(listed()).toBe(2);
    await passes(3_600_000);
    expect(listed()).toBe(2);
  },
);

it('where all is pinned, a few are listed at once and the others one by one', async () => {
  await start('1');
  for (const node of tree.children(top().inode)) pin(node);
  happens('2');
  await passes(45_000);
  expect(listed()).toBeGreaterThanOrEqual(16);
  expect(listed()).toBeLessThan(22);
  await passes(300_000);
  expect(listed()).toBe(FOLDERS);
});

it('our own changes make no calls for it, but now and then', async () => {
  await start('1');
  pin(child('d7'));
  const ended = trust.changing(syncpoint.id);
  happens('2');
  await passes(15_000);
  ended();
  await passes(120_000);
  expect(listed()).toBe(0);
  await passes(900_000);
  expect(listed()).toBe(1);
});

it('a service that tells no events is asked every quarter of an hour', async () => {
  await start(undefined);
  pin(child('d7'));
  await passes(3_600_000);
  expect(listed()).toBe(4);
});

it('nothing is asked while transfers are paused, nor for what is not pinned any more', async () => {
  await start('1');
  pin(child('d7'));
  paused = true;
  happens('2');
  await passes(60_000);
  expect(listed()).toBe(0);
  paused = false;
  folders.lookSoon();
  await passes(45_000);
  expect(listed()).toBe(1);
  pins.removeBelow(child('d7'));
  happens('3');
  await passes(60_000);
  expect(listed()).toBe(1);
});
