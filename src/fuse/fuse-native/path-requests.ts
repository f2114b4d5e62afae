// Requests about paths: attributes, names, extended attributes, capacity. Stateless; session.ts runs them.
import { errno } from '../../base/errno.ts';
import { FsError, type AttributeChange, type Caller } from '../../fs-ops/operations.ts';
import { modifiedMs } from './layout.ts';
import { spokenTimes } from './omitted-times.ts';
import { requireUtf8 } from './paths.ts';
import { plain, type Context, type Request } from './request.ts';
import { fromWords, noStat, noStatfs, statWords, statfsWords, timeOf } from './words.ts';

const PERMISSION_BITS = 0o7777;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
/** chown(2)'s "leave it". */
const SAME_ID = 2 ** 32 - 1;

export const getattr: Request<[path: string]> = {
  name: 'getattr',
  opcode: 'GETATTR',
  async ask({ operations, paths }, [path], caller) {
    const known = await paths.with(path, caller, (node) => operations.getAttributes(node, undefined, caller));
    return [0, statWords(known.attributes)];
  },
  failed: () => [noStat],
};

export const statfs: Request<[path: string]> = {
  name: 'statfs',
  opcode: 'STATFS',
  async ask({ operations, paths }, [path], caller) {
    return [0, statfsWords(await paths.with(path, caller, (node) => operations.capacity(node)))];
  },
  failed: () => [noStatfs],
};

export const access = plain<[path: string, mask: number]>(
  'access',
  'ACCESS',
  ({ operations, paths }, [path, mask], caller) =>
    paths.with(path, caller, (node) => operations.access(node, mask, caller)),
);

async function change(
  { operations, paths }: Context,
  path: string,
  wanted: AttributeChange,
  caller: Caller,
): Promise<void> {
  await paths.with(path, caller, (node) => operations.setAttributes(node, undefined, wanted, caller));
}

export const chmod = plain<[path: string, mode: number]>('chmod', 'SETATTR', (context, [path, mode], caller) =>
  change(context, path, { permissions: mode & PERMISSION_BITS }, caller),
);

export const chown = plain<[path: string, uid: number, gid: number]>(
  'chown',
  'SETATTR',
  (context, [path, uid, gid], caller) =>
    change(context, path, { uid: uid === SAME_ID ? undefined : uid, gid: gid === SAME_ID ? undefined : gid }, caller),
);

export const truncate = plain<[path: string, low: number, high: number]>(
  'truncate',
  'SETATTR',
  (context, [path, low, high], caller) => change(context, path, { sizeBytes: fromWords(low, high) }, caller),
);

export const utimens = plain<[path: string, accessedLow: number, accessedHigh: number]>(
  'utimens',
  'SETATTR',
  (context, [path, low, high], caller, waiting) => {
    const accessed = (BigInt(high) << 32n) | BigInt(low);
    const modified = modifiedMs(waiting, accessed) ?? accessed;
    return change(context, path, spokenTimes(accessed, modified, timeOf), caller);
  },
);

export const mknod = plain<[path: string, mode: number]>(
  'mknod',
  'MKNOD',
  async ({ operations, paths }, [path, mode], caller) => {
    const type = mode & S_IFMT;
    if (type !== S_IFREG && type !== 0) throw new FsError(errno.EPERM, 'no fifos, sockets or devices');
    await paths.within(path, caller, async ({ parent, name }) => {
      requireUtf8(name);
      const { node } = await operations.makeFile(parent, name, mode & PERMISSION_BITS, caller);
      paths.granted(node).release();
    });
  },
);

export const mkdir = plain<[path: string, mode: number]>(
  'mkdir',
  'MKDIR',
  async ({ operations, paths }, [path, mode], caller) => {
    await paths.within(path, caller, async ({ parent, name }) => {
      requireUtf8(name);
      const { node } = await operations.makeDirectory(parent, name, mode & PERMISSION_BITS, caller);
      paths.granted(node).release();
    });
  },
);

export const unlink = plain<[path: string]>('unlink', 'UNLINK', ({ paths }, [path], caller) =>
  paths.unlink(path, caller),
);

export const rmdir = plain<[path: string]>('rmdir', 'RMDIR', async ({ operations, paths }, [path], caller) => {
  await paths.with(path, caller, (node) => paths.settled(node));
  await paths.within(path, caller, ({ parent, name }) => operations.removeDirectory(parent, name, caller));
});

export const rename = plain<[from: string, to: string]>('rename', 'RENAME', ({ paths }, [from, to], caller) =>
  paths.rename(from, to, caller),
);

/** As a disk whose format has no links. */
function noLinks(name: 'link' | 'symlink'): Request<[from: string, to: string]> {
  return plain(name, name.toUpperCase(), () => {
    throw new FsError(errno.EPERM, 'no links');
  });
}
export const link = noLinks('link');
export const symlink = noLinks('symlink');

/** Neither POSIX ACLs nor security contexts are kept. */
function requireUserAttribute(name: string): void {
  if (!name.startsWith('user.')) throw new FsError(errno.ENOTSUP, `no attributes but user.*: ${name}`);
}

/** Puts a value where there is room for it; with no room at all only its size is asked for. */
function fill(room: Buffer, value: Uint8Array): readonly [number, unknown] {
  if (room.length > 0) {
    if (value.length > room.length) throw new FsError(errno.ERANGE, 'the value is longer than the buffer');
    room.set(value);
  }
  return [value.length, room.buffer];
}

export const getxattr: Request<[path: string, name: string, room: Buffer]> = {
  name: 'getxattr',
  opcode: 'GETXATTR',
  async ask({ operations, paths }, [path, name, room], caller) {
    requireUserAttribute(name);
    const value = await paths.with(path, caller, (node) => operations.getExtendedAttribute(node, name, caller));
    return fill(room, value);
  },
  failed: ([, , room]) => [room.buffer],
};

export const listxattr: Request<[path: string, room: Buffer]> = {
  name: 'listxattr',
  opcode: 'LISTXATTR',
  async ask({ operations, paths }, [path, room], caller) {
    const names = await paths.with(path, caller, (node) => operations.listExtendedAttributes(node, caller));
    return fill(room, Buffer.from(names.map((name) => `${name}\0`).join('')));
  },
  failed: ([, room]) => [room.buffer],
};

export const setxattr: Request<[path: string, name: string, value: Buffer, position: number, flags: number]> = {
  name: 'setxattr',
  opcode: 'SETXATTR',
  async ask({ operations, paths }, [path, name, value, , flags], caller) {
    requireUserAttribute(name);
    // A copy: it is kept for longer than this request.
    const own = Buffer.from(value);
    await paths.with(path, caller, (node) => operations.setExtendedAttribute(node, name, own, flags, caller));
    return [0, value.buffer];
  },
  failed: ([, , value]) => [value.buffer],
};

export const removexattr = plain<[path: string, name: string]>(
  'removexattr',
  'REMOVEXATTR',
  ({ operations, paths }, [path, name], caller) => {
    requireUserAttribute(name);
    return paths.with(path, caller, (node) => operations.setExtendedAttribute(node, name, undefined, 0, caller));
  },
);
