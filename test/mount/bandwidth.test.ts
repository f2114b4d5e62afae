// --bwlimit and pause through the whole drive: how long bytes take, that slowness is no failure, and that nothing goes out of a drive
// that is paused.
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drive, fuseExists, pattern, run } from './drive.ts';

const MiB = 2 ** 20;
/** The event loop of a machine under test, a program's start, and what the kernel's buffers hold. */
const SLACK_MS = 1_500;
let drive: Drive;
let folder: string;
let rootFolder: { readonly id: number; readonly rootFolderId: number };

beforeEach(() => {
  drive = new Drive();
  rootFolder = drive.store.addSyncpoint('Projects');
  folder = join(drive.mountpoint, 'Projects');
});

afterEach(async () => {
  await drive.stop();
});

async function serve(...mount: readonly string[]): Promise<void> {
  await drive.serve();
  await drive.mount({ mount });
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe.skipIf(!fuseExists)('--bwlimit', () => {
  it('holds in each direction, over several files together', async () => {
    const files = [0, 1, 2].map((n) => pattern(2 * MiB, n));
    files.forEach((bytes, n) => drive.store.addFile(rootFolder.id, rootFolder.rootFolderId, `there${n}`, bytes));
    await serve('--bwlimit', '2M:3M', '--settle', '0s');
    const transfers = (await drive.status()).transfers;
    expect(transfers).toMatchObject({ limitOut: 2 * MiB, limitIn: 3 * MiB });
    expect((await drive.succeed(['status'])).stdout).toMatch(
      /in \(at most 3.0 MiB\/s\), .* out \(at most 2.0 MiB\/s\)/,
    );

    const reads = await Promise.all(files.map((_, n) => run('sha256sum', [join(folder, `there${n}`)])));
    reads.forEach(({ stdout }, n) => expect(stdout.slice(0, 64)).toBe(sha256(files[n] as Buffer)));
    const readMs = Math.max(...reads.map(({ ms }) => ms));
    expect(readMs).toBeGreaterThan(1_800);
    expect(readMs).toBeLessThan(2_200 + SLACK_MS);

    const begun = performance.now();
    await Promise.all(files.map((bytes, n) => writeFile(join(folder, `new${n}`), bytes)));
    await drive.succeed(['flush', drive.mountpoint]);
    const sentMs = performance.now() - begun;
    expect(sentMs).toBeGreaterThan(2_700);
    expect(sentMs).toBeLessThan(3_300 + SLACK_MS);
  });

  it('slowness is no failure: reads go on past --op-timeout while bytes come', async () => {
    const bytes = pattern(384 * 1024, 5);
    drive.store.addFile(rootFolder.id, rootFolder.rootFolderId, 'slow', bytes);
    await serve('--bwlimit', '64K', '--op-timeout', '1s');
    const read = await run('sha256sum', [join(folder, 'slow')]);
    expect(read.stdout.slice(0, 64)).toBe(sha256(bytes));
    expect(read.ms).toBeGreaterThan(5_000);
  });

  it('a small file that somebody waits for does not wait for what is read ahead', async () => {
    drive.store.addFile(rootFolder.id, rootFolder.rootFolderId, 'large', pattern(32 * MiB, 1));
    drive.store.addFile(rootFolder.id, rootFolder.rootFolderId, 'small', pattern(64 * 1024, 2));
    await serve('--bwlimit', '1M');
    const reader = run('dd', [`if=${join(folder, 'large')}`, 'of=/dev/null', 'bs=128k', 'count=40']);
    await sleep(1_000);
    const small = await run('cat', [join(folder, 'small')]);
    // Behind what is read ahead it would take five seconds.
    expect(small.ms).toBeLessThan(2_500);
    await reader;
  });
});

describe.skipIf(!fuseExists)('pause', () => {
  it('stops bytes within a moment; reads go on; resume sends no chunk again', async () => {
    const there = pattern(MiB, 1);
    const bytes = pattern(40 * MiB, 2);
    drive.store.addFile(rootFolder.id, rootFolder.rootFolderId, 'there', there);
    await serve('--bwlimit', '6M:off', '--settle', '0s');
    await writeFile(join(folder, 'large'), bytes);
    await until(() => sentBytes() > 12 * MiB);
    const asked = performance.now();
    await drive.succeed(['pause', drive.mountpoint]);
    expect(performance.now() - asked).toBeLessThan(3_500);
    const asPaused = sentBytes();
    expect(asPaused).toBeLessThan(36 * MiB);
    await sleep(200);
    const before = sentBytes();
    expect(before - asPaused).toBeLessThan(2 * MiB);
    await sleep(1_500);
    expect(sentBytes()).toBe(before);
    expect(sha256(await readFile(join(folder, 'there')))).toBe(sha256(there));
    const status = await drive.status();
    expect(status.paused).toBe(true);
    expect(status.pending.items).toMatchObject([{ path: '/Projects/large', state: 'waiting' }]);

    await drive.succeed(['resume', drive.mountpoint]);
    const resumed = performance.now();
    await drive.succeed(['flush', drive.mountpoint]);
    // What is left, at six a second, without a search for what may have come through.
    expect(performance.now() - resumed).toBeLessThan(((bytes.length - before) / (6 * MiB)) * 1_000 + 4_000);
    expect(sentBytes()).toBeLessThan(bytes.length + 6 * MiB);
    await drive.unmount();
    await drive.mount();
    expect(sha256(await readFile(join(folder, 'large')))).toBe(sha256(bytes));
  });

  it('a change made while paused waits until resume', async () => {
    await serve('--settle', '0s');
    await drive.succeed(['pause', drive.mountpoint]);
    await writeFile(join(folder, 'later'), 'later');
    await sleep(1_000);
    expect(sentBytes()).toBe(0);
    await drive.succeed(['resume', drive.mountpoint]);
    await drive.succeed(['flush', drive.mountpoint]);
    expect(sentBytes()).toBeGreaterThan(0);
  });
});

function sentBytes(): number {
  return drive.emulator.calls().vaultBytesIn;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(20);
}
