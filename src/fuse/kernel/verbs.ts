// Each opcode that looks, reads or changes attributes: how its arguments are read, which verb it is, how its result is written
// and what must be taken back when nobody receives it. Stateless; session.ts runs them. What writes is in writing-verbs.ts.
import { errno } from '../../base/errno.ts';
import {
  FsError,
  type AttributeChange,
  type Attributes,
  type Capacity,
  type Entry,
  type NoEntry,
  type OpenDirectory,
  type OpenFile,
} from '../../fs-ops/operations.ts';
import {
  GETATTR_FH,
  NAME_BYTES_MAX,
  OPEN_KILL_SUIDGID,
  opcode,
  openFlag,
  setattrValid,
  size,
} from './protocol/constants.ts';
import { malformed, type Message } from './protocol/message.ts';
import { REQUEST_BYTES_MAX } from './protocol/init.ts';
import type { ReplyBuffer } from './protocol/reply-buffer.ts';
import type { Request } from './request.ts';
import { nothing, type Verb } from './verb.ts';

const BODY = size.IN_HEADER;
const OUT = size.OUT_HEADER;
/** open(2)'s access mode bits, and the flag that makes a descriptor for reading write. */
const O_ACCMODE = 0o3;
const O_TRUNC = 0o1000;

function exists(result: Entry | NoEntry): result is Entry {
  return result.node !== 0;
}

export const lookup: Verb<Entry | NoEntry> = {
  ask(context, request, message) {
    const name = message.name(BODY);
    // No object here has such a name, and the kernel may not remember that: other bytes must still be asked for.
    if (name === undefined) throw new FsError(errno.ENOENT, 'the name is not UTF-8');
    return context.operations.lookup(request.node, name, request);
  },
  encode(result, reply) {
    if (exists(result)) reply.entry(OUT, result);
    else if (result.entryLifetimeMs > 0) reply.noEntry(OUT, result.entryLifetimeMs);
    else throw new FsError(errno.ENOENT, 'no such name');
    return size.ENTRY_OUT;
  },
  takeBack(context, result) {
    if (result.node !== 0) context.operations.forget(result.node, 1);
  },
};

interface KnownAttributes {
  readonly attributes: Attributes;
  readonly lifetimeMs: number;
}

function encodeAttributes(result: KnownAttributes, reply: ReplyBuffer): number {
  reply.attributesOut(OUT, result.attributes, result.lifetimeMs);
  return size.ATTR_OUT;
}

export const getAttributes: Verb<KnownAttributes> = {
  ask(context, request, message) {
    const handle = (message.u32(BODY) & GETATTR_FH) !== 0 ? message.u64(BODY + 8) : undefined;
    return context.operations.getAttributes(request.node, handle, request);
  },
  encode: encodeAttributes,
};

function timeOf(message: Message, secondsAt: number, nanosecondsAt: number): { seconds: number; nanoseconds: number } {
  const nanoseconds = message.u32(nanosecondsAt);
  if (nanoseconds >= 1e9) throw malformed(`${nanoseconds} nanoseconds`);
  return { seconds: message.seconds(secondsAt), nanoseconds };
}

/** Reads fuse_setattr_in. */
export function attributeChange(message: Message): AttributeChange {
  const valid = message.u32(BODY);
  message.u32(BODY + 84); // the whole structure is there
  const has = (bit: number): boolean => (valid & bit) !== 0;
  return {
    killPrivileges: has(setattrValid.KILL_SUIDGID) ? true : undefined,
    permissions: has(setattrValid.MODE) ? message.u32(BODY + 68) & 0o7777 : undefined,
    uid: has(setattrValid.UID) ? message.u32(BODY + 76) : undefined,
    gid: has(setattrValid.GID) ? message.u32(BODY + 80) : undefined,
    sizeBytes: has(setattrValid.SIZE) ? message.fileBytes(BODY + 16) : undefined,
    accessed: has(setattrValid.ATIME_NOW)
      ? 'now'
      : has(setattrValid.ATIME)
        ? timeOf(message, BODY + 32, BODY + 56)
        : undefined,
    modified: has(setattrValid.MTIME_NOW)
      ? 'now'
      : has(setattrValid.MTIME)
        ? timeOf(message, BODY + 40, BODY + 60)
        : undefined,
  };
}

export const setAttributes: Verb<KnownAttributes> = {
  ask(context, request, message) {
    const change = attributeChange(message);
    const handle = (message.u32(BODY) & setattrValid.FH) !== 0 ? message.u64(BODY + 8) : undefined;
    return context.operations.setAttributes(request.node, handle, change, request);
  },
  encode: encodeAttributes,
};

export const access: Verb<void> = {
  ask: (context, request, message) => context.operations.access(request.node, message.u32(BODY), request),
  encode: nothing,
};

/** FOPEN_PARALLEL_DIRECT_WRITES is never given: writes to one file arrive one after the other. */
export function openFlags(opened: OpenFile): number {
  return opened.keepCache ? openFlag.KEEP_CACHE : 0;
}

export const open: Verb<OpenFile> = {
  ask(context, request, message) {
    const flags = message.u32(BODY);
    const killPrivileges = (message.u32(BODY + 4) & OPEN_KILL_SUIDGID) !== 0;
    request.openFlags = flags;
    return context.operations.open(request.node, flags, request, killPrivileges);
  },
  encode(result, reply, request) {
    // Nothing was written through a descriptor opened for reading: its close(2) need not wait for a FLUSH.
    const onlyReads = (request.openFlags & (O_ACCMODE | O_TRUNC)) === 0;
    reply.open(OUT, result.handle, openFlags(result) | (onlyReads ? openFlag.NOFLUSH : 0));
    return size.OPEN_OUT;
  },
  granted: (context, result) => void context.openFiles.add(result.handle),
  takeBack: (context, result) => context.operations.release(result.handle),
};

export const read: Verb<readonly Uint8Array[]> = {
  ask(context, request, message) {
    const handle = message.u64(BODY);
    const offsetBytes = message.fileBytes(BODY + 8);
    request.sizeBytes = message.u32(BODY + 16);
    return context.operations.read(request.node, handle, offsetBytes, request.sizeBytes, request);
  },
  encode(result, _reply, request) {
    let length = 0;
    for (const piece of result) length += piece.length;
    if (length > request.sizeBytes) throw new Error(`READ of ${request.sizeBytes} bytes answered with ${length}`);
    return result;
  },
};

export const release: Verb<void> = {
  ask(context, _request, message) {
    const handle = message.u64(BODY);
    if (context.openFiles.delete(handle)) context.operations.release(handle);
  },
  encode: nothing,
};

export const openDirectory: Verb<OpenDirectory> = {
  ask: (context, request) => context.operations.openDirectory(request.node, request),
  encode(result, reply) {
    const keep = result.keepCache ? openFlag.KEEP_CACHE : 0;
    reply.open(OUT, result.handle, (result.cacheEntries ? openFlag.CACHE_DIR : 0) | keep);
    return size.OPEN_OUT;
  },
  granted: (context, result) => void context.openDirectories.add(result.handle),
  takeBack: (context, result) => context.operations.releaseDirectory(result.handle),
};

export const readDirectory: Verb<void> = {
  ask(context, request, message) {
    const handle = message.u64(BODY);
    const cookie = message.u64(BODY + 8);
    const plus = request.opcode === opcode.READDIRPLUS;
    const page = context.page(Math.min(message.u32(BODY + 16), REQUEST_BYTES_MAX), plus);
    request.page = page;
    const { operations } = context;
    return operations.readDirectory(
      request.node,
      handle,
      cookie,
      plus,
      (row) => {
        const packed = page.add(row);
        if (packed !== 'impossible-name') return packed === 'packed';
        // The kernel would refuse the whole listing for it.
        context.complain(`directory ${request.node} has a name no directory can hold (${row.name.length} characters)`);
        if (plus && row.entry !== undefined) operations.forget(row.entry.node, 1);
        return true;
      },
      request,
    );
  },
  encode: nothing, // the page is the reply
};

export const releaseDirectory: Verb<void> = {
  ask(context, _request, message) {
    const handle = message.u64(BODY);
    if (context.openDirectories.delete(handle)) context.operations.releaseDirectory(handle);
  },
  encode: nothing,
};

export const statistics: Verb<Capacity> = {
  ask: (context, request) => context.operations.capacity(request.node),
  encode(result, reply) {
    reply.capacity(OUT, { ...result, nameBytesMax: Math.min(result.nameBytesMax, NAME_BYTES_MAX) });
    return size.STATFS_OUT;
  },
};

/** True for names of attributes this transport asks the file system about. */
export function isUserAttribute(name: string): boolean {
  return name.startsWith('user.');
}

/** Programs and the kernel itself ask for few names, and for each of these once a file or oftener. */
const unknownNamespaces = new Map<string, FsError>();
const UNKNOWN_NAMESPACES_MAX = 32;

/** The failure for any other name. Made once a name: an error with its stack costs as much as all the rest of the answer. */
export function unknownNamespace(name: string): FsError {
  const known = unknownNamespaces.get(name);
  if (known !== undefined) return known;
  const unknown = new FsError(errno.ENOTSUP, `no attributes but user.*: ${name}`);
  if (unknownNamespaces.size < UNKNOWN_NAMESPACES_MAX) unknownNamespaces.set(name, unknown);
  return unknown;
}

/** The answer to GETXATTR and LISTXATTR: the value if there is room, its size if only that was asked. */
function encodeExtended(value: Uint8Array, reply: ReplyBuffer, request: Request): number | readonly Uint8Array[] {
  if (request.sizeBytes === 0) {
    reply.u32(OUT, value.length);
    reply.u32(OUT + 4, 0);
    return size.GETXATTR_OUT;
  }
  if (value.length > request.sizeBytes) throw new FsError(errno.ERANGE, 'the value is longer than the buffer');
  return [value];
}

export const getExtendedAttribute: Verb<Uint8Array> = {
  ask(context, request, message) {
    request.sizeBytes = message.u32(BODY);
    const name = message.name(BODY + 8);
    if (name === undefined) throw new FsError(errno.ENODATA, 'the name is not UTF-8');
    // Neither POSIX ACLs nor security contexts were negotiated. ls(1) asks for them once a file, unless it hears ENOTSUP:
    // then it does not ask again.
    if (!isUserAttribute(name)) throw unknownNamespace(name);
    return context.operations.getExtendedAttribute(request.node, name, request);
  },
  encode: encodeExtended,
};

export const listExtendedAttributes: Verb<readonly string[]> = {
  ask(context, request, message) {
    request.sizeBytes = message.u32(BODY);
    return context.operations.listExtendedAttributes(request.node, request);
  },
  encode: (names, reply, request) =>
    encodeExtended(Buffer.from(names.map((name) => `${name}\0`).join('')), reply, request),
};
