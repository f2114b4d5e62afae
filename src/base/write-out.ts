// sync_file_range(2), which Node lacks: taken from the C library Node itself is linked with.
import koffi from 'koffi';
import { createLog } from './log.ts';

const log = createLog('write-out');

interface SyncFileRange {
  async(fd: number, offset: number, length: number, flags: number, done: () => void): void;
}

const SYNC_FILE_RANGE_WRITE = 2;

/** `null` where this C library has none. */
let native: SyncFileRange | null | undefined;

/**
 * Has the disk begin with what was written in [offsetBytes, offsetBytes + lengthBytes), so that a later sync finds little to do. A promise of
 * nothing: resolves when it was begun, or could not be; a write that fails is for the sync to tell.
 */
export async function beginWriteOut(descriptor: number, offsetBytes: number, lengthBytes: number): Promise<void> {
  native ??= load();
  const call = native;
  if (call === null) return;
  await new Promise((resolve) => {
    call.async(descriptor, offsetBytes, lengthBytes, SYNC_FILE_RANGE_WRITE, () => {
      resolve(undefined);
    });
  });
}

function load(): SyncFileRange | null {
  if (process.platform !== 'linux') return null;
  try {
    return koffi.load(null).func('int sync_file_range(int fd, int64_t offset, int64_t nbytes, unsigned int flags)');
  } catch (error) {
    log('this C library has no sync_file_range: %O', error);
    return null;
  }
}
