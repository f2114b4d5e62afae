// The messages that tell the kernel to drop or take cached state. Each function returns one complete, newly made message.
import type { NodeId } from '../../../fs-ops/operations.ts';
import { EXPIRE_ONLY, notifyCode, size } from './constants.ts';

const TWO_32 = 2 ** 32;

function start(code: number, bodyBytes: number): Buffer {
  const message = Buffer.alloc(size.OUT_HEADER + bodyBytes);
  message.writeUInt32LE(message.length, 0);
  message.writeInt32LE(code, 4); // unique stays 0: that is what makes it a notification
  return message;
}

function u64(message: Buffer, offset: number, value: number): void {
  message.writeUInt32LE(value % TWO_32, offset);
  message.writeUInt32LE(Math.floor(value / TWO_32), offset + 4);
}

/** FUSE_NOTIFY_INVAL_INODE: attributes; with `content` all cached pages or directory entries too. */
export function invalidateInode(node: NodeId, content: boolean): Buffer {
  const message = start(notifyCode.INVAL_INODE, 24);
  u64(message, 16, node);
  // A negative offset leaves the pages alone; offset 0 and length 0 mean all of them.
  if (!content) message.writeBigInt64LE(-1n, 24);
  return message;
}

/** FUSE_NOTIFY_INVAL_ENTRY: one name; with `expireOnly` it is looked up anew but not torn from under its users. */
export function invalidateEntry(parent: NodeId, name: string, expireOnly: boolean): Buffer {
  const nameBytes = Buffer.byteLength(name);
  const message = start(notifyCode.INVAL_ENTRY, 16 + nameBytes + 1);
  u64(message, 16, parent);
  message.writeUInt32LE(nameBytes, 24);
  message.writeUInt32LE(expireOnly ? EXPIRE_ONLY : 0, 28);
  message.write(name, 32);
  return message;
}

/** FUSE_NOTIFY_DELETE: the name is gone; watchers (inotify) of `child` are told. */
export function deleteEntry(parent: NodeId, child: NodeId, name: string): Buffer {
  const nameBytes = Buffer.byteLength(name);
  const message = start(notifyCode.DELETE, 24 + nameBytes + 1);
  u64(message, 16, parent);
  u64(message, 24, child);
  message.writeUInt32LE(nameBytes, 32);
  message.write(name, 40);
  return message;
}

/** FUSE_NOTIFY_STORE: puts content into the page cache. */
export function store(node: NodeId, offsetBytes: number, content: Uint8Array): Buffer {
  const message = start(notifyCode.STORE, 24 + content.length);
  u64(message, 16, node);
  u64(message, 24, offsetBytes);
  message.writeUInt32LE(content.length, 32);
  message.set(content, 40);
  return message;
}

/** FUSE_NOTIFY_INC_EPOCH: every name the kernel remembers is looked up anew. */
export function incrementEpoch(): Buffer {
  return start(notifyCode.INC_EPOCH, 0);
}
