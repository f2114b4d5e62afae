// One message from the kernel: bounds-checked reads of a buffer that is reused for the next message. Whoever needs something
// past the current call must take it out first. Little-endian, as every platform with a prebuilt koffi and lmdb is.
import { errno } from '../../../base/errno.ts';
import { FsError } from '../../../fs-ops/operations.ts';
import { size } from './constants.ts';

const TWO_32 = 2 ** 32;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A message that is not what the protocol says: EPROTO to whoever waits for it. */
export function malformed(what: string): FsError {
  return new FsError(errno.EPROTO, `malformed message from the kernel: ${what}`);
}

export class Message {
  readonly bytes: Buffer;
  readonly #view: DataView;
  /** Bytes of the message at hand; set by {@link accept}. */
  length = 0;
  /** The message's opcode; valid after {@link accept}. */
  opcode = 0;
  node = 0;

  /** @param bytes where the device read puts its bytes */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Takes the first `length` bytes as a message. False if there is not even a header, so that nobody can be answered. */
  accept(length: number): boolean {
    this.length = Math.min(length, this.bytes.length);
    if (this.length < size.IN_HEADER) return false;
    this.opcode = this.u32(4);
    return true;
  }

  /** Throws EPROTO unless the header agrees with what was read. Sets {@link node}. */
  checkHeader(): void {
    const stated = this.u32(0);
    if (stated !== this.length) throw malformed(`${this.length} bytes read, header says ${stated}`);
    this.node = this.u64(16);
  }

  /** The 32-bit field at a byte offset; EPROTO past the end. */
  u32(offset: number): number {
    if (offset + 4 > this.length) throw malformed(`opcode ${this.opcode} ends after ${this.length} bytes`);
    return this.#view.getUint32(offset, true);
  }

  /** The 64-bit unsigned field at a byte offset; EPROTO past the end or past 2^53. */
  u64(offset: number): number {
    const high = this.u32(offset + 4);
    if (high > 0x1f_ffff) throw malformed(`opcode ${this.opcode} has a number past 2^53 at ${offset}`);
    return high * TWO_32 + this.#view.getUint32(offset, true);
  }

  /** Where in a file, or how long one shall be: any program may ask for up to 2^63, so EFBIG past 2^53. EPROTO past the end. */
  fileBytes(offset: number): number {
    const value = this.u32(offset + 4) * TWO_32 + this.#view.getUint32(offset, true);
    if (!Number.isSafeInteger(value)) throw new FsError(errno.EFBIG, 'no file is longer than 2^53 bytes');
    return value;
  }

  /** Seconds of a time, which any program may set: EINVAL outside of ±2^53. EPROTO past the end. */
  seconds(offset: number): number {
    const high = this.u32(offset + 4) | 0;
    const value = high * TWO_32 + this.#view.getUint32(offset, true);
    if (!Number.isSafeInteger(value)) throw new FsError(errno.EINVAL, 'a time more than 2^53 s from 1970');
    return value;
  }

  /** Where the NUL behind a string at this offset is; EPROTO if the message ends first. */
  #terminator(offset: number): number {
    const end = this.bytes.indexOf(0, offset);
    if (end < offset || end >= this.length) throw malformed(`opcode ${this.opcode}: a name without an end`);
    return end;
  }

  /** The offset behind the NUL-terminated name at this offset. EPROTO if it has no end. */
  behindName(offset: number): number {
    return this.#terminator(offset) + 1;
  }

  /** The bytes at this offset, in place: they change with the next message. EPROTO past the end. */
  data(offset: number, lengthBytes: number): Uint8Array {
    if (offset + lengthBytes > this.length) throw malformed(`opcode ${this.opcode} ends after ${this.length} bytes`);
    return this.bytes.subarray(offset, offset + lengthBytes);
  }

  /** The NUL-terminated name at this offset; undefined if its bytes are not UTF-8. EPROTO if it has no end. */
  name(offset: number): string | undefined {
    const end = this.#terminator(offset);
    for (let at = offset; at < end; at++) {
      if ((this.bytes[at] as number) >= 0x80) {
        try {
          return utf8.decode(this.bytes.subarray(offset, end));
        } catch {
          return undefined;
        }
      }
    }
    return this.bytes.toString('latin1', offset, end);
  }
}
