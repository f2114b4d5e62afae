// J8: what the machine's end took from staged content never overwrites anything good. The journal survives, pages do not.
import { fstatSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { deferred } from '../../src/base/deferred.ts';
import { Durability } from '../../src/cache/durability.ts';
import { Journal } from '../../src/cache/journal.ts';
import { LocalChanges } from '../../src/cache/local-changes.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import type { RemoteSyncpoint } from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { O_CREAT, O_RDWR, Program } from '../fs-ops/support/program.ts';
import { TestFileSystem } from '../fs-ops/support/test-file-system.ts';
import { pusherFor } from './support/pusher-for.ts';

let drive: MemoryDrive;
let syncpoint: RemoteSyncpoint;
let made: TestFileSystem;
let pusher: Pusher;
let program: Program;
/** Of the tree's log, what the last sync made safe. */
let syncedLogBytes: number;

/** Starts over what an earlier start left, in a given start of the machine. */
async function start(boot: string, state?: TestFileSystem['state']): Promise<void> {
  const syncLog = (descriptor: number): Promise<void> => {
    syncedLogBytes = fstatSync(descriptor).size;
    return Promise.resolve();
  };
  made = await TestFileSystem.start(drive, { bootId: boot, syncLog, ...(state !== undefined && { state }) });
  pusher = pusherFor(made, drive);
  program = new Program(made.fileSystem);
}

/** The machine goes down: staged files are as `damage` leaves them, the tree is whole. */
async function powerLoss(damage: (path: string) => void): Promise<void> {
  const state = made.afterKill();
  const staging = join(state.path, 'staging');
  for (const name of readdirSync(staging)) damage(join(staging, name));
  await pusher.stop();
  await made.stop();
  await start('second', state);
  pusher.start();
  await pusher.flush(AbortSignal.timeout(20_000));
}

beforeEach(async () => {
  drive = new MemoryDrive();
  syncpoint = drive.addSyncpoint('P');
  drive.addFile(syncpoint.rootFolderId, 'report', 'good');
  await start('first');
  await program.readdir('P');
});
afterEach(async () => {
  vi.useRealTimers();
  await pusher.stop();
  await made.stop();
});

function stored(name: string): string | undefined {
  const entry = drive.entries(syncpoint.rootFolderId).find((one) => one.name === name);
  return entry?.kind === 'file' ? Buffer.from(drive.content(entry.versionId)).toString() : undefined;
}

it('content that came through whole is sent', async () => {
  await program.writeFile('P/report', 'better');
  await powerLoss(() => undefined);
  expect(stored('report')).toBe('better');
});

it.each([
  ['zeros in its place', (path: string): void => writeFileSync(path, Buffer.alloc(6))],
  ['nothing in its place', (path: string): void => truncateSync(path, 0)],
] as const)('content with %s is kept as failed, and what is at the service stays', async (_what, damage) => {
  await program.writeFile('P/report', 'better');
  await powerLoss(damage);
  expect(stored('report')).toBe('good');
  const [progress] = pusher.progress();
  expect(progress?.record.failed?.message).toMatch(/machine went down/);
});

it('content whose hash nobody knows is kept as failed, unless fsync made it safe', async () => {
  // Written out of order: no hash is known.
  const descriptor = await program.open('P/database', O_RDWR | O_CREAT);
  await program.pwrite(descriptor, 4, 'data');
  await program.pwrite(descriptor, 0, 'base');
  await program.close(descriptor);
  const synced = await program.open('P/synced', O_RDWR | O_CREAT);
  await program.pwrite(synced, 4, 'data');
  await program.pwrite(synced, 0, 'base');
  await program.fsync(synced);
  await program.close(synced);
  await powerLoss(() => undefined);
  expect(stored('database')).toBeUndefined();
  expect(stored('synced')).toBe('basedata');
  expect(pusher.progress().map(({ record }) => record.failed !== undefined)).toEqual([true]);
});

it.each([
  [
    'whose hash is known',
    [
      [0, 'base'],
      [4, 'data'],
    ],
  ],
  [
    'whose hash nobody knows',
    [
      [4, 'data'],
      [0, 'base'],
    ],
  ],
] as const)(
  'what fsync made safe outlives the end of the machine, with nothing else of the log: content %s',
  async (_of, pieces) => {
    await made.tree.committed();
    syncedLogBytes = 0;
    // No commit comes between: it would make all of it safe.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const descriptor = await program.open('P/synced', O_RDWR | O_CREAT);
    for (const [at, text] of pieces) await program.pwrite(descriptor, at, text);
    await program.fsync(descriptor);
    await program.writeFile('P/unsynced', 'gone');
    const state = made.afterKill();
    vi.useRealTimers();
    const log = join(state.path, 'tree', 'log');
    expect(statSync(log).size).toBeGreaterThan(syncedLogBytes);
    truncateSync(log, syncedLogBytes);
    await program.close(descriptor);
    await pusher.stop();
    await made.stop();
    await start('second', state);
    pusher.start();
    await pusher.flush(AbortSignal.timeout(20_000));
    expect([stored('synced'), stored('unsynced')]).toEqual(['basedata', undefined]);
  },
);

/** Makes content safe as a mount does, at once; resolves when that is through for what `names` names. */
async function untilDurable(names: readonly string[]): Promise<void> {
  const { journal, staging } = made;
  const changes = new LocalChanges(journal);
  const inodes = await Promise.all(names.map(async (name) => (await program.stat(name)).inode));
  const isDurable = (inode: number): boolean => journal.get(inode)?.durable !== undefined;
  const through = deferred<undefined>();
  const unsubscribe = journal.onChange(() => {
    if (inodes.every(isDurable)) through.resolve(undefined);
  });
  const durability = new Durability({
    journal,
    sync: (staged) => staging.sync(staged),
    madeDurable: (inode, staged) => changes.madeDurable(inode, staged),
    afterMs: 0,
  });
  await through.promise;
  await durability.stop();
  unsubscribe();
}

/** Written out of order: no hash is known. */
async function writeUnproven(path: string): Promise<void> {
  const descriptor = await program.open(path, O_RDWR | O_CREAT);
  await program.pwrite(descriptor, 4, 'data');
  await program.pwrite(descriptor, 0, 'base');
  await program.close(descriptor);
}

it('content whose hash nobody knows is made safe by itself soon after its close, and is sent then', async () => {
  await writeUnproven('P/database');
  await untilDurable(['P/database']);
  await powerLoss(() => undefined);
  expect(stored('database')).toBe('basedata');
});

it('content in doubt stays in doubt, though a program opens it and syncs it, and though other content is made safe', async () => {
  await writeUnproven('P/database');
  const state = made.afterKill();
  await pusher.stop();
  await made.stop();
  await start('second', state);
  const descriptor = await program.open('P/database', O_RDWR);
  await program.fsync(descriptor);
  await program.close(descriptor);
  await writeUnproven('P/other');
  await untilDurable(['P/other']);
  pusher.start();
  await pusher.flush(AbortSignal.timeout(20_000));
  expect([stored('database'), stored('other')]).toEqual([undefined, 'basedata']);
});

it('a second start of the same machine forgets no doubt, and a restart of the program alone has none', async () => {
  await program.writeFile('P/report', 'better');
  const { inode } = await program.stat('P/report');
  const generation = made.journal.get(inode);
  expect(new Journal(made.tree, 'first').get(inode)?.doubtful).toBeUndefined();
  expect(new Journal(made.tree, 'second').get(inode)?.doubtful).toBeDefined();
  expect(new Journal(made.tree, 'second').get(inode)?.doubtful).toBeDefined();
  expect(generation?.doubtful).toBeUndefined();
});
