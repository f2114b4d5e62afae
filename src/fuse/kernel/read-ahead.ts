// The kernel's read-ahead window of a mount: 128 KiB by default, which halves sequential reading. Only root may widen it.
import { readFile, writeFile } from 'node:fs/promises';
import { createLog } from '../../base/log.ts';

const log = createLog('fuse');

/** Sets the window of the file system "MAJOR:MINOR" if a size is given, and returns what it then is, where that is told. */
export async function widenReadAhead(device: string, sizeBytes: number | undefined): Promise<number | undefined> {
  const path = `/sys/class/bdi/${device}/read_ahead_kb`;
  if (sizeBytes !== undefined) {
    await writeFile(path, String(Math.floor(sizeBytes / 1024))).catch((error: unknown) => {
      log('read-ahead stays as it is: %s', (error as Error).message);
    });
  }
  const text = await readFile(path, 'utf8').catch(() => undefined);
  const kibibytes = Number(text);
  return text !== undefined && Number.isInteger(kibibytes) ? kibibytes * 1024 : undefined;
}
