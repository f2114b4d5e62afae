// Whether another process still runs.
import { readFileSync } from 'node:fs';

/** True while the process runs, whoever owns it. A zombie, which only waits for its parent to look, has ended. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  try {
    // proc(5): "PID (NAME) STATE ...", where NAME may hold anything, parentheses too.
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^ [ZX]/.test(status.slice(status.lastIndexOf(')') + 1));
  } catch {
    // No /proc (macOS): the signal's word counts. Gone in between: the next look will tell.
    return true;
  }
}
