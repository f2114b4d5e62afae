// Listings that are shared, and those that somebody waits for while they were asked for ahead.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { waitFor } from '../../src/base/abort.ts';
import { deferred, type Deferred } from '../../src/base/deferred.ts';
import { blankRecord, Journal } from '../../src/cache/journal.ts';
import { Listings } from '../../src/cache/listings.ts';
import { Tree, type TreeDirectory, type TreeFile } from '../../src/cache/tree.ts';
import { naming } from '../../src/fs-ops/names.ts';
import type { CallOptions, FolderId, RemoteEntry, SyncpointId } from '../../src/remote-drive.ts';
import { lifetimeTrust } from '../fakes/lifetime-trust.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let tree: Tree;
let listings: Listings;
let folder: TreeDirectory;
let journal: Journal;
let memory: MemoryDrive;
/** Calls for the folder's listing: by class, each waiting for its turn until that is resolved, then for its answer. */
let calls: {
  readonly callClass: string;
  readonly folderId: FolderId;
  readonly turn: Deferred<undefined>;
  readonly answer: Deferred<undefined>;
}[];
let ended: string[];
/** So many answers to come show no syncpoint. */
let emptyAnswers: number;

const never = new AbortController().signal;

beforeEach(async () => {
  directory = temporaryDirectory();
  calls = [];
  ended = [];
  emptyAnswers = 0;
  memory = new MemoryDrive();
  const { rootFolderId } = memory.addSyncpoint('P');
  memory.addFile(rootFolderId, 'a', 'content');
  tree = Tree.open(directory.path);
  const drive = {
    syncpoints: async (options: CallOptions = {}) => {
      const all = await memory.syncpoints(options);
      if (emptyAnswers === 0) return all;
      emptyAnswers -= 1;
      return [];
    },
    vaults: () => Promise.resolve([]),
    callDelayMs: () => 0,
    async *list(_: SyncpointId, id: FolderId, options: CallOptions = {}): AsyncGenerator<RemoteEntry[]> {
      const call = {
        callClass: String(options.callClass),
        folderId: id,
        turn: deferred<undefined>(),
        answer: deferred<undefined>(),
      };
      calls.push(call);
      try {
        await waitFor(call.turn.promise, options.signal);
        options.onLeave?.();
        await waitFor(call.answer.promise, options.signal);
      } catch (error) {
        ended.push(call.callClass);
        throw error;
      }
      yield [...memory.entries(id)];
    },
  };
  journal = new Journal(tree);
  listings = new Listings({ journal, drive, naming, trust: lifetimeTrust(journal) });
  await listings.refresh(tree.root(), never);
  folder = tree.child(1, 'P') as TreeDirectory;
});
afterEach(async () => {
  await listings.stop();
  await tree.close();
  directory.remove();
});

/** Lets what is begun come as far as it comes. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('all who ask at once share one call', async () => {
  const both = [listings.ensure(folder, never), listings.ensure(folder, never, { callClass: 'prefetch' })];
  await settle();
  expect(calls.map(({ callClass }) => callClass)).toEqual(['interactive']);
  calls[0]?.turn.resolve(undefined);
  calls[0]?.answer.resolve(undefined);
  for (const each of both) await each;
  expect(tree.child(folder.inode, 'a')).toBeDefined();
});

test('what somebody waits for does not stand in line as what was asked for ahead', async () => {
  const ahead = listings.ensure(folder, never, { callClass: 'prefetch' });
  await settle();
  const waited = listings.ensure(folder, never);
  await settle();
  expect(calls.map(({ callClass }) => callClass)).toEqual(['prefetch', 'interactive']);
  expect(ended).toEqual(['prefetch']);
  calls[1]?.turn.resolve(undefined);
  calls[1]?.answer.resolve(undefined);
  await ahead;
  await waited;
  expect(tree.child(folder.inode, 'a')).toBeDefined();
  expect(listings.ensure(folder, never)).toBeUndefined();
});

test('no syncpoint at all, where some were known, is believed when it is said twice', async () => {
  emptyAnswers = 1;
  await listings.refresh(tree.root(), never);
  expect(tree.child(1, 'P')?.inode).toBe(folder.inode);
  emptyAnswers = 2;
  await listings.refresh(tree.root(), never);
  expect(tree.child(1, 'P')).toBeUndefined();
  expect(emptyAnswers).toBe(0);
});

test('a call that has left already is waited for by all', async () => {
  const ahead = listings.ensure(folder, never, { callClass: 'prefetch' });
  await settle();
  calls[0]?.turn.resolve(undefined);
  await settle();
  const waited = listings.ensure(folder, never);
  await settle();
  expect(calls).toHaveLength(1);
  calls[0]?.answer.resolve(undefined);
  await ahead;
  await waited;
  expect(ended).toEqual([]);
});

test('what lies in the folder that was listed is not taken for being in the one that is made in its place meanwhile', async () => {
  const list = listings.refresh(folder, never);
  await settle();
  calls[0]?.turn.resolve(undefined);
  calls[0]?.answer.resolve(undefined);
  await list;
  const { inode } = tree.child(folder.inode, 'a') as TreeFile;

  const again = listings.refresh(folder, never);
  await settle();
  // It was moved to where the service cannot move it: its old self is left behind, and what it holds with that.
  const { id, rootFolderId } = memory.addSyncpoint('Q');
  const left = { parent: tree.root().inode, name: 'P' };
  journal.change('push', (transaction) => {
    transaction.put<TreeDirectory>({ ...folder, remote: { syncpointId: id, folderId: rootFolderId } });
    transaction.putRecord({ ...blankRecord({ inode, kind: 'file' }, left, Date.now()), content: true });
  });
  calls[1]?.turn.resolve(undefined);
  calls[1]?.answer.resolve(undefined);
  await settle();
  calls[2]?.turn.resolve(undefined);
  calls[2]?.answer.resolve(undefined);
  await again;

  expect(journal.place(inode)).toEqual(left);
  expect(calls.map(({ folderId }) => folderId)).toEqual([
    folder.remote?.folderId,
    folder.remote?.folderId,
    rootFolderId,
  ]);
});

test('a folder that goes while its listing is merged has none, and is gone for who asked', async () => {
  const list = listings.refresh(folder, never);
  const outcome = expect(list).rejects.toMatchObject({ kind: 'not-found' });
  await settle();
  calls[0]?.turn.resolve(undefined);
  calls[0]?.answer.resolve(undefined);
  while (tree.child(folder.inode, 'a') === undefined) await settle();
  tree.apply([], [folder], false);
  await outcome;
  expect(tree.listing(folder.inode)).toBeUndefined();
  expect(listings.isGood(folder.inode)).toBe(false);
});
