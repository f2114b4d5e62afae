// The first byte at any offset, counted in round trips, and what 100 random small reads download.
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { RANDOM_BYTES, seededNumbers } from '../dataset.mjs';
import { timeShell } from '../programs.mjs';
import { median, times } from '../report.mjs';

export const name = 'random';
const RTT_MS = 30;
const MBIT = 400;
const LIMIT_MIB = 64;
const MEBIBYTE = 2 ** 20;

export async function run({ ours, rclone, line, signal }) {
  await line.shape({ rttMs: RTT_MS, mbit: MBIT });
  const rows = [];
  const firstBytes = async (drive) => {
    await drive.mount({ cold: true });
    // Listings are known; no byte has been read yet, so the first read opens the connections.
    await timeShell(`ls -l '${drive.root}'`, signal);
    const random = seededNumbers('first byte');
    const offsets = Array.from({ length: 11 }, () => Math.floor(random() * RANDOM_BYTES));
    const took = [];
    for (const offset of offsets) took.push(await readAt(join(drive.root, 'random.bin'), offset, 1));
    await drive.unmount();
    return { first: took[0], later: median(took.slice(1)), worst: Math.max(...took.slice(1)) };
  };
  const randomReads = async (drive) => {
    await drive.mount({ cold: true });
    await timeShell(`ls -l '${drive.root}'`, signal);
    await line.take();
    await ours.resetCalls();
    const random = seededNumbers('random reads');
    const start = performance.now();
    const file = await open(join(drive.root, 'random.bin'));
    try {
      for (let count = 0; count < 100; count++) {
        signal.throwIfAborted();
        await file.read(Buffer.alloc(4096), 0, 4096, Math.floor((random() * RANDOM_BYTES) / 4096) * 4096);
      }
    } finally {
      await file.close();
    }
    const ms = performance.now() - start;
    const { bytesDown } = await line.take();
    const { vault } = await ours.calls();
    await drive.unmount();
    return { ms, bytesDown, vault };
  };
  const mine = { ...(await firstBytes(ours)), ...(await randomReads(ours)) };
  const other = rclone === undefined ? {} : { ...(await firstBytes(rclone)), ...(await randomReads(rclone)) };
  const trips = (what, key) => ({
    what,
    ours: mine[key] / RTT_MS,
    other: other[key] === undefined ? undefined : other[key] / RTT_MS,
    unit: 'round trips',
    bar: '3 round trips',
    pass: mine[key] / RTT_MS <= 3,
  });
  rows.push(trips('first byte at a random offset, median of 10', 'later'));
  rows.push(trips('... worst of 10', 'worst'));
  rows.push(trips('... very first read of a mount (finds the vault, connects)', 'first'));
  rows.push(
    times(`100 random reads of 4 KiB in ${RANDOM_BYTES / MEBIBYTE} MiB`, mine.ms, other.ms, { calls: mine.vault }),
  );
  rows.push({
    what: '... downloaded',
    ours: mine.bytesDown / MEBIBYTE,
    other: other.bytesDown === undefined ? undefined : other.bytesDown / MEBIBYTE,
    unit: 'MiB',
    bar: `< ${LIMIT_MIB} MiB`,
    pass: mine.bytesDown / MEBIBYTE < LIMIT_MIB,
  });
  return rows;
}

async function readAt(path, offset, length) {
  const file = await open(path);
  try {
    const start = performance.now();
    const { bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    if (bytesRead !== length) throw new Error(`${path} has no byte at ${offset}`);
    return performance.now() - start;
  } finally {
    await file.close();
  }
}
