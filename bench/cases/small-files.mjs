// Many small files read whole, as tar, diff and cat do, at 30 ms and 400 Mbit/s.
import { join } from 'node:path';
import { timeShell } from '../programs.mjs';
import { times } from '../report.mjs';

export const name = 'small';

export async function run({ ours, rclone, data, line, signal }) {
  await line.shape({ rttMs: 30, mbit: 400 });
  const folders = ['d000', 'd001', 'd002', 'd003', 'd004'];
  const files = folders.length * data.filesPerFolder;
  const measure = async (drive) => {
    const tree = join(drive.root, 'tree');
    // To a pipe: tar does not read what it writes to /dev/null.
    const tar = `tar cf - -C '${tree}' ${folders.join(' ')} | cat`;
    const diff = folders
      .map((folder) => `diff -r '${join(data.data, 'tree', folder)}' '${join(tree, folder)}'`)
      .join(' && ');
    const cat = `cat '${tree}'/d00[0-4]/*`;
    const result = {};
    for (const [key, command] of Object.entries({ tar, diff, cat })) {
      await drive.mount({ cold: true });
      // Names are known, content is not.
      await timeShell(`find '${tree}' -ls`, signal);
      await ours.resetCalls();
      result[key] = await timeShell(command, signal);
      if (key === 'tar') result.calls = await ours.calls();
      result[`${key}Warm`] = await timeShell(command, signal);
      await drive.unmount();
      if (key !== 'tar') continue;
      await drive.mount();
      await timeShell(`find '${tree}' -ls`, signal);
      result.tarDisk = await timeShell(command, signal);
      await drive.unmount();
    }
    return result;
  };
  const mine = await measure(ours);
  const other = rclone === undefined ? {} : await measure(rclone);
  const row = (what, key, more) => times(what, mine[key], other[key], more);
  return [
    row(`tar of ${files} files of 4 KiB, cold`, 'tar', { calls: `${mine.calls.gateway}+${mine.calls.vault} vault` }),
    row('... again, from the disk cache of a new mount', 'tarDisk'),
    row('... again, same mount', 'tarWarm'),
    row(`diff -r of ${files} files with the originals, cold`, 'diff'),
    row('... again, same mount', 'diffWarm'),
    row(`cat of ${files} files, cold`, 'cat'),
    row('... again, same mount', 'catWarm'),
  ];
}
