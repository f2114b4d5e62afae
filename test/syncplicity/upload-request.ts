// Content to upload in the client's tests, and what became of the marks and progress it was told.
import type { RemotePath, SyncpointId, UploadRequest, VaultId } from '../../src/remote-drive.ts';
import { vaultId } from './fixture-server.ts';

export const folder: RemotePath = {
  syncpointId: '5698124' as SyncpointId,
  vaultId: vaultId as VaultId,
  folderNames: ['2017', 'r\u00e9sum\u00e9s'],
};
/** As the query carries it. */
export const filepath = '%5C2017%5Cr%C3%A9sum%C3%A9s%5Ca%20b.zip';

/** Bytes no part of which looks like another. */
export function contentOf(lengthBytes: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  let state = seed;
  for (let at = 0; at < lengthBytes; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

export interface Told {
  readonly marks: (string | undefined)[];
  readonly sent: number[];
  readonly reads: [number, number][];
  beforeLast: number;
}

export function uploadOf(content: Buffer, more: Partial<UploadRequest> = {}): UploadRequest & { readonly told: Told } {
  const told: Told = { marks: [], sent: [], reads: [], beforeLast: 0 };
  return {
    folder,
    name: 'a b.zip',
    lengthBytes: content.length,
    modified: { seconds: 1_473_662_671, nanoseconds: 900_000_099 },
    created: { seconds: -1, nanoseconds: 123_456_789 },
    sha256: undefined,
    async *read(offsetBytes: number, lengthBytes: number) {
      told.reads.push([offsetBytes, lengthBytes]);
      for (let at = offsetBytes; at < offsetBytes + lengthBytes; at += 300_000) {
        yield await Promise.resolve(content.subarray(at, Math.min(at + 300_000, offsetBytes + lengthBytes)));
      }
    },
    onSession: (mark) => told.marks.push(mark),
    onSent: (bytes) => told.sent.push(bytes),
    beforeLast: () => {
      told.beforeLast += 1;
      return Promise.resolve();
    },
    ...more,
    told,
  };
}
