// find over a tree of folders at 30 ms: cold, after a remount, warm; and what it costs the service.
import { join } from 'node:path';
import { timeShell } from '../programs.mjs';
import { times } from '../report.mjs';

export const name = 'find';

export async function run({ ours, rclone, data, line, signal }) {
  await line.shape({ rttMs: 30 });
  const rows = [];
  const find = (drive) => timeShell(`find '${join(drive.root, 'tree')}' -ls`, signal);
  const walk = async (drive, options) => {
    await drive.mount({ cold: true, ...options });
    const cold = await find(drive);
    const calls = await ours.calls();
    const warm = await find(drive);
    await drive.unmount();
    await ours.resetCalls();
    await drive.mount(options);
    const remounted = await find(drive);
    const callsAfterRemount = await ours.calls();
    await drive.unmount();
    return { cold, warm, remounted, calls, callsAfterRemount };
  };
  // The folders it walks, and the one it finds `tree` in.
  const folders = data.folders + 2;
  const files = data.folders * data.filesPerFolder;
  const what = `find -ls, ${files} files in ${data.folders} folders`;
  const other = rclone === undefined ? {} : await walk(rclone);

  await ours.resetCalls();
  const paced = await walk(ours, { paced: true });
  const bar = {
    calls: paced.calls.gateway,
    bar: `${folders} folders + 3 calls`,
    pass: paced.calls.gateway <= folders + 3,
  };
  rows.push(times(`${what}, cold, 15 calls/s as Syncplicity allows`, paced.cold, other.cold, bar));
  if (ours.canBeUnpaced) {
    await ours.resetCalls();
    const free = await walk(ours);
    rows.push(times('... cold, no call limit', free.cold, other.cold, { calls: free.calls.gateway }));
  }
  rows.push(times('... after a remount', paced.remounted, other.remounted, { calls: paced.callsAfterRemount.gateway }));
  rows.push(times('... warm', paced.warm, other.warm));
  return rows;
}
