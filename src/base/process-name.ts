// What another process is called.
import { readFileSync } from 'node:fs';

/** The name of a process as ps(1) shows it, at most 15 bytes; undefined where it is gone or the system does not tell. */
export function processName(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd();
  } catch {
    // Gone, of another user's namespace, or no /proc (macOS): it is nobody we know.
    return undefined;
  }
}
