// Builds kernel messages byte by byte, for tests of the codec and the session.
import { Message } from '../../../src/fuse/kernel/protocol/message.ts';

/** A 64-bit field. */
export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt.asIntN(64, BigInt(value)));
  return bytes;
}

export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32LE(value >>> 0, index * 4));
  return bytes;
}

/** One message with a right header. */
export function request(opcode: number, unique: number, node: number | bigint, ...body: Uint8Array[]): Buffer {
  const content = Buffer.concat(body);
  return Buffer.concat([u32(40 + content.length, opcode), u64(unique), u64(node), u32(1000, 1001, 4242, 0), content]);
}

/** The message as the device loop has it: in a larger buffer with the remains of the message before. */
export function received(bytes: Uint8Array): Message {
  const buffer = Buffer.alloc(Math.max(8192, bytes.length + 64), 0xee);
  buffer.set(bytes);
  const message = new Message(buffer);
  message.accept(bytes.length);
  return message;
}

/** A reply taken apart. */
export function reply(bytes: Buffer): { error: number; unique: number; body: Buffer } {
  if (bytes.readUInt32LE(0) !== bytes.length) throw new Error('the reply states another length than it has');
  return { error: 0 - bytes.readInt32LE(4), unique: Number(bytes.readBigUInt64LE(8)), body: bytes.subarray(16) };
}
