// A file read from front to back through 30 ms and 400 Mbit/s, and again from the disk cache by a new mount.
import { join } from 'node:path';
import { timeShell } from '../programs.mjs';
import { best, times } from '../report.mjs';

export const name = 'sequential';
const MBIT = 400;

export async function run({ ours, rclone, data, line, signal }) {
  const rows = [];
  const read = (drive) => timeShell(`dd if='${join(drive.root, 'big.bin')}' of=/dev/null bs=1M`, signal);
  const measure = async (drive) => {
    await line.shape({ rttMs: 30, mbit: MBIT });
    await drive.mount({ cold: true });
    await timeShell(`ls '${drive.root}'`, signal);
    const before = drive.resources();
    const cold = await read(drive);
    const cpuMs = drive.resources().cpuMs - before.cpuMs;
    const warm = await read(drive);
    await drive.unmount();
    // A new mount has an empty page cache: what it reads comes from the drive's own disk cache.
    const cached = [];
    for (let round = 0; round < 3; round++) {
      await drive.mount();
      await timeShell(`ls '${drive.root}'`, signal);
      cached.push(await read(drive));
      await drive.unmount();
    }
    return { cold, warm, cached: best(cached), cpuMs };
  };
  const plain = rclone === undefined ? undefined : await download(rclone.url, line, signal);
  const mine = await measure(ours);
  const other = rclone === undefined ? {} : await measure(rclone);
  const lineMs = (data.bigBytes * 8) / (MBIT * 1000);
  const mebibytes = data.bigBytes / 2 ** 20;
  const share = lineMs / mine.cold;
  const what = `dd of ${mebibytes} MiB at 30 ms, ${MBIT} Mbit/s`;
  rows.push(times(`${what}, cold`, mine.cold, other.cold));
  rows.push({
    what: '... share of the line',
    ours: share * 100,
    other: other.cold === undefined ? undefined : (lineMs / other.cold) * 100,
    unit: '%',
    bar: '85 %',
    pass: share >= 0.85,
  });
  if (plain !== undefined) {
    rows.push({ what: '... share that one plain HTTP download reaches', ours: (lineMs / plain) * 100, unit: '%' });
  }
  rows.push({
    what: '... processor time of the mount',
    ours: mine.cpuMs / 1000,
    other: other.cpuMs / 1000 || undefined,
    unit: 's',
  });
  rows.push(
    times('... again, from the disk cache of a new mount', mine.cached, other.cached, {
      bar: "rclone's speed",
      pass: other.cached === undefined ? undefined : mine.cached <= other.cached,
    }),
  );
  rows.push(times('... again, same mount', mine.warm, other.warm));
  return rows;
}

/** What the line itself gives: the same file over one connection, without any file system. */
async function download(url, line, signal) {
  await line.shape({ rttMs: 30, mbit: MBIT });
  const start = performance.now();
  const reply = await fetch(`${url}/big.bin`, { signal });
  if (!reply.ok) throw new Error(`the plain download failed: ${reply.status}`);
  for await (const chunk of reply.body) void chunk;
  return performance.now() - start;
}
