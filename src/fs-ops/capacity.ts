// statfs(2) out of the vaults' capacity. Never 0 of 0: programs refuse to copy where they see no room at all.
import type { RemoteVault } from '../remote-drive.ts';
import { NAME_BYTES_MAX } from './names.ts';
import type { Capacity } from './operations.ts';

/** Shown where the service tells no size: more than anybody copies, less than programs overflow on. */
const UNKNOWN_TOTAL_BYTES = 2 ** 50;
/** The guide's limit of active files a user may have. */
const FILES_MAX = 1_000_000;

/** The vaults together. `vaults` holds each vault once. */
export function capacityOf(vaults: readonly RemoteVault[]): Capacity {
  let totalBytes = 0;
  let usedBytes = 0;
  for (const vault of vaults) {
    const sizeBytes = vault.sizeBytes === undefined || vault.sizeBytes <= 0 ? UNKNOWN_TOTAL_BYTES : vault.sizeBytes;
    totalBytes += sizeBytes;
    usedBytes += Math.min(sizeBytes, Math.max(0, vault.consumedBytes ?? 0));
  }
  if (totalBytes === 0) totalBytes = UNKNOWN_TOTAL_BYTES;
  return {
    totalBytes,
    freeBytes: totalBytes - usedBytes,
    totalFiles: FILES_MAX,
    freeFiles: FILES_MAX,
    nameBytesMax: NAME_BYTES_MAX,
  };
}
