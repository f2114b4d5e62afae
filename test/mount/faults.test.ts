// What goes wrong at the service, seen by programs on the mount: right bytes or an errno in time, never other bytes, never a
// mount that hangs for good.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fault } from '../../src/emulator/faults.ts';
import { Drive, fuseExists, pattern, run } from './drive.ts';

const OP_TIMEOUT_MS = 3_000;
/** Scheduling on a loaded machine, a process's start included. */
const SLACK_MS = 4_000;
const big = pattern(6_000_000, 3);
let drive: Drive;
let file: string;

beforeEach(async () => {
  drive = new Drive();
  const { id, rootFolderId } = drive.store.addSyncpoint('Projects');
  drive.store.addFile(id, rootFolderId, 'big.bin', big);
  for (let i = 0; i < 20; i += 1) drive.store.addFile(id, rootFolderId, `small${i}`, pattern(5_000, i));
  await drive.serve({ emulator: { tokenLifetimeSeconds: 3600 } });
  await drive.mount({ mount: ['--op-timeout', `${OP_TIMEOUT_MS / 1000}s`] });
  file = join(drive.mountpoint, 'Projects', 'big.bin');
});

afterEach(async () => {
  await drive.stop();
});

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function expectRightBytes(): Promise<void> {
  const { stdout, code } = await run('sha256sum', [file]);
  expect(code).toBe(0);
  expect(stdout.slice(0, 64)).toBe(sha256(big));
}

describe.skipIf(!fuseExists)('faults', () => {
  it.each<[string, Fault[]]>([
    ['429 with Retry-After while listing', [{ kind: 'throttle', endpoint: 'folder', count: 2, retryAfterSeconds: 1 }]],
    [
      '500 and 503 while listing',
      [
        { kind: 'status', status: 500, endpoint: 'folder' },
        { kind: 'status', status: 503, endpoint: 'folder' },
      ],
    ],
    ['a reset while listing', [{ kind: 'reset', endpoint: 'folder', count: 2 }]],
    ['a listing that breaks off', [{ kind: 'truncate', endpoint: 'folder', afterBytes: 300 }]],
    ['garbage instead of a listing, once', [{ kind: 'garbage-json', endpoint: 'folder' }]],
    ['503 while reading', [{ kind: 'status', status: 503, endpoint: 'retrieveFile', count: 2 }]],
    ['resets while reading', [{ kind: 'reset', endpoint: 'retrieveFile', count: 3 }]],
    ['bodies that break off', [{ kind: 'truncate', endpoint: 'retrieveFile', afterBytes: 70_001, count: 3 }]],
    ['bodies that end early as if whole', [{ kind: 'short', endpoint: 'retrieveFile', afterBytes: 70_001, count: 2 }]],
    [
      'tokens that expire',
      [
        { kind: 'expired-token', endpoint: 'retrieveFile', count: 2 },
        { kind: 'expired-token', endpoint: 'folder' },
      ],
    ],
  ])('%s: the bytes are right or the error is EIO, and right once it is over', async (_name, faults) => {
    drive.emulator.setFaults(faults);
    const first = await run('sha256sum', [file]);
    expect(first.ms).toBeLessThan(2 * OP_TIMEOUT_MS + SLACK_MS);
    if (first.code === 0) expect(first.stdout.slice(0, 64)).toBe(sha256(big));
    else expect(first.stderr).toContain('Input/output error');
    drive.emulator.setFaults([]);
    await expectRightBytes();
    expect((await readdir(join(drive.mountpoint, 'Projects'))).length).toBe(21);
  });

  it('a vault that never answers gives an error in time, Ctrl-C ends the reader at once, and ls goes on', async () => {
    await readdir(join(drive.mountpoint, 'Projects'));
    drive.emulator.setFaults([{ kind: 'hang', endpoint: 'retrieveFile', count: 1_000 }]);
    const reading = run('cat', [file]);
    const interrupted = spawn('cat', [join(drive.mountpoint, 'Projects', 'small1')], { stdio: 'ignore' });
    await expect.poll(async () => (await drive.status()).waiting.length, { timeout: 10_000 }).toBeGreaterThan(0);
    const listing = await run('ls', ['-l', join(drive.mountpoint, 'Projects')]);
    expect(listing.code).toBe(0);
    const begun = performance.now();
    const ended = once(interrupted, 'exit');
    interrupted.kill('SIGINT');
    await ended;
    expect(performance.now() - begun).toBeLessThan(2_000);
    const outcome = await reading;
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('Input/output error');
    expect(outcome.ms).toBeLessThan(OP_TIMEOUT_MS + SLACK_MS);
    expect((await drive.status()).waiting.map(({ reason }) => reason).join()).toContain('no answer within 3 s');
    drive.emulator.setFaults([]);
    await expectRightBytes();
  });

  it('a body that stands still gives an error in time, or the bytes', async () => {
    drive.emulator.setFaults([{ kind: 'stall', endpoint: 'retrieveFile', afterBytes: 10_000, count: 1_000 }]);
    const outcome = await run('cat', [file]);
    expect(outcome.ms).toBeLessThan(OP_TIMEOUT_MS + SLACK_MS);
    expect(outcome.code).toBe(1);
    expect(sha256(Buffer.from(outcome.stdout, 'latin1'))).toBe(sha256(big.subarray(0, outcome.stdout.length)));
    drive.emulator.setFaults([]);
    await expectRightBytes();
  });

  it('a service that hangs leaves listings and content seen before at hand, and unknown folders fail in time', async () => {
    await expectRightBytes();
    await run('ls', [drive.mountpoint]);
    drive.emulator.setFaults([{ kind: 'hang', count: 1_000 }]);
    const cached = await run('sha256sum', [file]);
    expect(cached.stdout.slice(0, 64)).toBe(sha256(big));
    expect(cached.ms).toBeLessThan(2_000);
    const listing = await run('ls', ['-lR', drive.mountpoint]);
    expect([listing.code, listing.ms < 2_000]).toEqual([0, true]);
  });

  it('a service that stops while a file is read and comes back is not noticed within the timeout', async () => {
    await stat(file);
    drive.emulator.setFaults([{ kind: 'stall', endpoint: 'retrieveFile', afterBytes: 400_000, count: 100 }]);
    const reading = run('sha256sum', [file]);
    await expect
      .poll(async () => (await drive.status()).transfers.bytesIn, { timeout: 10_000 })
      .toBeGreaterThan(100_000);
    await drive.interruptService(async () => {
      expect((await run('ls', [join(drive.mountpoint, 'Projects')])).code).toBe(0);
    });
    const outcome = await reading;
    if (outcome.code === 0) expect(outcome.stdout.slice(0, 64)).toBe(sha256(big));
    else expect(outcome.stderr).toContain('Input/output error');
    await expectRightBytes();
  });

  it('tells in status that the service is out of reach, and that it is back', async () => {
    await readFile(join(drive.mountpoint, 'Projects', 'small0'));
    await drive.interruptService(async () => {
      await run('cat', [join(drive.mountpoint, 'Projects', 'small2')]);
      expect((await drive.status()).online).toBe(false);
    });
    expect((await readFile(join(drive.mountpoint, 'Projects', 'small2'))).equals(pattern(5_000, 2))).toBe(true);
    expect((await drive.status()).online).toBe(true);
  });

  it('credentials that stop working are EACCES, not an empty drive', async () => {
    drive.emulator.setFaults([{ kind: 'status', status: 401, text: 'Invalid client', count: 1_000 }]);
    const outcome = await run('ls', [join(drive.mountpoint, 'Projects')]);
    expect(outcome.code).not.toBe(0);
    expect(outcome.stderr).toContain('Permission denied');
  });
});
