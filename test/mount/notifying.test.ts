// What is told of a journal and of sign-ins, and what is not told again: over remounts, set clocks and damaged memories, and at which cost.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { deferred } from '../../src/base/deferred.ts';
import { Journal } from '../../src/cache/journal.ts';
import { LocalChanges } from '../../src/cache/local-changes.ts';
import { Tree } from '../../src/cache/tree.ts';
import type { Pace } from '../../src/desktop/causes.ts';
import type { News } from '../../src/desktop/telling.ts';
import { Notifying } from '../../src/mount/notifying.ts';
import { RemoteError } from '../../src/remote-drive.ts';
import { SignIns } from '../../src/syncplicity/sign-ins.ts';
import { memoryDirectory } from '../fakes/temporary-directory.ts';

const pace = { gatherMs: 5, againMs: 30 };
/** Longer than both. */
const LONG_MS = 120;

let directory: ReturnType<typeof memoryDirectory>;
let tree: Tree;
let journal: Journal;
let changes: LocalChanges;
let mounts: Mount[];

beforeEach(() => {
  directory = memoryDirectory();
  tree = Tree.open(join(directory.path, 'tree'));
  journal = new Journal(tree);
  changes = new LocalChanges(journal);
  mounts = [];
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const mount of mounts) await mount.notifying.stop();
  await tree.close();
  directory.remove();
});

const memory = (): string => join(directory.path, 'told.json');
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What one mount tells, of the same journal as those before it. */
class Mount {
  readonly signIns = new SignIns();
  readonly told: News[] = [];
  readonly notifying: Notifying;

  constructor(options: { readonly pace: Pace } = { pace }) {
    const telling = {
      tell: (news: News): number => this.told.push(news),
      stop: (): Promise<void> => Promise.resolve(),
    };
    const from = { journal, signIns: this.signIns, mountpoint: '/drive', file: memory(), telling };
    this.notifying = new Notifying({ ...from, ...options });
    mounts.push(this);
  }

  start(): this {
    this.notifying.start();
    return this;
  }

  /** Titles with whether they were news. */
  get titles(): string[] {
    return this.told.map(({ isNew, notification }) => `${isNew ? 'new' : 'more'}: ${notification.title}`);
  }

  refuse(who: string): void {
    this.signIns.refuse(who, new RemoteError('unauthenticated', 'the token was refused'));
  }
}

/** Files that are pending, made at once. */
function files(count: number, prefix = 'file'): number[] {
  const parent = tree.root();
  return Array.from({ length: count }, (_, index) => {
    const name = `${prefix} ${index}`;
    return changes.createFile({ parent, name, remoteName: name }, {}, false).inode;
  });
}

/** The service refuses these. */
function refuse(inodes: readonly number[]): void {
  journal.change('push', (transaction) => {
    for (const inode of inodes) {
      const record = transaction.record(inode);
      if (record !== undefined)
        transaction.updateRecord({ ...record, failed: { kind: 'quota', message: 'No room', sinceMs: 1 } });
    }
  });
}

function mend(inodes: readonly number[]): void {
  journal.change('push', (transaction) => {
    for (const inode of inodes) {
      const record = transaction.record(inode);
      if (record !== undefined) transaction.updateRecord({ ...record, failed: undefined });
    }
  });
}

const room = 'No room at Syncplicity';
const signIn = 'Syncplicity refuses the sign-in';

describe('notifying', () => {
  it('goes on telling after the clock was set back by years', async () => {
    const now = Date.now.bind(Date);
    let setBackMs = 0;
    vi.spyOn(Date, 'now').mockImplementation(() => now() - setBackMs);
    const { told } = new Mount().start();
    refuse(files(1));
    await expect.poll(() => told.length).toBe(1);
    setBackMs = 5 * 365 * 86_400_000;
    refuse(files(1, 'later'));
    await expect.poll(() => told.length).toBe(2);
  });

  it('what was told under a clock that was ahead is not told again', async () => {
    const inodes = files(2);
    refuse(inodes);
    const first = new Mount().start();
    await expect.poll(() => first.titles).toEqual([`new: ${room}`]);
    await first.notifying.stop();
    const text = readFileSync(memory(), 'utf8').replace(/"shownAtMs":[\d.]+/, '"shownAtMs":99999999999999');
    expect(text).toContain('99999999999999');
    writeFileSync(memory(), text);
    const second = new Mount().start();
    await pause(LONG_MS);
    expect(second.titles).toEqual([]);
    // Nor does that clock keep what is new.
    refuse(files(1, 'later'));
    await expect.poll(() => second.titles).toEqual([`more: ${room}`]);
  });

  it.each([
    '',
    'null',
    '7',
    '"text"',
    '[1, null, {}]',
    '{"conflict": 1, "sign-in": {"shownAtMs": "x"}}',
    '{"conflict": ',
  ])('tells once more where what it kept is %j', async (text) => {
    writeFileSync(memory(), text);
    refuse(files(1));
    const mount = new Mount().start();
    await expect.poll(() => mount.titles).toEqual([`new: ${room}`]);
  });

  it('tells where nothing can be kept, and again after a remount', async () => {
    mkdirSync(memory());
    refuse(files(1));
    for (const mount of [new Mount(), new Mount()]) {
      mount.start();
      await expect.poll(() => mount.titles).toEqual([`new: ${room}`]);
      await mount.notifying.stop();
    }
  });

  it('a refused sign-in that an earlier mount told of is news once it was accepted in between, and only then', async () => {
    const vault = 'StorageVault Berlin';
    const first = new Mount().start();
    first.refuse(vault);
    await expect.poll(() => first.titles).toEqual([`new: ${signIn}`]);
    await first.notifying.stop();

    const second = new Mount().start();
    await pause(LONG_MS);
    // Nothing was asked of it before.
    second.refuse(vault);
    await pause(LONG_MS);
    expect(second.titles).toEqual([]);
    await second.notifying.stop();

    const third = new Mount().start();
    await pause(LONG_MS);
    third.signIns.accept(vault);
    third.refuse(vault);
    await expect.poll(() => third.titles).toEqual([`new: ${signIn}`]);
    await third.notifying.stop();

    const fourth = new Mount();
    fourth.signIns.accept(vault);
    fourth.start();
    await pause(LONG_MS);
    fourth.refuse(vault);
    await expect.poll(() => fourth.titles).toEqual([`new: ${signIn}`]);
  });

  it('conflicts that end one after the other are not written down one by one', async () => {
    const inodes = files(20);
    journal.change('push', (transaction) => {
      for (const inode of inodes) {
        const record = transaction.record(inode);
        if (record !== undefined) transaction.updateRecord(record);
        transaction.putConflict({ inode, path: '/file', keptAs: '/file (ours)', sinceMs: 1 });
      }
    });
    const { told, notifying } = new Mount({ pace: { gatherMs: 1_000, againMs: 1_000 } }).start();
    await expect.poll(() => told.length, { timeout: 5_000 }).toBe(1);
    const kept = (): string => readFileSync(memory(), 'utf8');
    await expect.poll(kept).toContain(`"${inodes.at(-1)}"]`);
    const before = kept();
    for (const inode of inodes) {
      const node = tree.node(inode);
      if (node !== undefined) changes.remove(node);
      await pause(5);
    }
    expect(kept()).toBe(before);
    await notifying.stop();
    expect(kept()).toContain('"scopes":[]');
  });

  it('looks at what is so already while others go on, and what changes meanwhile is not taken for the end of it', async () => {
    const inodes = files(20_000);
    refuse(inodes);
    const first = new Mount().start();
    await expect.poll(() => first.titles).toEqual([`new: ${room}`]);
    await first.notifying.stop();

    let turns = 0;
    let timer = setImmediate(function turn() {
      turns += 1;
      timer = setImmediate(turn);
    });
    const records = [...journal.records()];
    const looked = deferred<number>();
    journal.records = function* () {
      const before = turns;
      yield* records.slice(0, 10);
      // All that was found by now is over.
      mend(inodes.slice(0, 10));
      yield* records.slice(10);
      looked.resolve(turns - before);
    };
    const second = new Mount().start();
    expect(await looked.promise).toBeGreaterThan(1);
    clearImmediate(timer);
    await pause(LONG_MS);
    expect(second.titles).toEqual([]);
  });
});
