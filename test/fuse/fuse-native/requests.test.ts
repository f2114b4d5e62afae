// What libfuse asks through the binding, and what the file system hears of it: paths, handles, what is unlinked while it is open.
import { constants } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NodePlace, Operations } from '../../../src/fs-ops/operations.ts';
import { ROOT_NODE } from '../../../src/fs-ops/operations.ts';
import { MemoryOperations } from '../support/memory-operations.ts';
import { Libfuse } from './libfuse.ts';

const { ENOENT, EINVAL, ERANGE, ENOTSUP, ENODATA, EPERM, EBADF, EINTR, EIO } = constants.errno;
const HIDDEN = '.fuse_hidden0000000200000001';

let memory: MemoryOperations;
let changes: string[];
let libfuse: Libfuse;

/** The same operations, noting what changes names. */
function noting(operations: Operations): Operations {
  const place = ({ parent, name }: NodePlace): string => `${parent}/${name}`;
  return new Proxy(operations, {
    get(target, key) {
      const method = Reflect.get(target, key) as (...args: unknown[]) => unknown;
      return (...args: never[]) => {
        if (key === 'unlink') changes.push(`unlink ${place({ parent: args[0] as never, name: args[1] as never })}`);
        if (key === 'rename') changes.push(`rename ${place(args[0] as never)} ${place(args[1] as never)}`);
        return method.apply(target, args);
      };
    },
  });
}

beforeEach(() => {
  memory = new MemoryOperations();
  changes = [];
  libfuse = new Libfuse(noting(memory));
  memory.add(ROOT_NODE, 'a', Buffer.from('of a'));
  const directory = memory.add(ROOT_NODE, 'd', 'directory');
  memory.add(directory, 'b', Buffer.from('of b'));
});

afterEach(async () => {
  await libfuse.session.end();
  expect({ lookups: [...memory.lookups], handles: [...memory.handles] }).toEqual({ lookups: [], handles: [] });
});

describe('a path', () => {
  it('leads to its node, and is let go of', async () => {
    const [result, words] = await libfuse.ask('getattr', '/d/b');
    expect(result).toBe(0);
    expect((words as Uint32Array)[3]).toBe(4);
    expect(await libfuse.result('getattr', '/')).toBe(0);
    expect(await libfuse.result('getattr', '/d/none')).toBe(-ENOENT);
    expect(await libfuse.result('getattr', '/none/b')).toBe(-ENOENT);
    expect([...memory.lookups]).toEqual([]);
  });

  it('whose verb has a bug is EIO, with something in the answer for every place', async () => {
    const [result, words] = await libfuse.ask('getattr', '/bug');
    expect(result).toBe(-EIO);
    expect(words).toBeInstanceOf(Uint32Array);
  });

  it('names nothing new that was not UTF-8', async () => {
    for (const [name, ...args] of [
      ['mkdir', '/\uFFFD', 0o755],
      ['mknod', '/\uFFFD', 0o100644, 0],
      ['create', '/\uFFFD', 0o644],
      ['rename', '/a', '/\uFFFD'],
    ] as const)
      expect(await libfuse.result(name, ...args)).toBe(-EINVAL);
    expect(memory.find('/a')).toBeDefined();
  });

  it('can be neither link nor fifo', async () => {
    expect(await libfuse.result('symlink', 'a', '/l')).toBe(-EPERM);
    expect(await libfuse.result('link', '/a', '/l')).toBe(-EPERM);
    expect(await libfuse.result('mknod', '/f', 0o010644, 0)).toBe(-EPERM);
  });

  it('lists its directory at once, with types', async () => {
    const [, names, stats] = await libfuse.ask('readdir', '/');
    expect(names).toEqual(['.', '..', 'a', 'd']);
    expect((stats as Uint32Array[]).map(([mode = 0]) => mode)).toEqual([0o040000, 0o040000, 0o100000, 0o040000]);
  });

  it('changes owner, mode and length as asked', async () => {
    expect(await libfuse.result('chmod', '/a', 0o100600)).toBe(0);
    expect(await libfuse.result('chown', '/a', 7, 2 ** 32 - 1)).toBe(0);
    expect(await libfuse.result('truncate', '/a', 5, 1)).toBe(0);
    const node = memory.find('/a') as number;
    const { permissions, uid, gid, sizeBytes } = memory.attributesOf(node);
    expect({ permissions, uid, gid, sizeBytes }).toEqual({
      permissions: 0o600,
      uid: 7,
      gid: process.getgid?.(),
      sizeBytes: 2 ** 32 + 5,
    });
  });

  it('has the attributes there is room for, and only user.*', async () => {
    const room = (bytes: number): Buffer => Buffer.from(new ArrayBuffer(bytes));
    expect(await libfuse.result('getxattr', '/a', 'user.test', room(0), 0)).toBe(5);
    expect(await libfuse.result('getxattr', '/a', 'user.test', room(4), 0)).toBe(-ERANGE);
    const value = room(9);
    expect(await libfuse.result('getxattr', '/a', 'user.test', value, 0)).toBe(5);
    expect(value.toString()).toBe('value\0\0\0\0');
    expect(await libfuse.result('getxattr', '/a', 'user.none', room(9), 0)).toBe(-ENODATA);
    expect(await libfuse.result('getxattr', '/a', 'security.x', room(9), 0)).toBe(-ENOTSUP);
    expect(await libfuse.result('listxattr', '/a', room(0))).toBe(10);
    expect(await libfuse.result('listxattr', '/a', room(9))).toBe(-ERANGE);
    expect(await libfuse.result('setxattr', '/a', 'user.new', Buffer.from('x'), 0, 0)).toBe(0);
    expect(await libfuse.result('removexattr', '/a', 'user.new')).toBe(0);
  });
});

describe('times', () => {
  const SET_MS = 1_500_000_000_987n;
  const UNSPOKEN_MS = 1073n;

  async function timesAfter(accessed: bigint, modified: bigint): Promise<[accessed: number, modified: number]> {
    const told = new Libfuse(memory, (waiting) => {
      waiting.writeBigUInt64LE(accessed, process.platform === 'darwin' ? 96 : 104);
      waiting.writeBigUInt64LE(modified, process.platform === 'darwin' ? 104 : 112);
    });
    const words = [Number(accessed & 0xffffffffn), Number(accessed >> 32n)];
    expect(await told.result('utimens', '/a', ...words, ...words)).toBe(0);
    const attributes = memory.attributesOf(memory.find('/a') as number);
    return [attributes.accessed.seconds, attributes.modified.seconds];
  }

  it('are both taken, though the binding passes the first one twice', async () => {
    expect(await timesAfter(SET_MS + 5000n, SET_MS)).toEqual([1_500_000_005, 1_500_000_000]);
    expect(memory.attributesOf(memory.find('/a') as number).modified.nanoseconds).toBe(987_000_000);
  });

  it('before 1970 are taken too', async () => {
    expect(await timesAfter(0n, BigInt.asUintN(64, -1n))).toEqual([0, -1]);
  });

  it('that are left out stay, or are now where neither is said', async () => {
    await timesAfter(1_000_000n, 2_000_000n);
    expect(await timesAfter(UNSPOKEN_MS, SET_MS)).toEqual([1000, 1_500_000_000]);
    expect(await timesAfter(3_000_000n, UNSPOKEN_MS)).toEqual([3000, 1_500_000_000]);
    const [accessed, modified] = await timesAfter(UNSPOKEN_MS, UNSPOKEN_MS);
    expect(Math.min(accessed, modified)).toBeGreaterThan(1_700_000_000);
  });
});

describe('an open file', () => {
  it('is read and written through its handle, whatever its name is by then', async () => {
    const handle = await libfuse.handle('open', '/d/b', 2);
    expect(await libfuse.result('rename', '/d/b', '/c')).toBe(0);
    expect(await libfuse.result('rename', '/d', '/e')).toBe(0);
    expect(await libfuse.write('/c', handle, 'OF')).toBe(2);
    expect(await libfuse.content('/c', handle)).toBe('OF b');
    expect(await libfuse.result('ftruncate', '/c', handle, 1, 0)).toBe(0);
    const [, words] = await libfuse.ask('fgetattr', '/c', handle);
    expect((words as Uint32Array)[3]).toBe(1);
    expect(await libfuse.result('release', '/c', handle)).toBe(0);
    expect(await libfuse.result('flush', '/c', handle)).toBe(-EBADF);
  });

  it('that is unlinked is gone at once for the service, and there for its programs, under no name', async () => {
    const handle = await libfuse.handle('open', '/a', 2);
    expect(await libfuse.result('getattr', `/${HIDDEN}`)).toBe(-ENOENT);
    expect(await libfuse.result('rename', '/a', `/${HIDDEN}`)).toBe(0);
    expect(await libfuse.result('getattr', '/a')).toBe(-ENOENT);
    expect(changes).toEqual([`unlink ${ROOT_NODE}/a`]);
    const [, names] = await libfuse.ask('readdir', '/');
    expect(names).toEqual(['.', '..', 'd']);
    const [result, words] = await libfuse.ask('getattr', `/${HIDDEN}`);
    expect([result, (words as Uint32Array)[6]]).toEqual([0, 0]);
    expect(await libfuse.content(`/${HIDDEN}`, handle)).toBe('of a');
    expect(await libfuse.result('truncate', `/${HIDDEN}`, 2, 0)).toBe(0);
    expect(await libfuse.content(`/${HIDDEN}`, handle)).toBe('of');
    await libfuse.result('release', `/${HIDDEN}`, handle);
    expect(await libfuse.result('unlink', `/${HIDDEN}`)).toBe(0);
    expect(changes).toEqual([`unlink ${ROOT_NODE}/a`]);
    expect(await libfuse.result('getattr', `/${HIDDEN}`)).toBe(-ENOENT);
  });

  it('that is unlinked is gone soon though nobody looks', async () => {
    await libfuse.handle('open', '/a', 0);
    await libfuse.result('rename', '/a', `/${HIDDEN}`);
    await expect.poll(() => changes).toEqual([`unlink ${ROOT_NODE}/a`]);
  });

  it('that another one is renamed over is replaced in one step', async () => {
    const handle = await libfuse.handle('open', '/a', 0);
    expect(await libfuse.result('rename', '/a', `/${HIDDEN}`)).toBe(0);
    expect(await libfuse.result('rename', '/d/b', '/a')).toBe(0);
    expect(await libfuse.content(`/${HIDDEN}`, handle)).toBe('of a');
    expect(changes).toEqual([`rename ${memory.find('/d') as number}/b ${ROOT_NODE}/a`]);
    const again = await libfuse.handle('open', '/a', 0);
    expect(await libfuse.content('/a', again)).toBe('of b');
  });

  it('keeps being readable when the directory it lay in is removed', async () => {
    const handle = await libfuse.handle('open', '/d/b', 0);
    await libfuse.result('rename', '/d/b', `/d/${HIDDEN}`);
    expect(await libfuse.result('rmdir', '/d')).toBe(0);
    expect(await libfuse.content(`/d/${HIDDEN}`, handle)).toBe('of b');
  });

  it('that nothing opened is renamed to such a name like any other', async () => {
    expect(await libfuse.result('rename', '/a', `/${HIDDEN}`)).toBe(0);
    expect(memory.find(`/${HIDDEN}`)).toBeDefined();
    expect(await libfuse.result('unlink', `/${HIDDEN}`)).toBe(0);
    expect(memory.find(`/${HIDDEN}`)).toBeUndefined();
  });

  it('is what its name shows, while the service has newer content, until somebody writes', async () => {
    const handle = await libfuse.handle('open', '/a', 0);
    const old = memory.find('/a') as number;
    memory.remove(ROOT_NODE, 'a');
    const newer = memory.add(ROOT_NODE, 'a', Buffer.from('newer content'));
    const attributesOf = memory.attributesOf.bind(memory);
    // One object, in two versions.
    memory.attributesOf = (node) => ({ ...attributesOf(node), inode: node === newer ? old : node });
    const length = async (): Promise<number | undefined> => ((await libfuse.ask('getattr', '/a'))[1] as Uint32Array)[3];
    expect(await length()).toBe(4);
    const reader = await libfuse.handle('open', '/a', 0);
    expect(await libfuse.content('/a', reader)).toBe('of a');
    const writer = await libfuse.handle('open', '/a', 2);
    expect(await libfuse.content('/a', writer)).toBe('newer content');
    expect(await length()).toBe(13);
    for (const open of [handle, reader, writer]) await libfuse.result('release', '/a', open);
    expect(await length()).toBe(13);
  });
});

describe('the end', () => {
  it('answers what still waits, and gives everything back', async () => {
    const node = memory.find('/a') as number;
    memory.hanging.add(node);
    const handle = await libfuse.handle('open', '/a', 0);
    await libfuse.handle('opendir', '/d', 0);
    const room = Buffer.from(new ArrayBuffer(10));
    const waiting = libfuse.ask('read', '/a', handle, room, 10, 0, 0);
    const looking = libfuse.result('getattr', '/d');
    expect(libfuse.session.pendingCount).toBe(1 + 1);
    await looking;
    libfuse.session.abort();
    expect(await waiting).toEqual([-EINTR, 0, room.buffer]);
  });

  it('removes what was unlinked a moment before', async () => {
    await libfuse.handle('open', '/a', 0);
    await libfuse.result('rename', '/a', `/${HIDDEN}`);
    await libfuse.session.end();
    expect(changes).toEqual([`unlink ${ROOT_NODE}/a`]);
  });
});

it('counts what it served', async () => {
  const handle = await libfuse.handle('open', '/a', 0);
  await libfuse.content('/a', handle);
  await libfuse.result('getattr', '/none');
  expect(libfuse.session.byOpcode()).toEqual({
    OPEN: { requests: 1, errors: 0, bytes: 0 },
    READ: { requests: 1, errors: 0, bytes: 4 },
    GETATTR: { requests: 1, errors: 1, bytes: 0 },
  });
});
