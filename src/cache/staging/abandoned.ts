// The file of a generation that nobody finished: what was written of it before its daemon ended, as it lies on disk. What showed through
// from below is not part of it: how far that went was known to that daemon alone.
import { createReadStream, statSync } from 'node:fs';

/** Bytes on this machine that no file of the drive has. */
export interface AbandonedContent {
  readonly lengthBytes: number;
  read(offsetBytes: number, lengthBytes: number): AsyncIterable<Uint8Array>;
}

/** What there is of it; of no bytes where there is none. Rejects while reading where the file cannot be read. */
export function abandonedContent(path: string): AbandonedContent {
  const lengthBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return {
    lengthBytes,
    read: async function* (offsetBytes, wantedBytes) {
      if (wantedBytes === 0) return;
      const stream = createReadStream(path, { start: offsetBytes, end: offsetBytes + wantedBytes - 1 });
      for await (const piece of stream) yield piece as Uint8Array;
    },
  };
}
