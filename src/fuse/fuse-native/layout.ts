// What the binding keeps from us, read out of the memory of a waiting thread (fuse_thread_locals_t of fuse-native 2.2.6 on 64-bit
// machines): the flags of a create, and the modification time of utimens, for which it passes the access time twice. Each reading
// is checked against what is passed; where that does not fit, undefined.
import koffi from 'koffi';
import type { Waiting } from './binding.ts';

/** self, operation, its function, path, dest, linkname; then the file's info, which begins with its flags. */
const INFO_OFFSET_BYTES = 48;
/** Behind buf, offset, len, mode, dev, uid and gid; mode and dev are narrower on macOS. */
const ACCESSED_OFFSET_BYTES = process.platform === 'darwin' ? 96 : 104;
const MODIFIED_OFFSET_BYTES = ACCESSED_OFFSET_BYTES + 8;
/** The kernel has it in every create's flags. */
const O_CREAT = process.platform === 'darwin' ? 0x200 : 0o100;

/** open(2)'s flags of a create that waits. */
export function createFlags(waiting: Waiting): number | undefined {
  if (waiting.length < MODIFIED_OFFSET_BYTES + 8) return undefined;
  const info = waiting.readBigUInt64LE(INFO_OFFSET_BYTES);
  if (info === 0n) return undefined;
  const flags = koffi.decode(info, 'int') as number;
  return (flags & O_CREAT) === 0 ? undefined : flags;
}

/** The modification time of a utimens that waits, in milliseconds; `accessedMs` is what it passed. */
export function modifiedMs(waiting: Waiting, accessedMs: bigint): bigint | undefined {
  if (waiting.length < MODIFIED_OFFSET_BYTES + 8) return undefined;
  if (waiting.readBigUInt64LE(ACCESSED_OFFSET_BYTES) !== accessedMs) return undefined;
  return waiting.readBigUInt64LE(MODIFIED_OFFSET_BYTES);
}
