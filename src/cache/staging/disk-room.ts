// How much of the disk staged content may still take: free space less what is left to others. Asks the disk at intervals of bytes and of
// time, not with every write. Promises that a program hears ENOSPC before the disk is full. Knows no files.
import { freeBytesOn } from '../../base/disk-room.ts';
import { StagingError } from './staging-error.ts';

/** Written on the strength of one look at the disk: so far others may come nearer to the end than they should. */
const lookBytesMax = 16 * 2 ** 20;
/** Others fill the disk too. */
const lookLastsMs = 1000;
/** Below this much room, what is kept as cache gives way: enough for the time that takes at 1 GB/s. */
const scarceBytes = 256 * 2 ** 20;

/** The room on the disk that staged content may take. */
export class DiskRoom {
  readonly #directory: string;
  readonly #reserveBytes: number;
  readonly #onScarce: (lackingBytes: number) => void;
  /** Of the last look. */
  #leftBytes = 0;
  #lookedMs = -Infinity;

  /** `onScarce` hears how many bytes would be welcome, whenever a look at the disk shows that room is running out. */
  constructor(directory: string, reserveBytes: number, onScarce: (lackingBytes: number) => void) {
    this.#directory = directory;
    this.#reserveBytes = reserveBytes;
    this.#onScarce = onScarce;
  }

  /** Counts bytes about to be written. Throws ENOSPC where there is no room for them. */
  take(bytes: number): void {
    if (bytes > this.#leftBytes || performance.now() - this.#lookedMs > lookLastsMs) this.#look(bytes);
    this.#leftBytes -= bytes;
  }

  #look(bytes: number): void {
    const freeBytes = freeBytesOn(this.#directory);
    this.#lookedMs = performance.now();
    const roomBytes = freeBytes - this.#reserveBytes;
    if (roomBytes < bytes + scarceBytes) this.#onScarce(bytes + scarceBytes - roomBytes);
    if (roomBytes < bytes) {
      this.#leftBytes = 0;
      throw new StagingError(
        'ENOSPC',
        `no room for changed files on the disk of ${this.#directory}: ${mebibytes(freeBytes)} free, of which ${mebibytes(this.#reserveBytes)} are left to others`,
      );
    }
    this.#leftBytes = Math.max(bytes, Math.min(lookBytesMax, roomBytes));
  }
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 2 ** 20)} MiB`;
}
