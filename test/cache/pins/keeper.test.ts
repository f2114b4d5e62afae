// The keeper of what is pinned over a real tree: what it fetches, when it gives up and tries again, and what it lets go of. The blocks are
// a fake that keeps contents as the test lets it.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProtectedContents } from '../../../src/cache/blocks/cached-content.ts';
import { PinKeeper } from '../../../src/cache/pins/keeper.ts';
import { Pins } from '../../../src/cache/pins.ts';
import type { TreeDirectory, TreeNode } from '../../../src/cache/tree.ts';
import { type ContentReference, RemoteError, type RemoteSyncpoint } from '../../../src/remote-drive.ts';
import { MemoryDrive } from '../../fakes/memory-drive.ts';
import { Program } from '../../fs-ops/support/program.ts';
import { nobody, TestFileSystem } from '../../fs-ops/support/test-file-system.ts';

const MiB = 2 ** 20;

/** Keeps what it is asked to as soon as `gate` lets it. */
class FakeBlocks {
  readonly protected = new ProtectedContents();
  readonly kept = new Set<string>();
  readonly asked: string[] = [];
  gate: (content: ContentReference, signal: AbortSignal) => Promise<void> = () => Promise.resolve();

  async keep(content: ContentReference, signal: AbortSignal): Promise<void> {
    this.asked.push(content.versionId);
    await this.gate(content, signal);
    this.kept.add(content.versionId);
  }

  commit(): void {
    // Nothing is lost with a set.
  }

  isKept(content: ContentReference): boolean {
    return this.kept.has(content.versionId);
  }
}

let drive: MemoryDrive;
let syncpoint: RemoteSyncpoint;
let made: TestFileSystem;
let program: Program;
let blocks: FakeBlocks;
let pins: Pins;
let keeper: PinKeeper;
let online: boolean;
let forgotten: (readonly [inode: number, generation: number])[];

function makeKeeper(cacheBytesMax = 64 * MiB, retryMs = 3_600_000): PinKeeper {
  pins = new Pins(made.tree);
  return new PinKeeper({
    journal: made.journal,
    pins,
    listings: made.listings,
    blocks,
    cacheBytesMax,
    isOnline: () => online,
    forgetKept: (inode, generation) => void forgotten.push([inode, generation]),
    retryMs,
  });
}

beforeEach(async () => {
  drive = new MemoryDrive();
  syncpoint = drive.addSyncpoint('P');
  made = await TestFileSystem.start(drive);
  program = new Program(made.fileSystem);
  blocks = new FakeBlocks();
  online = true;
  forgotten = [];
  keeper = makeKeeper();
  keeper.start();
});
afterEach(async () => {
  await keeper.stop();
  await made.stop();
});

async function node(path: string): Promise<TreeNode> {
  const { inode } = await program.stat(path);
  return made.tree.node(inode) as TreeNode;
}

function relist(): Promise<void> {
  return made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal);
}

/** What is under way comes to its end. */
async function calm(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function refuse(kind: ConstructorParameters<typeof RemoteError>[0], text: string): () => Promise<void> {
  return () => Promise.reject(new RemoteError(kind, text));
}

describe('a pinned folder', () => {
  it('is listed to its depth, and all its files are kept and protected', async () => {
    const sub = drive.addFolder(drive.addFolder(syncpoint.rootFolderId, 'a'), 'b');
    const files = [drive.addFile(syncpoint.rootFolderId, 'one', '1'), drive.addFile(sub, 'two', '22')];
    drive.addFile(sub, 'empty', '');
    expect(await keeper.pin([await node('P')], true, nobody.signal)).toEqual([]);
    expect(blocks.asked.toSorted()).toEqual(files.map(({ versionId }) => versionId).toSorted());
    expect(keeper.status()).toMatchObject({ files: 2, filesLeft: 0, bytesLeft: 0, foldersLeft: 0, trouble: undefined });
    expect(blocks.protected.all).toBe(false);
  });

  it('keeps what is new and changed, and lets go of what is removed and moved out', async () => {
    drive.addFolder(syncpoint.rootFolderId, 'other');
    const folder = drive.addFolder(syncpoint.rootFolderId, 'kept');
    drive.addFile(folder, 'changes', 'before');
    drive.addFile(folder, 'goes', 'goes');
    drive.addFile(folder, 'leaves', 'leaves');
    await keeper.pin([await node('P/kept')], true, nobody.signal);
    const changed = drive.write(folder, 'changes', 'after');
    const added = drive.addFile(folder, 'new', 'new');
    const deep = drive.addFile(drive.addFolder(folder, 'sub'), 'deep', 'deep');
    drive.remove(folder, 'goes');
    await made.listings.refresh((await node('P/kept')) as TreeDirectory, nobody.signal);
    await calm();
    for (const { versionId } of [changed, added, deep]) expect(blocks.kept).toContain(versionId);
    expect(keeper.status().files).toBe(4);
    await program.rename('P/kept/leaves', 'P/other/leaves');
    expect(keeper.status().files).toBe(3);
    await program.rename('P/kept/sub', 'P/other/sub');
    await calm();
    expect(keeper.status().files).toBe(2);
    await program.rename('P/other/leaves', 'P/kept/leaves');
    expect(keeper.status().files).toBe(3);
  });

  it('goes on after a restart, where nothing is evicted before it is known what is pinned', async () => {
    const file = drive.addFile(syncpoint.rootFolderId, 'one', '1');
    await keeper.pin([await node('P')], true, nobody.signal);
    await keeper.stop();
    blocks = new FakeBlocks();
    keeper = makeKeeper();
    expect(blocks.protected.all).toBe(true);
    keeper.start();
    await calm();
    expect(blocks.protected.all).toBe(false);
    expect([...blocks.kept]).toEqual([file.versionId]);
  });
});

describe('what does not fit', () => {
  it('is not pinned, and nothing is fetched for it', async () => {
    await keeper.stop();
    keeper = makeKeeper(MiB);
    keeper.start();
    drive.addFile(syncpoint.rootFolderId, 'large', new Uint8Array(2 * MiB));
    drive.addFile(syncpoint.rootFolderId, 'small', '1');
    await expect(keeper.pin([await node('P')], true, nobody.signal)).rejects.toThrow('--cache-size');
    expect(blocks.asked).toEqual([]);
    expect(keeper.status()).toMatchObject({ nodes: [], files: 0, bytes: 0 });
    expect(() =>
      keeper.pinSoon(made.tree.child((made.tree.child(1, 'P') as TreeNode).inode, 'large') as TreeNode),
    ).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
  });

  it('and comes later is left out, and told', async () => {
    await keeper.stop();
    keeper = makeKeeper(MiB);
    keeper.start();
    const small = drive.addFile(syncpoint.rootFolderId, 'small', '1');
    await keeper.pin([await node('P')], true, nobody.signal);
    drive.addFile(syncpoint.rootFolderId, 'large', new Uint8Array(2 * MiB));
    await relist();
    await calm();
    expect(blocks.asked).toEqual([small.versionId]);
    expect(keeper.status()).toMatchObject({ files: 2, filesLeft: 1 });
    expect(keeper.status().trouble).toContain('--cache-size');
  });
});

describe('failures', () => {
  it('of one file are told for that file, which is tried again', async () => {
    await keeper.stop();
    keeper = makeKeeper(64 * MiB, 20);
    keeper.start();
    const [bad, good] = ['bad', 'good'].map((name) => drive.addFile(syncpoint.rootFolderId, name, name));
    const refuseBad = refuse('not-found', 'the vault lost it');
    blocks.gate = ({ versionId }) => (versionId === bad?.versionId ? refuseBad() : Promise.resolve());
    const failed = await keeper.pin([await node('P')], true, nobody.signal);
    expect(failed).toEqual([{ inode: (await node('P/bad')).inode, reason: 'the vault lost it' }]);
    expect([...blocks.kept]).toEqual([good?.versionId]);
    expect(keeper.status()).toMatchObject({ filesLeft: 1, trouble: 'the vault lost it' });
    blocks.gate = () => Promise.resolve();
    while (keeper.status().filesLeft > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(keeper.status().trouble).toBeUndefined();
  });

  it('with the service out of reach end the waiting of all that is left at once', async () => {
    for (let n = 0; n < 40; n += 1) drive.addFile(syncpoint.rootFolderId, `file${n}`, 'x');
    online = false;
    blocks.gate = refuse('unavailable', 'nobody answers');
    const failed = await keeper.pin([await node('P')], true, nobody.signal);
    expect(failed.length).toBe(40);
    expect(new Set(failed.map(({ reason }) => reason))).toEqual(new Set(['nobody answers']));
    expect(blocks.asked.length).toBeLessThan(20);
  });

  it('of a folder are told, and the rest is kept', async () => {
    const file = drive.addFile(syncpoint.rootFolderId, 'one', '1');
    const sub = drive.addFolder(syncpoint.rootFolderId, 'sub');
    const pinnedNode = await node('P');
    await program.readdir('P');
    drive.dropFolder(sub);
    const failed = await keeper.pin([pinnedNode], true, nobody.signal);
    expect(failed).toHaveLength(1);
    expect([...blocks.kept]).toEqual([file.versionId]);
    expect(keeper.status()).toMatchObject({ foldersLeft: 1 });
  });
});

it('who stops waiting leaves the pin, and what is fetched for it', async () => {
  drive.addFile(syncpoint.rootFolderId, 'one', '1');
  let open = (): void => undefined;
  blocks.gate = () => new Promise((resolve) => (open = resolve));
  const waiting = new AbortController();
  const pinning = expect(keeper.pin([await node('P')], true, waiting.signal)).rejects.toThrow('enough');
  await calm();
  waiting.abort(new Error('enough'));
  await pinning;
  open();
  await calm();
  expect(keeper.status()).toMatchObject({ files: 1, filesLeft: 0 });
});

it('a file that changes while it is fetched is fetched as it is then, and waited for', async () => {
  drive.addFile(syncpoint.rootFolderId, 'one', '1');
  const opens: (() => void)[] = [];
  blocks.gate = () => new Promise((resolve) => void opens.push(resolve));
  let done = false;
  const pinning = keeper.pin([await node('P')], true, nobody.signal).then(() => (done = true));
  await calm();
  const changed = drive.write(syncpoint.rootFolderId, 'one', 'changed');
  await relist();
  opens[0]?.();
  await calm();
  expect(done).toBe(false);
  opens[1]?.();
  await pinning;
  expect(blocks.kept).toContain(changed.versionId);
});

it('while paused nothing is fetched and nobody waits; resume goes on', async () => {
  const file = drive.addFile(syncpoint.rootFolderId, 'one', '1');
  blocks.gate = (_, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  const pinning = keeper.pin([await node('P')], true, nobody.signal);
  await calm();
  keeper.pause();
  expect(await pinning).toMatchObject([{ reason: 'transfers are paused' }]);
  expect(await keeper.pin([await node('P')], true, nobody.signal)).toMatchObject([{ reason: 'transfers are paused' }]);
  const asked = blocks.asked.length;
  await calm();
  expect(blocks.asked.length).toBe(asked);
  blocks.gate = () => Promise.resolve();
  keeper.resume();
  await calm();
  expect([...blocks.kept]).toEqual([file.versionId]);
  expect(keeper.status()).toMatchObject({ filesLeft: 0, trouble: undefined });
});

it('staged content of a pinned file is let go of only once the version of the service is here', async () => {
  const file = drive.addFile(syncpoint.rootFolderId, 'one', '1');
  const { inode } = await node('P/one');
  expect(keeper.letGo(inode, 5)).toBe(true);
  await keeper.pin([await node('P')], true, nobody.signal);
  expect(keeper.letGo(inode, 5)).toBe(true);
  blocks.kept.clear();
  expect(keeper.letGo(inode, 5)).toBe(false);
  await calm();
  expect(forgotten).toEqual([[inode, 5]]);
  expect([...blocks.kept]).toEqual([file.versionId]);
});
