// A file that was open for writing when its drive's daemon and its writer were killed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Drive } from './drive.ts';

/** Leaves `text` in a new file that nobody closed, at an offset. The drive is not mounted any more afterwards. */
export async function leaveUnfinished(drive: Drive, path: string, text: string, atBytes = 0): Promise<void> {
  // Not a shell: what that redirects it closes, and what is closed counts as finished.
  const program = `fs.writeSync(fs.openSync(process.argv[1], 'w'), process.argv[2], Number(process.argv[3])); console.log('written'); setInterval(() => 0, 1000)`;
  const writer = spawn(process.execPath, ['-e', program, path, text, String(atBytes)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(writer.stdout, 'data');
  // The journal names it half a second after its first write; nothing outside tells when it has.
  await delay(1_500);
  process.kill(await drive.pid(), 'SIGKILL');
  writer.kill('SIGKILL');
  await once(writer, 'exit');
}
