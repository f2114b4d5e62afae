import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { open } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Journal } from '../../src/cache/journal.ts';
import { Listings } from '../../src/cache/listings.ts';
import { ROOT_INODE, Tree, type TreeChange, type TreeDirectory, type TreeNode } from '../../src/cache/tree.ts';
import { naming } from '../../src/fs-ops/names.ts';
import { RemoteError } from '../../src/remote-drive.ts';
import { lifetimeTrust } from '../fakes/lifetime-trust.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

const never = new AbortController().signal;
let directory: ReturnType<typeof temporaryDirectory>;
let tree: Tree;
let drive: MemoryDrive;
let listings: Listings;

function start(lifetimeMs = 60_000): void {
  tree = Tree.open(directory.path);
  const journal = new Journal(tree);
  listings = new Listings({ journal, drive, naming, trust: lifetimeTrust(journal, lifetimeMs) });
}

async function stop(): Promise<void> {
  await listings.stop();
  await tree.close();
}

async function list(node: TreeNode | undefined = tree.root()): Promise<TreeNode[]> {
  await listings.ensure(asDirectory(node), never);
  return [...tree.children(node.inode)];
}

async function relist(node: TreeNode | undefined = tree.root()): Promise<TreeNode[]> {
  await listings.refresh(asDirectory(node), never);
  return [...tree.children(node.inode)];
}

function asDirectory(node: TreeNode | undefined): TreeDirectory {
  if (node?.kind !== 'directory') throw new Error('not a directory');
  return node;
}

/** T1 and T2, checked on what is stored. */
function checkInvariants(root: number = ROOT_INODE): void {
  const names = new Set<string>();
  for (const node of tree.children(root)) {
    expect(names.has(node.name)).toBe(false);
    names.add(node.name);
    expect(tree.child(root, node.name)).toEqual(node);
    expect(tree.node(node.inode)).toEqual(node);
    if (node.kind === 'directory') checkInvariants(node.inode);
  }
}

beforeEach(() => {
  directory = temporaryDirectory();
  drive = new MemoryDrive();
  start();
});

afterEach(async () => {
  await stop();
  directory.remove();
});

describe('tree', () => {
  it('lists syncpoints, folders and files with one call each, shared by all who ask at once', async () => {
    const syncpoint = drive.addSyncpoint('Projects');
    drive.addFile(syncpoint.rootFolderId, 'a.txt', 'hello');
    drive.addFolder(syncpoint.rootFolderId, 'sub');
    const [top] = await list();
    const [listed] = await Promise.all([list(top), list(top), list(top)]);
    expect(listed.map((node) => [node.name, node.kind])).toEqual([
      ['a.txt', 'file'],
      ['sub', 'directory'],
    ]);
    await list(top);
    expect(drive.calls.filter((call) => call !== 'vaults')).toEqual(['syncpoints', `list ${syncpoint.rootFolderId}`]);
    checkInvariants();
  });

  it('keeps inode numbers and listings over a restart, without a call', async () => {
    const syncpoint = drive.addSyncpoint('Projects');
    for (let i = 0; i < 1000; i += 1) drive.addFile(syncpoint.rootFolderId, `file${i}`, '');
    const before = await list((await list())[0]);
    await stop();
    drive.calls.length = 0;
    start();
    expect(await list((await list())[0])).toEqual(before);
    expect(drive.calls).toEqual([]);
  });

  it('asks again when the lifetime is over, also after the wall clock was set back', async () => {
    await stop();
    start(0);
    drive.addSyncpoint('Projects');
    await list();
    await list();
    expect(drive.calls.filter((call) => call === 'syncpoints')).toHaveLength(2);
  });

  it('keeps an inode through a remote rename and a new version, and gives it up with the file', async () => {
    const { rootFolderId } = drive.addSyncpoint('Projects');
    drive.addFile(rootFolderId, 'a', 'one');
    const [top] = await list();
    const [before] = await list(top);
    drive.rename(rootFolderId, 'a', 'b');
    drive.write(rootFolderId, 'b', 'two!');
    const [after] = await relist(top);
    expect(after).toMatchObject({ inode: before?.inode, name: 'b', lengthBytes: 4 });
    expect(tree.child(top?.inode ?? 0, 'a')).toBeUndefined();
    drive.remove(rootFolderId, 'b');
    expect(await relist(top)).toEqual([]);
    drive.addFile(rootFolderId, 'b', 'new');
    const [anew] = await relist(top);
    expect(anew?.inode).not.toBe(before?.inode);
  });

  it('tells each change of a listing seen before, and none of a first one', async () => {
    const { rootFolderId } = drive.addSyncpoint('Projects');
    drive.addFile(rootFolderId, 'keep', '1');
    drive.addFile(rootFolderId, 'drop', '2');
    drive.addFile(rootFolderId, 'edit', '3');
    const [top] = await list();
    const changes: TreeChange[] = [];
    tree.onChange((change) => changes.push(change));
    await list(top);
    expect(changes).toEqual([]);
    drive.remove(rootFolderId, 'drop');
    drive.write(rootFolderId, 'edit', '33');
    drive.addFile(rootFolderId, 'more', '4');
    await relist(top);
    expect(
      changes.map((change) => [change.kind, ('current' in change ? change.current : change.previous).name]),
    ).toEqual([
      ['changed', 'edit'],
      ['added', 'more'],
      ['removed', 'drop'],
    ]);
  });

  it('makes exact duplicates unique by id, stable against the order of the listing, and shows case variants as they are', async () => {
    const { rootFolderId } = drive.addSyncpoint('Projects');
    drive.addFile(rootFolderId, 'same.txt', 'b', '9007199254740995');
    drive.addFile(rootFolderId, 'same.txt', 'a', '31');
    drive.addFile(rootFolderId, 'SAME.txt', 'c', '4');
    drive.addFolder(rootFolderId, 'same.txt');
    const [top] = await list();
    const names = (await list(top)).map((node) => node.name).sort();
    expect(names).toHaveLength(4);
    expect(names).toContain('same.txt');
    expect(names).toContain('SAME.txt');
    expect(tree.child(top?.inode ?? 0, 'same.txt')).toMatchObject({ fileId: '31' });
    const before = new Map((await list(top)).map((node) => [node.inode, node.name]));
    drive.entries(rootFolderId).reverse();
    expect(new Map((await relist(top)).map((node) => [node.inode, node.name]))).toEqual(before);
    checkInvariants();
  });

  it('shows syncpoints of one name with their owner, then their id, and a nested one only inside its parent', async () => {
    const own = drive.addSyncpoint('Docs', { owner: 'jo@example.com' });
    drive.addSyncpoint('Docs', { owner: 'al@example.com' });
    const third = drive.addSyncpoint('Docs', { owner: 'al@example.com' });
    drive.addSyncpoint('Alone');
    drive.addSyncpoint('Nested', { parentId: own.id });
    const names = (await list()).map((node) => node.name);
    expect(names).toHaveLength(4);
    expect(names).toContain('Docs (jo@example.com)');
    expect(names).toContain(`Docs (al@example.com) #${third.id}`);
    expect(names).toContain('Alone');
  });

  it('shows no syncpoint under a name that POSIX cannot hold, where one is called as another with its owner', async () => {
    drive.addSyncpoint('Docs', { owner: 'jo@example.com' });
    drive.addSyncpoint('Docs', { owner: 'al@example.com' });
    drive.addSyncpoint('Docs (jo@example.com)');
    const names = (await list()).map((node) => node.name).sort();
    expect(names).toEqual([
      'Docs (al@example.com)',
      'Docs (jo@example.com)',
      expect.stringMatching(/^Docs \(jo@example\.com\) #\d+$/),
    ]);
  });

  it('leaves the tree as it was when a listing breaks off', async () => {
    const { rootFolderId } = drive.addSyncpoint('Projects');
    for (let i = 0; i < 30; i += 1) drive.addFile(rootFolderId, `file${i}`, '');
    const [top] = await list();
    const before = await list(top);
    for (let i = 0; i < 30; i += 1) drive.remove(rootFolderId, `file${i}`);
    const broken = drive.list.bind(drive);
    drive.list = async function* (...args) {
      yield* broken(...args);
      throw new RemoteError('unavailable', 'connection reset');
    };
    await expect(relist(top)).rejects.toMatchObject({ kind: 'unavailable' });
    expect([...tree.children(top?.inode ?? 0)]).toEqual(before);
  });

  it('serves an old listing while the service fails, and counts it', async () => {
    await stop();
    start(0);
    const { rootFolderId } = drive.addSyncpoint('Projects');
    drive.addFile(rootFolderId, 'a', '');
    const [top] = await list();
    await list(top);
    drive.gate = () => Promise.reject(new RemoteError('unavailable', 'down'));
    expect(await list(top)).toHaveLength(1);
    expect(await list(top)).toHaveLength(1);
    expect(listings.statistics().stale).toBe(2);
  });

  it('waits once for a service that hangs, then serves what it knows at once until an answer comes', async () => {
    await stop();
    start(0);
    const { rootFolderId } = drive.addSyncpoint('Projects');
    for (let i = 0; i < 30; i += 1) drive.addFolder(rootFolderId, `sub${i}`);
    const [top] = await list();
    const folders = await list(top);
    for (const folder of folders) await list(folder);
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    drive.gate = () => answered;
    const calls = drive.calls.length;
    const begun = performance.now();
    for (const folder of folders) await list(folder);
    for (const folder of folders) await list(folder);
    // One wait of two seconds and a few short ones; without the memory of the first it would be two minutes.
    expect(performance.now() - begun).toBeLessThan(15_000);
    expect(drive.calls.length - calls).toBeLessThanOrEqual(8);
    expect(listings.statistics().stale).toBe(60);
    drive.addFile(rootFolderId, 'new', '');
    answer();
    await expect.poll(async () => (await list(top)).some(({ name }) => name === 'new')).toBe(true);
  });

  it('does not serve an old listing of a folder the service says is gone', async () => {
    await stop();
    start(0);
    const { rootFolderId } = drive.addSyncpoint('Projects');
    const folder = drive.addFolder(rootFolderId, 'sub');
    const [top] = await list();
    const [sub] = await list(top);
    await list(sub);
    drive.dropFolder(folder);
    await expect(list(sub)).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('lets one waiter go without ending the call for the others', async () => {
    drive.addSyncpoint('Projects');
    let open: () => void = () => undefined;
    drive.gate = () => new Promise((resolve) => (open = resolve));
    const leaving = new AbortController();
    const first = listings.ensure(tree.root(), leaving.signal);
    const second = listings.ensure(tree.root(), never);
    leaving.abort(new Error('interrupted'));
    await expect(first).rejects.toThrow('interrupted');
    open();
    drive.gate = () => Promise.resolve();
    await second;
    expect([...tree.children(ROOT_INODE)]).toHaveLength(1);
    expect(drive.calls.filter((call) => call === 'syncpoints')).toHaveLength(1);
  });

  it('deletes what hung below a removed folder', async () => {
    const { rootFolderId } = drive.addSyncpoint('Projects');
    const folder = drive.addFolder(rootFolderId, 'sub');
    for (let i = 0; i < 1500; i += 1) drive.addFile(folder, `file${i}`, '');
    const deeper = drive.addFolder(folder, 'deeper');
    drive.addFile(deeper, 'leaf', '');
    const [top] = await list();
    const [sub] = await list(top);
    const below = await list(sub);
    const leafParent = below.find((node) => node.kind === 'directory');
    const [leaf] = await list(leafParent);
    drive.remove(rootFolderId, 'sub');
    await relist(top);
    await listings.stop();
    while (tree.sweepOrphans());
    for (const node of [...below, leaf]) expect(tree.node(node?.inode ?? 0)).toBeUndefined();
    expect([...tree.children(sub?.inode ?? 0)]).toEqual([]);
  });

  it('lets others in while a large listing is merged, and again while it is merged anew', async () => {
    const { rootFolderId } = drive.addSyncpoint('Projects');
    for (let i = 0; i < 20_000; i += 1) drive.addFile(rootFolderId, `file${i}`, '');
    const [top] = await list();
    for (const round of ['first', 'second']) {
      let turns = 0;
      let merging = true;
      const count = (): void => {
        turns += 1;
        if (merging) setImmediate(count);
      };
      setImmediate(count);
      if (round === 'second') for (let i = 0; i < 20_000; i += 2) drive.write(rootFolderId, `file${i}`, 'x');
      expect(await relist(top)).toHaveLength(20_000);
      merging = false;
      // One transaction holds at most 300 nodes.
      expect(turns).toBeGreaterThan(round === 'first' ? 60 : 30);
    }
  });

  it('tells the same time of the root in each run', async () => {
    const before = tree.root().modified;
    await stop();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    try {
      start();
    } finally {
      vi.useRealTimers();
    }
    expect(tree.root().modified).toEqual(before);
    expect(before.seconds).toBeGreaterThan(1_700_000_000);
  });

  it('refuses a tree of a newer schema and leaves it as it is', async () => {
    await tree.close();
    const raw = open({ path: directory.path, maxDbs: 16 });
    await raw.openDB<number, string>({ name: 'meta', encoding: 'msgpack' }).put('schema', 99);
    await raw.close();
    expect(() => Tree.open(directory.path)).toThrow(/newer syncplicityfs \(schema 99/);
    rmSync(directory.path, { recursive: true });
    tree = Tree.open(directory.path);
  });

  it('equals the service after any sequence of remote changes and restarts', async () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({
          do: fc.constant('add'),
          name: fc.constantFrom('a', 'b', 'A', 'c/d', '', '..'),
          folder: fc.boolean(),
        }),
        fc.record({ do: fc.constant('remove'), at: fc.nat() }),
        fc.record({ do: fc.constant('rename'), at: fc.nat(), name: fc.constantFrom('a', 'b', 'x') }),
        fc.record({ do: fc.constant('write'), at: fc.nat() }),
        fc.record({ do: fc.constant('list') }),
        fc.record({ do: fc.constant('restart') }),
      ),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        drive = new MemoryDrive();
        await stop();
        rmSync(directory.path, { recursive: true });
        start();
        const { rootFolderId } = drive.addSyncpoint('Projects');
        const inodes = new Map<string, number>();
        const compare = async (): Promise<void> => {
          const [top] = await list();
          const nodes = await relist(top);
          checkInvariants();
          const shown = nodes.map((node) => [
            node.kind === 'file' ? `f${node.fileId}${node.versionId}` : `d${node.remote?.folderId}`,
            node.remoteName,
          ]);
          const real = drive
            .entries(rootFolderId)
            .map((entry) => [entry.kind === 'file' ? `f${entry.id}${entry.versionId}` : `d${entry.id}`, entry.name]);
          expect(shown.sort()).toEqual(real.sort());
          for (const node of nodes) {
            const id = (node.kind === 'file' ? node.fileId : node.remote?.folderId) ?? '';
            expect(inodes.get(id) ?? node.inode).toBe(node.inode);
            inodes.set(id, node.inode);
          }
        };
        for (const step of sequence) {
          const entries = drive.entries(rootFolderId);
          const chosen = 'at' in step ? entries[step.at % Math.max(1, entries.length)] : undefined;
          if (step.do === 'add' && 'folder' in step) {
            if (step.folder) drive.addFolder(rootFolderId, step.name);
            else drive.addFile(rootFolderId, step.name, 'x');
          } else if (step.do === 'list') await compare();
          else if (step.do === 'restart') {
            await stop();
            start();
          } else if (chosen !== undefined) {
            const at = entries.indexOf(chosen);
            if (step.do === 'remove') {
              entries.splice(at, 1);
              inodes.delete(chosen.id);
            } else if (step.do === 'rename' && 'name' in step) entries.splice(at, 1, { ...chosen, name: step.name });
            else if (chosen.kind === 'file') drive.write(rootFolderId, chosen.name, String(at));
          }
        }
        await compare();
      }),
      {
        numRuns: 40,
        examples: [
          // A file beside a folder of its name: what is written is the file.
          [
            [
              { do: 'add', name: 'a', folder: true },
              { do: 'list' },
              { do: 'add', name: 'a', folder: false },
              { do: 'write', at: 1 },
            ],
          ],
        ],
      },
    );
  });
});
