// Each opcode that makes, removes, renames or writes: how its arguments are read, which verb it is, how its result is written
// and what must be taken back when nobody receives it: handle and lookup, never the file itself. Stateless, as verbs.ts.
import { errno } from '../../base/errno.ts';
import { FsError, type Entry, type NodePlace, type OpenFile } from '../../fs-ops/operations.ts';
import {
  OPEN_KILL_SUIDGID,
  S_IFMT,
  S_IFREG,
  WRITE_KILL_SUIDGID,
  opcode,
  renameFlag,
  size,
} from './protocol/constants.ts';
import type { Message } from './protocol/message.ts';
import type { ReplyBuffer } from './protocol/reply-buffer.ts';
import { nothing, type Verb, type VerbContext } from './verb.ts';
import { isUserAttribute, openFlags, unknownNamespace } from './verbs.ts';

const BODY = size.IN_HEADER;
const OUT = size.OUT_HEADER;
const PERMISSION_BITS = 0o7777;

/** A name to be made. */
function newName(message: Message, offset: number): string {
  const name = message.name(offset);
  if (name === undefined) throw new FsError(errno.EINVAL, 'the name is not UTF-8');
  return name;
}

/** A name that should be there. */
function presentName(message: Message, offset: number): string {
  const name = message.name(offset);
  if (name === undefined) throw new FsError(errno.ENOENT, 'no name here is other than UTF-8');
  return name;
}

interface Created {
  readonly entry: Entry;
  readonly opened: OpenFile;
}

export const create: Verb<Created> = {
  ask(context, request, message) {
    const flags = message.u32(BODY);
    const permissions = message.u32(BODY + 4) & PERMISSION_BITS; // the caller's umask is applied already
    const killPrivileges = (message.u32(BODY + 12) & OPEN_KILL_SUIDGID) !== 0;
    const name = newName(message, BODY + size.CREATE_IN);
    return context.operations.create(request.node, name, permissions, flags, request, killPrivileges);
  },
  encode(result, reply) {
    reply.entry(OUT, result.entry);
    // Never NOFLUSH, not even for a handle that only reads: its close(2) is what makes the new file safe.
    reply.open(OUT + size.ENTRY_OUT, result.opened.handle, openFlags(result.opened));
    return size.ENTRY_OUT + size.OPEN_OUT;
  },
  granted: (context, result) => void context.openFiles.add(result.opened.handle),
  takeBack(context, result) {
    context.operations.release(result.opened.handle);
    forget(context, result.entry);
  },
};

function encodeEntry(entry: Entry, reply: ReplyBuffer): number {
  reply.entry(OUT, entry);
  return size.ENTRY_OUT;
}

function forget(context: VerbContext, entry: Entry): void {
  context.operations.forget(entry.node, 1);
}

export const makeNode: Verb<Entry> = {
  ask(context, request, message) {
    const mode = message.u32(BODY);
    const type = mode & S_IFMT;
    const name = newName(message, BODY + size.MKNOD_IN);
    if (type !== S_IFREG && type !== 0) throw new FsError(errno.EPERM, 'no fifos, sockets or devices');
    return context.operations.makeFile(request.node, name, mode & PERMISSION_BITS, request);
  },
  encode: encodeEntry,
  takeBack: forget,
};

export const makeDirectory: Verb<Entry> = {
  ask(context, request, message) {
    const name = newName(message, BODY + size.MKDIR_IN);
    return context.operations.makeDirectory(request.node, name, message.u32(BODY) & PERMISSION_BITS, request);
  },
  encode: encodeEntry,
  takeBack: forget,
};

export const unlink: Verb<void> = {
  ask: (context, request, message) => context.operations.unlink(request.node, presentName(message, BODY), request),
  encode: nothing,
};

export const removeDirectory: Verb<void> = {
  ask: (context, request, message) =>
    context.operations.removeDirectory(request.node, presentName(message, BODY), request),
  encode: nothing,
};

/** RENAME and RENAME2, which has flags. */
export const rename: Verb<void> = {
  ask(context, request, message) {
    const plain = message.opcode === opcode.RENAME;
    const namesAt = BODY + (plain ? size.RENAME_IN : size.RENAME2_IN);
    const flags = plain ? 0 : message.u32(BODY + 8);
    const noReplace = (flags & renameFlag.NOREPLACE) !== 0;
    const exchange = (flags & renameFlag.EXCHANGE) !== 0;
    const known = renameFlag.NOREPLACE | renameFlag.EXCHANGE;
    if ((noReplace && exchange) || (flags & ~known) !== 0)
      throw new FsError(errno.EINVAL, `rename flags ${flags} are not supported`);
    const from: NodePlace = { parent: request.node, name: presentName(message, namesAt) };
    const targetAt = message.behindName(namesAt);
    const name = exchange ? presentName(message, targetAt) : newName(message, targetAt);
    return context.operations.rename(from, { parent: message.u64(BODY), name }, { noReplace, exchange }, request);
  },
  encode: nothing,
};

export const write: Verb<number> = {
  ask(context, request, message) {
    const offsetBytes = message.fileBytes(BODY + 8);
    const lengthBytes = message.u32(BODY + 16);
    const killPrivileges = (message.u32(BODY + 20) & WRITE_KILL_SUIDGID) !== 0;
    request.sizeBytes = lengthBytes;
    const data = message.data(BODY + size.WRITE_IN, lengthBytes);
    return context.operations.write(request.node, message.u64(BODY), offsetBytes, data, killPrivileges, request);
  },
  encode(takenBytes, reply, request) {
    if (!(takenBytes >= 0 && takenBytes <= request.sizeBytes))
      throw new Error(`WRITE of ${request.sizeBytes} bytes answered with ${takenBytes}`);
    reply.u32(OUT, takenBytes);
    reply.u32(OUT + 4, 0);
    return size.WRITE_OUT;
  },
};

export const allocate: Verb<void> = {
  ask(context, request, message) {
    const handle = message.u64(BODY);
    const offsetBytes = message.fileBytes(BODY + 8);
    const lengthBytes = message.fileBytes(BODY + 16);
    return context.operations.allocate(request.node, handle, message.u32(BODY + 24), offsetBytes, lengthBytes, request);
  },
  encode: nothing,
};

export const setExtendedAttribute: Verb<void> = {
  ask(context, request, message) {
    const lengthBytes = message.u32(BODY);
    const flags = message.u32(BODY + 4);
    const nameAt = BODY + size.SETXATTR_IN;
    const name = message.name(nameAt);
    if (name === undefined) throw new FsError(errno.EINVAL, 'the name is not UTF-8');
    if (!isUserAttribute(name)) throw unknownNamespace(name);
    // A copy: it is kept for longer than this call, and is small.
    const value = Buffer.from(message.data(message.behindName(nameAt), lengthBytes));
    return context.operations.setExtendedAttribute(request.node, name, value, flags, request);
  },
  encode: nothing,
};

export const removeExtendedAttribute: Verb<void> = {
  ask(context, request, message) {
    const name = message.name(BODY);
    if (name === undefined) throw new FsError(errno.ENODATA, 'the name is not UTF-8');
    if (!isUserAttribute(name)) throw unknownNamespace(name);
    return context.operations.setExtendedAttribute(request.node, name, undefined, 0, request);
  },
  encode: nothing,
};

export const flush: Verb<void> = {
  ask: (context, request, message) => context.operations.flush(request.node, message.u64(BODY), request),
  encode: nothing,
};

export const sync: Verb<void> = {
  ask: (context, request, message) => context.operations.sync(request.node, message.u64(BODY), request),
  encode: nothing,
};

export const syncDirectory: Verb<void> = {
  ask: (context, request, message) => context.operations.syncDirectory(request.node, message.u64(BODY), request),
  encode: nothing,
};
