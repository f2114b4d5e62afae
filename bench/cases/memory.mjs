// Memory of the daemon while a file of 5 GiB is read and a folder of 100,000 entries is listed, at the speed of this machine.
import { join } from 'node:path';
import { timeShell, watchMemory } from '../programs.mjs';

export const name = 'memory';
const MEBIBYTE = 2 ** 20;
const LIMIT_MIB = 250;

export async function run({ ours, rclone, data, line, signal }) {
  await line.shape({});
  const measure = async (drive) => {
    await drive.mount({ cold: true });
    const memory = watchMemory(drive.pid());
    const before = drive.resources();
    let listed = 0;
    const [readMs] = await Promise.all([
      timeShell(`dd if='${join(drive.root, 'huge.bin')}' of=/dev/null bs=1M`, signal),
      timeShell(`ls -lU '${join(drive.root, 'many')}'`, signal).then((ms) => (listed = ms)),
    ]);
    const cpuMs = drive.resources().cpuMs - before.cpuMs;
    const peakBytes = memory.stop();
    await drive.unmount();
    return { peak: peakBytes / MEBIBYTE, speed: data.hugeBytes / 1000 / readMs, listMs: listed, cpuMs };
  };
  const mine = await measure(ours);
  const other = rclone === undefined ? {} : await measure(rclone);
  return [
    {
      what: `peak memory (RssAnon): ${data.hugeBytes / MEBIBYTE} MiB read, ${data.many} entries listed at once`,
      ours: mine.peak,
      other: other.peak,
      unit: 'MiB',
      bar: `< ${LIMIT_MIB} MiB`,
      pass: mine.peak < LIMIT_MIB,
    },
    {
      what: '... speed of the read, unshaped',
      ours: mine.speed,
      other: other.speed,
      unit: 'MB/s',
      ratio: mine.speed / other.speed || undefined,
    },
    {
      what: '... the listing beside it',
      ours: mine.listMs,
      other: other.listMs,
      unit: 'ms',
      ratio: other.listMs / mine.listMs || undefined,
    },
    {
      what: '... processor time of the mount',
      ours: mine.cpuMs / 1000,
      other: other.cpuMs / 1000 || undefined,
      unit: 's',
    },
  ];
}
