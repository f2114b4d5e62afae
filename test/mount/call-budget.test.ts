// The call budget as people feel it: who crawls gives way to who waits, and what is known costs nothing when calls are spent.
import { spawn } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FolderRecord, SyncpointRecord } from '../../src/emulator/store.ts';
import { Drive, fuseExists, run } from './drive.ts';
import { kernelTransportOnly } from '../cli/program.ts';

let drive: Drive;
let projects: SyncpointRecord;
let folders: FolderRecord[];

beforeEach(() => {
  drive = new Drive();
  projects = drive.store.addSyncpoint('Projects');
  folders = Array.from({ length: 200 }, (_, index) =>
    drive.store.addFolder(projects.id, projects.rootFolderId, `folder${index}`),
  );
  for (const { id } of folders) drive.store.addFile(projects.id, id, 'file', Buffer.from('content'));
});
afterEach(async () => {
  await drive.stop();
});

const at = (...path: string[]): string => join(drive.mountpoint, 'Projects', ...path);
const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;

describe.skipIf(!fuseExists)('the call budget', () => {
  it.skipIf(kernelTransportOnly('libfuse does not tell who asks'))(
    'goes to people first: an indexer that crawls the drive does not keep them waiting',
    async () => {
      await drive.serve({ emulator: { throttle: { mode: 'windowed' } } });
      await drive.mount();
      await run('ls', [at()]);
      const updatedb = join(drive.user.directory('bin'), 'updatedb');
      copyFileSync('/usr/bin/find', updatedb);
      const crawler = spawn(updatedb, [at(), '-type', 'f'], { stdio: 'ignore' });
      const ended = new Promise((resolve) => crawler.on('close', resolve));
      try {
        const calls = async (): Promise<Readonly<Record<string, number>>> => (await drive.status()).calls.byClass;
        await expect.poll(async () => (await calls())['background'] ?? 0).toBeGreaterThan(3);
        const times: number[] = [];
        // From the other end than the crawler.
        for (let index = 199; index > 190; index -= 1) {
          const { stdout, ms } = await run('ls', [at(`folder${index}`)]);
          expect(stdout).toBe('file\n');
          times.push(ms);
        }
        expect(crawler.exitCode).toBeNull();
        // Two calls' pause at most, and a process that starts.
        expect(median(times)).toBeLessThan(500);
        expect((await drive.status()).calls.throttled).toBe(0);
      } finally {
        crawler.kill();
        await ended;
      }
    },
    60_000,
  );

  it('that is spent leaves what is known at hand, and says what the rest waits for', async () => {
    await drive.serve();
    await drive.mount({ mount: ['--calls-per-hour', '15', '--op-timeout', '4s', '--poll-interval', '1s'] });
    await run('find', [at('folder1'), at('folder2')]);
    expect((await run('cat', [at('folder1', 'file')])).stdout).toBe('content');
    const spent = async (): Promise<boolean> => (await drive.status()).calls.budget.leftThisHour === 0;
    for (let index = 10; index < 30 && !(await spent()); index += 1) await run('ls', [at(`folder${index}`)]);
    expect(await spent()).toBe(true);
    const waiting = run('ls', [at('folder100')]);
    const local = drive.user.directory('local');
    writeFileSync(join(local, 'file'), 'content');
    const eachMs = async (folder: string): Promise<number> => {
      const begun = performance.now();
      for (const command of [
        ['ls', folder],
        ['stat', join(folder, 'file')],
        ['cat', join(folder, 'file')],
      ]) {
        expect((await run(command[0] ?? '', command.slice(1))).code).toBe(0);
      }
      return (performance.now() - begun) / 3;
    };
    const times: number[] = [];
    for (let time = 0; time < 9; time += 1) {
      // Programs that start and end take what they take, on a machine that does other things as well.
      const localMs = await eachMs(local);
      times.push((await eachMs(at('folder1'))) - localMs);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect(median(times)).toBeLessThan(50);
    expect((await waiting).stderr).toContain('Input/output error');
    const { waiting: told, sendingHeldSeconds } = await drive.status();
    expect(sendingHeldSeconds).toBeGreaterThan(60);
    expect(told.map(({ reason }) => reason).join()).toMatch(/call budget.*next call is possible in \d+ (s|min)/);
  }, 60_000);
});
