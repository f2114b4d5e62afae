// What this process holds of the machine's memory, apart from what the kernel may take back.
import { readFile } from 'node:fs/promises';

/** Bytes. `filePagesBytes` are pages of mapped files (LMDB), which the kernel drops when it needs the room. */
export interface ProcessMemory {
  readonly ownBytes: number;
  readonly filePagesBytes: number;
}

/** Reads RssAnon and RssFile of /proc/self/status; where there is none, all resident memory counts as own. */
export async function processMemory(): Promise<ProcessMemory> {
  let status: string;
  try {
    status = await readFile('/proc/self/status', 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { ownBytes: process.memoryUsage.rss(), filePagesBytes: 0 };
  }
  const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0);
  return { ownBytes: kibibytes('RssAnon') * 1024, filePagesBytes: kibibytes('RssFile') * 1024 };
}
