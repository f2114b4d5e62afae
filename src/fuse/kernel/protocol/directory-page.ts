// One reply to READDIR or READDIRPLUS: rows packed behind a reply header, each aligned to 8 bytes. A page is reused for the
// next reply. It knows which lookups it grants, so that they can be taken back if the reply never arrives.
import type { DirectoryRow } from '../../../fs-ops/operations.ts';
import { DT_DIR, DT_REG, NAME_BYTES_MAX, size } from './constants.ts';
import { ReplyBuffer } from './reply-buffer.ts';

/** What became of a row: no room (nothing written), packed, or a name no directory can hold. */
export type Packed = 'full' | 'packed' | 'impossible-name';

export class DirectoryPage {
  readonly reply: ReplyBuffer;
  readonly capacityBytes: number;
  #plus = false;
  #limit = 0;
  #end: number = size.OUT_HEADER;

  /** @param capacityBytes the largest reply this page can take, without its header */
  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes;
    this.reply = new ReplyBuffer(size.OUT_HEADER + capacityBytes);
  }

  /** Empties the page for a reply of at most `limitBytes` (cut to the capacity), header not counted. */
  start(limitBytes: number, plus: boolean): void {
    this.#plus = plus;
    this.#limit = size.OUT_HEADER + Math.min(limitBytes, this.capacityBytes);
    this.#end = size.OUT_HEADER;
  }

  /** Bytes of the reply so far, its header counted. */
  get lengthBytes(): number {
    return this.#end;
  }

  add(row: DirectoryRow): Packed {
    const { reply } = this;
    const start = this.#end;
    const direntAt = this.#plus ? start + size.ENTRY_OUT : start;
    const nameAt = direntAt + size.DIRENT;
    const { name } = row;
    // Writing first and measuring after saves a pass over the name; a name takes at least a byte per UTF-16 unit.
    if (nameAt + name.length > this.#limit) return 'full';
    const written = reply.bytes.write(name, nameAt, this.#limit - nameAt, 'utf8');
    const end = (nameAt + written + 7) & ~7;
    // write() stops before a character it has no room for: so a name may have been cut only where less than 4 bytes are left.
    if (end > this.#limit || (this.#limit - nameAt - written < 4 && written !== Buffer.byteLength(name))) return 'full';
    if (written === 0 || written > NAME_BYTES_MAX || name.includes('/') || name.includes('\0'))
      return 'impossible-name';
    reply.bytes.fill(0, nameAt + written, end);
    if (this.#plus) {
      if (row.entry === undefined) reply.zero(start, size.ENTRY_OUT);
      else reply.entry(start, row.entry);
    }
    reply.u64(direntAt, row.inode);
    reply.u64(direntAt + 8, row.cookie);
    reply.u32(direntAt + 16, written);
    reply.u32(direntAt + 20, row.type === 'directory' ? DT_DIR : DT_REG);
    this.#end = end;
    return 'packed';
  }

  /** Calls back with the node of every lookup this reply grants. */
  forEachGranted(take: (node: number) => void): void {
    if (!this.#plus) return;
    const { bytes } = this.reply;
    let at: number = size.OUT_HEADER;
    while (at < this.#end) {
      const node = bytes.readUInt32LE(at + 4) * 2 ** 32 + bytes.readUInt32LE(at);
      if (node !== 0) take(node);
      at += (size.DIRENTPLUS + bytes.readUInt32LE(at + size.ENTRY_OUT + 16) + 7) & ~7;
    }
  }
}
