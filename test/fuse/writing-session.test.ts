// The writing opcodes without a kernel: how each message becomes a verb, what is replied, what is taken back.
import { describe, expect, it } from 'vitest';
import { errno } from '../../src/base/errno.ts';
import { FsError, ROOT_NODE, type Operations } from '../../src/fs-ops/operations.ts';
import { opcode } from '../../src/fuse/kernel/protocol/constants.ts';
import { attributeChange } from '../../src/fuse/kernel/verbs.ts';
import { answerOf, name, settled, start } from './support/conversation.ts';
import { MemoryOperations } from './support/memory-operations.ts';
import { received, reply, request, u32, u64 } from './support/messages.ts';

const O_RDWR = 0o2;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const KEEP_CACHE = 1 << 1;
const NOFLUSH = 1 << 5;
const S_IFREG = 0o100000;
const S_IFIFO = 0o010000;
const BAD_NAME = Buffer.of(0x61, 0xff, 0);

/** fuse_create_in: flags, mode, umask, open_flags; then the name. */
function create(text: string | Buffer, flags: number, openFlags = 0): Buffer {
  const bytes = typeof text === 'string' ? name(text) : text;
  return request(opcode.CREATE, 2, ROOT_NODE, u32(flags, S_IFREG | 0o640, 0o022, openFlags), bytes);
}

/** fuse_write_in: fh, offset, size, write_flags, lock_owner, flags, padding; then the bytes. */
function write(node: number, handle: number, offset: number, data: Buffer, writeFlags = 0): Buffer {
  const head = [u64(handle), u64(offset), u32(data.length, writeFlags), u64(0xabcdef), u32(O_RDWR, 0)];
  return request(opcode.WRITE, 4, node, ...head, data);
}

function rename(from: string | Buffer, to: string | Buffer, flags?: number, parent: number = ROOT_NODE): Buffer {
  const names = [from, to].map((text) => (typeof text === 'string' ? name(text) : text));
  return flags === undefined
    ? request(opcode.RENAME, 2, ROOT_NODE, u64(parent), ...names)
    : request(opcode.RENAME2, 2, ROOT_NODE, u64(parent), u32(flags, 0), ...names);
}

/** Records the arguments a verb was called with, the caller left out. */
function recording(verb: keyof Operations, result?: unknown): { operations: MemoryOperations; calls: unknown[][] } {
  const operations = new MemoryOperations();
  const calls: unknown[][] = [];
  Object.assign(operations, {
    [verb]: (...args: unknown[]) => {
      calls.push(
        args.filter((argument) => !(typeof argument === 'object' && argument !== null && 'signal' in argument)),
      );
      return result;
    },
  });
  return { operations, calls };
}

describe('CREATE', () => {
  it('replies with entry and handle, for which KEEP_CACHE is said as in OPEN and NOFLUSH never', () => {
    for (const keepCache of [true, false]) {
      const operations = new MemoryOperations();
      operations.keepCache = keepCache;
      const { ask, replies } = start(operations);
      ask(create('new', 0));
      const { error, body } = answerOf(replies);
      expect([error, body.length]).toEqual([0, 128 + 16]);
      expect(Number(body.readBigUInt64LE(0))).toBe(operations.find('new'));
      expect(operations.handles.get(Number(body.readBigUInt64LE(128)))).toBe(operations.find('new'));
      expect(body.readUInt32LE(136)).toBe(keepCache ? KEEP_CACHE : 0);
      expect(operations.attributesOf(operations.find('new') ?? 0)).toMatchObject({
        permissions: 0o640,
        uid: 1000,
        gid: 1001,
      });
    }
  });

  it('hands on flags, permissions without the type, and whether privileges go', () => {
    const { operations, calls } = recording('create');
    const { ask } = start(operations);
    ask(create('a', O_RDWR | O_EXCL));
    ask(create('é', O_RDWR | O_TRUNC, 1));
    expect(calls).toEqual([
      [ROOT_NODE, 'a', 0o640, O_RDWR | O_EXCL, false],
      [ROOT_NODE, 'é', 0o640, O_RDWR | O_TRUNC, true],
    ]);
  });

  it.each(['sent', 'refused', 'invalid'] as const)(
    'leaves the file when the reply is %s, but no handle nobody has',
    (outcome) => {
      const operations = new MemoryOperations();
      const { ask, session } = start(operations, (bytes) => (reply(bytes).error === 0 ? outcome : 'sent'));
      ask(create('new', O_RDWR));
      expect(operations.find('new')).toBeGreaterThan(0);
      expect([operations.handles.size, operations.lookups.size]).toEqual(outcome === 'sent' ? [1, 1] : [0, 0]);
      session.end();
      expect(operations.handles.size, 'the end of the mount releases it').toBe(0);
    },
  );

  it('takes back what came after the mount had ended', async () => {
    const operations = new MemoryOperations();
    operations.lateCreate = 'late';
    const { ask, session, replies } = start(operations);
    ask(create('late', O_RDWR));
    session.end();
    await settled();
    expect(operations.find('late')).toBeGreaterThan(0);
    expect([operations.handles.size, operations.lookups.size, replies.length]).toEqual([0, 0, 0]);
  });
});

describe('OPEN', () => {
  it.each([
    ['reading', 0, NOFLUSH],
    ['writing', 1, 0],
    ['both', O_RDWR, 0],
    ['reading, but truncating', O_TRUNC, 0],
  ])('is told apart: %s', (_, flags, expected) => {
    const operations = new MemoryOperations();
    operations.keepCache = false;
    const node = operations.add(ROOT_NODE, 'a', 5);
    const { ask, replies } = start(operations);
    ask(request(opcode.OPEN, 2, node, u32(flags, 0)));
    expect(answerOf(replies).body.readUInt32LE(8)).toBe(expected);
    expect(operations.attributesOf(node).sizeBytes).toBe(flags === O_TRUNC ? 0 : 5);
  });

  it('says when privileges go', () => {
    const { operations, calls } = recording('open', { handle: 1, keepCache: true });
    const { ask } = start(operations);
    ask(request(opcode.OPEN, 2, 5, u32(O_TRUNC | 1, 1)));
    ask(request(opcode.OPEN, 4, 5, u32(O_TRUNC | 1, 0)));
    expect(calls).toEqual([
      [5, O_TRUNC | 1, true],
      [5, O_TRUNC | 1, false],
    ]);
  });
});

describe('making, removing, renaming', () => {
  it('makes files and directories, with entries', () => {
    const operations = new MemoryOperations();
    const { ask, replies } = start(operations);
    ask(request(opcode.MKNOD, 2, ROOT_NODE, u32(S_IFREG | 0o4751, 0, 0o022, 0), name('file')));
    ask(request(opcode.MKDIR, 4, ROOT_NODE, u32(0o40711, 0o022), name('directory')));
    const answers = replies.map(reply);
    expect(answers.map(({ error, body }) => [error, body.length, Number(body.readBigUInt64LE(0))])).toEqual([
      [0, 128, operations.find('file')],
      [0, 128, operations.find('directory')],
    ]);
    expect(answers.map(({ body }) => body.readUInt32LE(40 + 60))).toEqual([0o104751, 0o040711]);
  });

  it('takes back the lookup of what nobody heard was made, and leaves it made', () => {
    const operations = new MemoryOperations();
    const { ask } = start(operations, () => 'refused');
    ask(request(opcode.MKNOD, 2, ROOT_NODE, u32(S_IFREG | 0o644, 0, 0, 0), name('file')));
    ask(request(opcode.MKDIR, 4, ROOT_NODE, u32(0o755, 0), name('directory')));
    expect(operations.lookups.size).toBe(0);
    expect([operations.find('file'), operations.find('directory')]).not.toContain(undefined);
  });

  it('unlinks, removes, renames', () => {
    const operations = new MemoryOperations();
    const directory = operations.add(ROOT_NODE, 'directory', 'directory');
    const file = operations.add(ROOT_NODE, 'file', 1);
    operations.add(directory, 'target', 2);
    const { ask, replies } = start(operations);
    ask(request(opcode.RMDIR, 2, ROOT_NODE, name('directory')));
    ask(rename('file', 'target', undefined, directory));
    ask(request(opcode.UNLINK, 2, directory, name('target')));
    ask(request(opcode.RMDIR, 2, ROOT_NODE, name('directory')));
    expect(replies.map((bytes) => reply(bytes).error)).toEqual([errno.ENOTEMPTY, 0, 0, 0]);
    expect(operations.attributesOf(file).linkCount).toBe(0);
    expect(operations.thing(ROOT_NODE).children.size).toBe(0);
  });

  it.each([
    ['RENAME', undefined, { noReplace: false, exchange: false }],
    ['no flags', 0, { noReplace: false, exchange: false }],
    ['NOREPLACE', 1, { noReplace: true, exchange: false }],
    ['EXCHANGE', 2, { noReplace: false, exchange: true }],
    ['both', 3, undefined],
    ['WHITEOUT', 4, undefined],
    ['one that is not known yet', 8, undefined],
  ])('renames with %s', (_, flags, expected) => {
    const { operations, calls } = recording('rename');
    const { ask, replies } = start(operations);
    ask(rename('old', 'new name', flags, 77));
    expect(answerOf(replies).error).toBe(expected === undefined ? errno.EINVAL : 0);
    const call = [{ parent: ROOT_NODE, name: 'old' }, { parent: 77, name: 'new name' }, expected];
    expect(calls).toEqual(expected === undefined ? [] : [call]);
  });

  it.each([
    ['CREATE', create(BAD_NAME, 0), errno.EINVAL],
    ['MKNOD', request(opcode.MKNOD, 2, ROOT_NODE, u32(S_IFREG, 0, 0, 0), BAD_NAME), errno.EINVAL],
    ['MKDIR', request(opcode.MKDIR, 2, ROOT_NODE, u32(0o755, 0), BAD_NAME), errno.EINVAL],
    ['RENAME to', rename('a', BAD_NAME), errno.EINVAL],
    ['RENAME from', rename(BAD_NAME, 'a'), errno.ENOENT],
    ['exchange with', rename('a', BAD_NAME, 2), errno.ENOENT],
    ['UNLINK', request(opcode.UNLINK, 2, ROOT_NODE, BAD_NAME), errno.ENOENT],
    ['RMDIR', request(opcode.RMDIR, 2, ROOT_NODE, BAD_NAME), errno.ENOENT],
  ])('refuses a name that is not UTF-8: %s', (_, message, expected) => {
    const { ask, replies } = start();
    ask(message);
    expect(answerOf(replies).error).toBe(expected);
  });

  it('lets the file system judge names that are too long', () => {
    const { ask, replies } = start();
    ask(create('x'.repeat(256), 0));
    ask(request(opcode.MKDIR, 2, ROOT_NODE, u32(0o755, 0), name('é'.repeat(128))));
    expect(replies.map((bytes) => reply(bytes).error)).toEqual([errno.ENAMETOOLONG, errno.ENAMETOOLONG]);
  });

  it.each([S_IFIFO, 0o140000, 0o020000, 0o060000, 0o120000])('makes no file of type %o', (type) => {
    const { ask, replies } = start();
    ask(request(opcode.MKNOD, 2, ROOT_NODE, u32(type | 0o644, 0, 0, 0), name('x')));
    expect(answerOf(replies).error).toBe(errno.EPERM);
  });
});

describe('WRITE', () => {
  it('hands the bytes on in place, and says how many were taken', () => {
    const operations = new MemoryOperations();
    let seen: Uint8Array | undefined;
    operations.write = (_node, _handle, _offset, data) => {
      seen = data;
      return data.length;
    };
    const { session } = start(operations);
    const bytes = write(7, 3, 2 ** 40, Buffer.from('content'));
    const message = received(bytes);
    session.receive(message, bytes.length);
    expect(Buffer.from(seen ?? []).toString()).toBe('content');
    expect(seen?.buffer).toBe(message.bytes.buffer);
  });

  it.each([
    { answer: 'a count', outcome: 'sent', replies: 1, write: () => 7 },
    { answer: 'a count that nobody takes', outcome: 'refused', replies: 1, write: () => 7 },
    { answer: 'a count that the kernel does not understand', outcome: 'invalid', replies: 2, write: () => 7 },
    {
      answer: 'an error',
      outcome: 'sent',
      replies: 1,
      write: (): number => {
        throw new FsError(errno.ENOSPC, 'full');
      },
    },
  ] as const)('answers with $answer before it does what can wait, and takes no other message before that', (each) => {
    const operations: Operations = new MemoryOperations();
    const done: unknown[] = [];
    const { session, replies } = start(operations, () => each.outcome);
    operations.write = (_node, _handle, _offset, data, _kill, caller) => {
      caller.afterReply?.(() => done.push([replies.length, Buffer.from(data).toString()]));
      return each.write();
    };
    const bytes = write(7, 3, 0, Buffer.from('content'));
    session.receive(received(bytes), bytes.length);
    expect(done).toEqual([[each.replies, 'content']]);
  });

  it('does what can wait behind an answer that comes later', async () => {
    const operations: Operations = new MemoryOperations();
    const { session, replies } = start(operations);
    const seen: number[] = [];
    operations.write = async (_node, _handle, _offset, data, _kill, caller) => {
      await settled();
      caller.afterReply?.(() => seen.push(replies.length));
      return data.length;
    };
    const bytes = write(7, 3, 0, Buffer.from('content'));
    session.receive(received(bytes), bytes.length);
    await settled();
    await settled();
    expect(seen).toEqual([1]);
  });

  it('takes any offset, and hands on whether privileges go, whatever else the flags say', () => {
    const { operations, calls } = recording('write', 3);
    const { ask, replies } = start(operations);
    ask(write(7, 3, 2 ** 40, Buffer.from('abc'), 4));
    ask(write(7, 3, 0, Buffer.from('abc'), 1 | 2));
    expect(calls.map((args) => args.filter((argument) => !(argument instanceof Uint8Array)))).toEqual([
      [7, 3, 2 ** 40, true],
      [7, 3, 0, false],
    ]);
    expect(replies.map((bytes) => reply(bytes).body.toString('hex'))).toEqual(['0300000000000000', '0300000000000000']);
  });

  it.each([8, -1, Number.NaN])('turns %d bytes taken of 7 into EIO', (taken) => {
    const operations = new MemoryOperations();
    operations.write = () => taken;
    const { ask, replies } = start(operations);
    ask(write(7, 3, 0, Buffer.from('content')));
    expect(answerOf(replies).error).toBe(errno.EIO);
  });

  it('writes nothing of a message that ends before its bytes', () => {
    const { operations, calls } = recording('write', 3);
    const { ask, replies } = start(operations);
    const whole = write(7, 3, 0, Buffer.from('content'));
    const cut = whole.subarray(0, whole.length - 1);
    cut.writeUInt32LE(cut.length, 0);
    ask(cut);
    expect([answerOf(replies).error, calls]).toEqual([errno.EPROTO, []]);
  });
});

describe('attributes', () => {
  it('hands SETATTR on with handle, size and the clearing of privileges', () => {
    const zeros = [u64(0), u64(0), u64(0), u32(0, 0, 0, 0, 0, 0, 0, 0)];
    const body = [u32((1 << 3) | (1 << 6) | (1 << 9) | (1 << 11), 0), u64(9), u64(2 ** 33), u64(0x55), ...zeros];
    const message = request(opcode.SETATTR, 2, 5, ...body);
    expect(attributeChange(received(message))).toEqual({ sizeBytes: 2 ** 33, killPrivileges: true });
    const { operations, calls } = recording('setAttributes');
    start(operations).ask(message);
    expect(calls[0]?.slice(0, 2)).toEqual([5, 9]);
  });

  it('hands FALLOCATE on', () => {
    const { operations, calls } = recording('allocate');
    const { ask, replies } = start(operations);
    ask(request(opcode.FALLOCATE, 2, 5, u64(9), u64(2 ** 33), u64(4096), u32(3, 0)));
    expect([answerOf(replies).error, calls]).toEqual([0, [[5, 9, 3, 2 ** 33, 4096]]]);
  });

  it('sets and removes extended attributes in user. only', () => {
    const operations = new MemoryOperations();
    const { ask, replies } = start(operations);
    const set = (attribute: string | Buffer, value: string, flags = 0): void => {
      const bytes = typeof attribute === 'string' ? name(attribute) : attribute;
      ask(request(opcode.SETXATTR, 2, ROOT_NODE, u32(value.length, flags), bytes, Buffer.from(value)));
    };
    const remove = (attribute: string | Buffer): void =>
      ask(request(opcode.REMOVEXATTR, 2, ROOT_NODE, typeof attribute === 'string' ? name(attribute) : attribute));
    set('user.a', 'one');
    set('user.a', 'two', 1);
    set('user.b', '', 2);
    set('user.c', '');
    remove('user.c');
    remove('user.c');
    for (const other of ['security.selinux', 'system.posix_acl_access', 'trusted.x', 'user']) {
      set(other, 'x');
      remove(other);
    }
    set(Buffer.from('user.\xff\0', 'latin1'), 'x');
    remove(Buffer.from('user.\xff\0', 'latin1'));
    const { EEXIST, ENODATA, ENOTSUP, EINVAL } = errno;
    expect(replies.map((bytes) => reply(bytes).error)).toEqual(
      [0, EEXIST, ENODATA, 0, 0, ENODATA, Array<number>(8).fill(ENOTSUP), EINVAL, ENODATA].flat(),
    );
    expect(Buffer.from(operations.getExtendedAttribute(ROOT_NODE, 'user.a')).toString()).toBe('one');
  });

  it('keeps an attribute although the next message comes into the same buffer', () => {
    const operations = new MemoryOperations();
    const { session } = start(operations);
    const bytes = request(opcode.SETXATTR, 2, ROOT_NODE, u32(5, 0), name('user.a'), Buffer.from('value'));
    const message = received(bytes);
    session.receive(message, bytes.length);
    message.bytes.fill(0);
    expect(Buffer.from(operations.getExtendedAttribute(ROOT_NODE, 'user.a')).toString()).toBe('value');
  });
});

it.each([
  ['FLUSH', opcode.FLUSH, 'flush'],
  ['FSYNC', opcode.FSYNC, 'sync'],
  ['FSYNCDIR', opcode.FSYNCDIR, 'syncDirectory'],
] as const)('answers %s with what its verb says', (_, code, verb) => {
  const { operations, calls } = recording(verb);
  const { ask, replies } = start(operations);
  const message = request(code, 2, 5, u64(9), u32(1, 0), u64(0xabcdef));
  ask(message);
  Object.assign(operations, {
    [verb]: () => {
      throw new FsError(errno.EDQUOT, 'full');
    },
  });
  ask(message);
  expect(calls).toEqual([[5, 9]]);
  expect(replies.map((bytes) => reply(bytes).error)).toEqual([0, errno.EDQUOT]);
});
