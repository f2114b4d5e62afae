// A flush waits for what may still come to the service, and not for what waits for something that the service refused.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { deferred } from '../../src/base/deferred.ts';
import { changeReports } from '../../src/sync/reports.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import { RemoteError } from '../../src/remote-drive.ts';
import { pass, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import type { Program } from '../fs-ops/support/program.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { writtenDrive, type WrittenDrive } from './support/written-drive.ts';

let drive: MemoryDrive;
let pusher: Pusher;
let program: Program;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new MemoryDrive();
  drive.addSyncpoint('P');
  written = await writtenDrive(drive);
  ({ pusher, program } = written);
});

afterEach(() => written.stop());

it.each(['while the folder is asked for', 'after it was refused', 'with what was written after that'])(
  'a flush begun %s ends',
  async (when) => {
    const asked = deferred<undefined>();
    const answered = deferred<undefined>();
    drive.gate = async (call) => {
      if (!call.startsWith('createFolders')) return;
      asked.resolve(undefined);
      await answered.promise;
      throw new RemoteError('forbidden', 'Syncpoint Shared With Reader Permission');
    };
    await passing(program.mkdir('P/d'));
    if (when !== 'with what was written after that') await passing(program.writeFile('P/d/x', 'content'));
    await passing(asked.promise);
    if (when !== 'while the folder is asked for') {
      answered.resolve(undefined);
      await pass(5_000);
    }
    if (when === 'with what was written after that') await program.writeFile('P/d/x', 'content');
    const flushed = pusher.flush(nobody.signal).then(() => 'ended');
    answered.resolve(undefined);
    const waiting = new Promise((resolve) => setTimeout(resolve, 60_000, 'waits'));
    expect(await passing(Promise.race([flushed, waiting]))).toBe('ended');
    expect(pusher.progress().map(({ record }) => record.failed?.kind)).toEqual(['forbidden', undefined]);
    const [folder, file] = changeReports(written.made.journal, pusher);
    expect(file).toMatchObject({ path: '/P/d/x', isHopeless: true, error: 'waits for /P/d, which is refused' });
    // Who waits for this file alone, as with --write-through, is told.
    expect(pusher.refusalOf([file?.inode ?? 0])?.message).toBe(folder?.error);
  },
);

it.each([
  ['in words that nobody knows', new RemoteError('protocol', 'HTTP 400: Bad request')],
  ['without a word', new RemoteError('forbidden', 'Forbidden (HTTP 403)', { isUnexplained: true })],
])('a flush ends where the service goes on refusing %s; that is tried again all the same', async (_, refusal) => {
  let refuses = true;
  drive.gate = (call) => (refuses && call.startsWith('upload refused') ? Promise.reject(refusal) : Promise.resolve());
  await passing(program.writeFile('P/refused', 'content'));
  await passing(program.writeFile('P/taken', 'content'));
  const startMs = Date.now();
  await passing(pusher.flush(nobody.signal));
  expect(Date.now() - startMs).toBeGreaterThan(20_000);
  expect(Date.now() - startMs).toBeLessThan(60_000);
  const [file, ...more] = changeReports(written.made.journal, pusher);
  expect(more).toEqual([]);
  expect(file).toMatchObject({
    path: '/P/refused',
    state: 'retrying',
    isHopeless: true,
    error: refusal.message,
  });
  expect(pusher.refusalOf([file?.inode ?? 0])?.message).toBe(refusal.message);
  // The next one has it tried once more, and waits no longer.
  const againMs = Date.now();
  await passing(pusher.flush(nobody.signal));
  expect(Date.now() - againMs).toBeLessThan(5_000);
  refuses = false;
  await pass(300_000);
  expect(pusher.progress()).toEqual([]);
});

it('a flush waits for a service that is away, however often it was', async () => {
  let isAway = true;
  drive.gate = (call) =>
    isAway && call.startsWith('upload') ? Promise.reject(new RemoteError('unavailable', 'away')) : Promise.resolve();
  await passing(program.writeFile('P/a', 'content'));
  const flushed = pusher.flush(nobody.signal).then(() => 'ended');
  const waiting = new Promise((resolve) => setTimeout(resolve, 600_000, 'waits'));
  expect(await passing(Promise.race([flushed, waiting]))).toBe('waits');
  isAway = false;
  expect(await passing(flushed)).toBe('ended');
  expect(pusher.progress()).toEqual([]);
});
