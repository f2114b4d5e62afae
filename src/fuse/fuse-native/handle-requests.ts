// Requests that open files and directories or go through what is open. A handle is libfuse's small number; what is asked through one
// goes to what was opened, whatever its path is by now. Stateless; session.ts runs them.
import { constants } from 'node:fs';
import { errno } from '../../base/errno.ts';
import { FsError, type Caller, type FileType } from '../../fs-ops/operations.ts';
import { createFlags } from './layout.ts';
import { requireUtf8 } from './paths.ts';
import { plain, type Context, type OpenedDirectory, type OpenedFile, type Request } from './request.ts';
import { entryWords, fromWords, noStat, statWords } from './words.ts';

const O_RDWR = 2;
const O_ACCMODE = 3;
const PERMISSION_BITS = 0o7777;
const NO_HANDLE: readonly unknown[] = [0];

function file({ files }: Context, number: number): OpenedFile {
  const opened = files.get(number);
  if (opened === undefined) throw new FsError(errno.EBADF, `no open file ${number}`);
  return opened;
}

export const open: Request<[path: string, flags: number]> = {
  name: 'open',
  opcode: 'OPEN',
  async ask({ operations, paths, files }, [path, flags], caller) {
    const writes = (flags & (O_ACCMODE | constants.O_TRUNC)) !== 0;
    const held = await paths.find(path, caller, writes);
    let handle: number;
    try {
      ({ handle } = await operations.open(held.node, flags, caller));
    } catch (error) {
      held.release();
      throw error;
    }
    try {
      const name = await paths.opened(path, held, writes, caller);
      return [0, files.add({ name, node: held.node, handle })];
    } catch (error) {
      operations.release(handle);
      held.release();
      throw error;
    }
  },
  failed: () => NO_HANDLE,
};

export const create: Request<[path: string, mode: number]> = {
  name: 'create',
  opcode: 'CREATE',
  async ask({ operations, paths, files }, [path, mode], caller, waiting) {
    return paths.within(path, caller, async (place) => {
      requireUtf8(place.name);
      const flags = createFlags(waiting) ?? O_RDWR;
      const { parent, name } = place;
      const { entry, opened } = await operations.create(parent, name, mode & PERMISSION_BITS, flags, caller);
      const openName = paths.openedAt(place, paths.granted(entry.node), true);
      return [0, files.add({ name: openName, node: entry.node, handle: opened.handle })];
    });
  },
  failed: () => NO_HANDLE,
};

export const read: Request<[path: string, number: number, room: Buffer, length: number, low: number, high: number]> = {
  name: 'read',
  opcode: 'READ',
  ask(context, [, number, room, lengthBytes, low, high], caller) {
    const { node, handle } = file(context, number);
    const copy = (pieces: readonly Uint8Array[]): readonly [number, number, unknown] => {
      let copied = 0;
      for (const piece of pieces) {
        room.set(piece, copied);
        copied += piece.length;
      }
      return [copied, copied, room.buffer];
    };
    const answer = context.operations.read(node, handle, fromWords(low, high), lengthBytes, caller);
    return answer instanceof Promise ? answer.then(copy) : copy(answer);
  },
  failed: ([, , room]) => [0, room.buffer],
};

export const write: Request<[path: string, number: number, data: Buffer, length: number, low: number, high: number]> = {
  name: 'write',
  opcode: 'WRITE',
  async ask(context, [, number, data, , low, high], caller) {
    const { node, handle } = file(context, number);
    const taken = await context.operations.write(node, handle, fromWords(low, high), data, false, caller);
    return [taken, taken, data.buffer];
  },
  failed: ([, , data]) => [0, data.buffer],
};

export const fgetattr: Request<[path: string, number: number]> = {
  name: 'fgetattr',
  opcode: 'GETATTR',
  async ask(context, [, number], caller) {
    const { name, node, handle } = file(context, number);
    // The kernel has one length for all that are open by one name.
    const asked = name.shown === node ? handle : undefined;
    const known = await context.operations.getAttributes(name.shown, asked, caller);
    return [0, statWords(known.attributes)];
  },
  failed: () => [noStat],
};

export const ftruncate = plain<[path: string, number: number, low: number, high: number]>(
  'ftruncate',
  'SETATTR',
  async (context, [, number, low, high], caller) => {
    const { node, handle } = file(context, number);
    await context.operations.setAttributes(node, handle, { sizeBytes: fromWords(low, high) }, caller);
  },
);

export const flush = plain<[path: string, number: number]>('flush', 'FLUSH', (context, [, number], caller) => {
  const { node, handle } = file(context, number);
  return context.operations.flush(node, handle, caller);
});

export const fsync = plain<[path: string, dataOnly: number, number: number]>(
  'fsync',
  'FSYNC',
  (context, [, , number], caller) => {
    const { node, handle } = file(context, number);
    return context.operations.sync(node, handle, caller);
  },
);

export const release = plain<[path: string, number: number]>(
  'release',
  'RELEASE',
  ({ files, operations }, [, number]) => {
    const opened = files.remove(number);
    if (opened === undefined) return;
    operations.release(opened.handle);
    opened.name.drop();
  },
);

export const opendir: Request<[path: string]> = {
  name: 'opendir',
  opcode: 'OPENDIR',
  async ask({ operations, paths, directories }, [path], caller) {
    const held = await paths.find(path, caller);
    try {
      const { handle } = await operations.openDirectory(held.node, caller);
      return [0, directories.add({ held, handle })];
    } catch (error) {
      held.release();
      throw error;
    }
  },
  failed: () => NO_HANDLE,
};

/** All of a directory at once: libfuse hands it out in pieces. It does not say through which handle it asks. */
export const readdir: Request<[path: string]> = {
  name: 'readdir',
  opcode: 'READDIR',
  async ask(context, [path], caller) {
    const rows = await context.paths.with(path, caller, async (node) => {
      await context.paths.settled(node);
      return list(context, node, caller);
    });
    return [0, rows.map(({ name }) => name), rows.map(({ type, inode }) => entryWords(type, inode))];
  },
  failed: () => [[], []],
};

interface Row {
  readonly name: string;
  readonly type: FileType;
  readonly inode: number;
}

async function list({ operations, directories }: Context, node: number, caller: Caller): Promise<Row[]> {
  const rows: Row[] = [];
  const sink = ({ name, type, inode }: Row): boolean => rows.push({ name, type, inode }) > 0;
  const open = directories.find(({ held }) => held.node === node);
  const handle = open?.handle ?? (await operations.openDirectory(node, caller)).handle;
  try {
    await operations.readDirectory(node, handle, 0, false, sink, caller);
  } finally {
    if (open === undefined) operations.releaseDirectory(handle);
  }
  return rows;
}

export const fsyncdir = plain<[path: string, dataOnly: number, number: number]>(
  'fsyncdir',
  'FSYNCDIR',
  async ({ operations, paths, directories }, [, , number], caller) => {
    const opened: OpenedDirectory | undefined = directories.get(number);
    if (opened === undefined) throw new FsError(errno.EBADF, `no open directory ${number}`);
    await paths.settled(opened.held.node);
    await operations.syncDirectory(opened.held.node, opened.handle, caller);
  },
);

export const releasedir = plain<[path: string, number: number]>(
  'releasedir',
  'RELEASEDIR',
  ({ operations, directories }, [, number]) => {
    const opened = directories.remove(number);
    if (opened === undefined) return;
    operations.releaseDirectory(opened.handle);
    opened.held.release();
  },
);
