// A folder of 50,000 entries, its listing known to the drive, against rclone's mount of a local directory with the same entries.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dropNames, timeShell } from '../programs.mjs';
import { best, times } from '../report.mjs';

export const name = 'listing';

export async function run({ ours, rclone, data, line, signal }) {
  await line.shape({});
  const rows = [];
  const ls = async (directory) => {
    // As a user comes back to a folder: later than a second, which is how long rclone lets the kernel keep attributes.
    await sleep(1500);
    return timeShell(`ls -lU '${directory}'`, signal);
  };
  const count = `${data.wide} entries`;

  await ours.mount({ cold: true });
  const wide = join(ours.root, 'wide');
  const coldMs = await ls(wide);
  await ours.resetCalls();
  const again = [await ls(wide), await ls(wide), await ls(wide), await ls(wide), await ls(wide)];
  const forgotten = [];
  for (let round = 0; round < 5; round++) if (await dropNames()) forgotten.push(await ls(wide));
  await ours.unmount();
  await ours.mount();
  const remounted = await ls(wide);
  const calls = await ours.calls();
  await ours.unmount();

  let other = {};
  if (rclone !== undefined) {
    await rclone.mount({ cold: true, remote: join(data.data, 'wide') });
    const first = await ls(rclone.mountpoint);
    const warm = [await ls(rclone.mountpoint), await ls(rclone.mountpoint)];
    const dropped = [];
    for (let round = 0; round < 2; round++) if (await dropNames()) dropped.push(await ls(rclone.mountpoint));
    await rclone.unmount();
    other = { first, warm: best(warm), dropped: dropped.length > 0 ? best(dropped) : undefined };
  }
  const bar = (oursMs, otherMs) => ({
    bar: '10 times faster',
    pass: otherMs === undefined ? undefined : otherMs / oursMs >= 10,
  });
  rows.push(times(`ls -lU of ${count}, first time (rclone: a local directory)`, coldMs, other.first));
  rows.push(times(`ls -lU of ${count}, cached`, best(again), other.warm, bar(best(again), other.warm)));
  if (forgotten.length > 0) {
    const ms = best(forgotten);
    rows.push(times(`... cached, the kernel has forgotten names`, ms, other.dropped, bar(ms, other.dropped)));
  }
  rows.push(times('... after a remount', remounted, other.first));
  const local = join(data.data, 'wide');
  const itself = [await ls(local), await ls(local), await ls(local)];
  rows.push({ what: '... of the directory itself, without any mount', ours: best(itself), unit: 'ms' });
  // A remount signs in and asks which syncpoints there are; listings cost nothing.
  const listings = calls.byEndpoint['folder'] ?? 0;
  rows.push({ what: '... listing calls of all cached listings', ours: listings, bar: '0', pass: listings === 0 });
  return rows;
}
