// The conversation without a kernel: what is replied to which message, what is taken back, and that nothing ends it.
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { errno } from '../../src/base/errno.ts';
import { FsError, ROOT_NODE } from '../../src/fs-ops/operations.ts';
import { opcode, opcodeName } from '../../src/fuse/kernel/protocol/constants.ts';
import { Session } from '../../src/fuse/kernel/session.ts';
import { RequestCounters } from '../../src/fuse/kernel/statistics.ts';
import { answerOf, name, settled, start } from './support/conversation.ts';
import { MemoryOperations } from './support/memory-operations.ts';
import { received, reply, request, u32, u64 } from './support/messages.ts';

describe('answers', () => {
  it('replies to a synchronous verb before receive() returns', () => {
    const operations = new MemoryOperations();
    const node = operations.add(ROOT_NODE, 'a', Buffer.from('abc'));
    const { ask, replies } = start(operations);
    ask(request(opcode.LOOKUP, 77, ROOT_NODE, name('a')));
    const { error, unique, body } = answerOf(replies);
    expect([error, unique, body.length, Number(body.readBigUInt64LE(0))]).toEqual([0, 77, 128, node]);
  });

  it('answers a name that does not exist with one to remember, or ENOENT where nothing may be remembered', () => {
    const operations = new MemoryOperations();
    const { ask, replies } = start(operations);
    ask(request(opcode.LOOKUP, 2, ROOT_NODE, name('none')));
    expect(answerOf(replies)).toMatchObject({ error: 0 });
    operations.lifetimeMs = 0;
    ask(request(opcode.LOOKUP, 4, ROOT_NODE, name('none')));
    expect(reply(replies[1] as Buffer).error).toBe(errno.ENOENT);
  });

  it('refuses names that are not UTF-8', () => {
    const { ask, replies } = start();
    ask(request(opcode.LOOKUP, 2, ROOT_NODE, Buffer.of(0xff, 0x41, 0)));
    expect(answerOf(replies).error).toBe(errno.ENOENT);
  });

  it('copies no content: pieces go out as they are', () => {
    const piece = Buffer.from('content');
    const operations = new MemoryOperations();
    operations.read = () => [piece, piece];
    const sent: (readonly Uint8Array[])[] = [];
    const session = new Session({
      operations,
      counters: new RequestCounters(),
      channel: {
        send(pieces) {
          sent.push([...pieces]);
          return 'sent';
        },
      },
      events: { agreed: () => undefined, refused: () => undefined },
      maxReadAheadBytes: 0,
    });
    const message = request(opcode.READ, 2, 2, u64(1), u64(0), u32(100, 0), u64(0), u32(0, 0));
    session.receive(received(message), message.length);
    expect(sent[0]?.slice(1)).toEqual([piece, piece]);
    expect(sent[0]?.[1]).toBe(piece);
  });

  it('turns a READ with more bytes than asked for into EIO, never into other bytes', () => {
    const operations = new MemoryOperations();
    operations.read = () => [Buffer.alloc(101)];
    const { ask, replies } = start(operations);
    ask(request(opcode.READ, 2, 2, u64(1), u64(0), u32(100, 0), u64(0), u32(0, 0)));
    expect(answerOf(replies).error).toBe(errno.EIO);
  });

  it('measures and gives extended attributes', () => {
    const { ask, replies } = start();
    const get = (sizeBytes: number, attribute: string): Buffer =>
      request(opcode.GETXATTR, 2, ROOT_NODE, u32(sizeBytes, 0), name(attribute));
    ask(get(0, 'user.test'));
    ask(get(4, 'user.test'));
    ask(get(5, 'user.test'));
    ask(get(0, 'user.none'));
    ask(get(0, 'security.selinux'));
    ask(request(opcode.LISTXATTR, 2, ROOT_NODE, u32(0, 0)));
    ask(request(opcode.LISTXATTR, 2, ROOT_NODE, u32(64, 0)));
    const answers = replies.map(reply);
    expect(answers.map((answer) => answer.error)).toEqual([0, errno.ERANGE, 0, errno.ENODATA, errno.ENOTSUP, 0, 0]);
    expect(answers[0]?.body.readUInt32LE(0)).toBe(5);
    expect(answers[2]?.body.toString()).toBe('value');
    expect(answers[5]?.body.readUInt32LE(0)).toBe(10);
    expect(answers[6]?.body.toString()).toBe('user.test\0');
  });

  it.each([
    [opcode.READLINK, errno.EINVAL],
    [opcode.SYMLINK, errno.EPERM],
    [opcode.LINK, errno.EPERM],
    [opcode.TMPFILE, errno.ENOSYS],
    [opcode.IOCTL, 25],
    [opcode.LSEEK, errno.ENOSYS],
    [opcode.POLL, errno.ENOSYS],
    [opcode.COPY_FILE_RANGE, errno.ENOSYS],
    [opcode.COPY_FILE_RANGE_64, errno.ENOSYS],
    [opcode.STATX, errno.ENOSYS],
    [999, errno.ENOSYS],
    [0, errno.ENOSYS],
  ])('answers opcode %i with errno %i', (code, expected) => {
    const { ask, replies } = start();
    ask(request(code, 2, ROOT_NODE, Buffer.alloc(64)));
    expect(answerOf(replies).error).toBe(expected);
  });
});

describe('failures', () => {
  async function errorOf(failure: unknown, later: boolean): Promise<number> {
    const operations = new MemoryOperations();
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what a verb throws may be anything
    const fail = (): Promise<never> => Promise.reject(failure);
    operations.lookup = later
      ? fail
      : () => {
          throw failure;
        };
    const { ask, replies } = start(operations);
    ask(request(opcode.LOOKUP, 2, ROOT_NODE, name('x')));
    await settled();
    return answerOf(replies).error;
  }

  it.each([false, true])('maps what a verb throws (later: %s)', async (later) => {
    expect(await errorOf(new FsError(errno.EACCES, 'no'), later)).toBe(errno.EACCES);
    expect(await errorOf(new FsError(errno.ENOSYS, 'not this one'), later), 'remembered for ever').toBe(errno.ENOTSUP);
    expect(await errorOf(new TypeError('bug'), later)).toBe(errno.EIO);
    expect(await errorOf('a string', later)).toBe(errno.EIO);
    // The kernel takes only 1..511; anything else would leave the caller waiting for ever.
    for (const strange of [0, -5, 512, 1.5, Number.NaN]) {
      expect(await errorOf(new FsError(strange, 'strange'), later)).toBe(errno.EIO);
    }
  });

  it('answers or drops any garbage, once, and goes on', () => {
    const operations = new MemoryOperations();
    const { ask, replies, counters } = start(operations);
    const codes = fc.constantFrom(...Object.values(opcode), 0, 52, 9999, 2 ** 32 - 1);
    fc.assert(
      fc.property(
        codes,
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.uint8Array({ maxLength: 200 }),
        fc.integer({ min: 0, max: 300 }),
        (code, node, body, cut) => {
          replies.length = 0;
          const whole = request(code, 8, node, body);
          ask(whole.subarray(0, Math.min(cut, whole.length)));
          expect(replies.length).toBeLessThanOrEqual(1);
          const silent = [opcode.FORGET, opcode.BATCH_FORGET, opcode.NOTIFY_REPLY] as number[];
          if (cut >= 40 && !silent.includes(code)) expect(reply(replies[0] as Buffer).unique, opcodeName(code)).toBe(8);
        },
      ),
      { numRuns: 2000 },
    );
    expect(counters.malformed).toBeGreaterThan(0);
    replies.length = 0;
    ask(request(opcode.STATFS, 10, ROOT_NODE));
    expect(answerOf(replies)).toMatchObject({ error: 0, unique: 10 });
  });

  it('says EPROTO where the header lies about the length', () => {
    const { ask, replies } = start();
    const message = request(opcode.GETATTR, 6, ROOT_NODE, u32(0, 0), u64(0));
    message.writeUInt32LE(4000, 0);
    ask(message);
    expect(answerOf(replies)).toMatchObject({ error: errno.EPROTO, unique: 6 });
  });
});

describe('lookups and handles', () => {
  it('takes back what a refused reply granted', () => {
    const operations = new MemoryOperations();
    operations.add(ROOT_NODE, 'a', 1);
    operations.add(ROOT_NODE, 'b', 1);
    const { ask, counters } = start(operations, () => 'refused');
    ask(request(opcode.LOOKUP, 2, ROOT_NODE, name('a')));
    ask(request(opcode.OPEN, 4, 2, u32(0, 0)));
    ask(request(opcode.OPENDIR, 6, ROOT_NODE, u32(0, 0)));
    ask(request(opcode.READDIRPLUS, 8, ROOT_NODE, u64(1), u64(0), u32(4096, 0), u64(0), u32(0, 0)));
    expect([...operations.lookups]).toEqual([]);
    expect([...operations.handles]).toEqual([]);
    expect(counters.refusedReplies).toBe(4);
  });

  it('answers EIO and takes back where the kernel did not understand a reply', () => {
    const operations = new MemoryOperations();
    operations.add(ROOT_NODE, 'a', 1);
    const { ask, replies } = start(operations, (bytes) => (reply(bytes).error === 0 ? 'invalid' : 'sent'));
    ask(request(opcode.LOOKUP, 2, ROOT_NODE, name('a')));
    expect(replies.map((bytes) => reply(bytes).error)).toEqual([0, errno.EIO]);
    expect(operations.lookups.size).toBe(0);
  });

  it('takes back rows of a listing that fails behind them, and rows no directory can hold', () => {
    const operations = new MemoryOperations();
    operations.add(ROOT_NODE, 'good', 1);
    operations.add(ROOT_NODE, 'bad/name', 1);
    const { ask, replies } = start(operations);
    const list = (unique: number): Buffer =>
      request(opcode.READDIRPLUS, unique, ROOT_NODE, u64(1), u64(0), u32(4096, 0), u64(0), u32(0, 0));
    ask(list(2));
    expect([...operations.lookups.keys()]).toEqual([operations.find('good')]);
    const rows = operations.readDirectory.bind(operations);
    operations.readDirectory = (node, handle, cookie, plus, sink) => {
      rows(node, handle, cookie, plus, sink);
      throw new FsError(errno.EIO, 'the rest is lost');
    };
    ask(list(4));
    expect(reply(replies[1] as Buffer).error).toBe(errno.EIO);
    expect([...operations.lookups.values()]).toEqual([1]);
  });

  it('counts FORGET and BATCH_FORGET', () => {
    const operations = new MemoryOperations();
    operations.lookups.set(2, 5).set(3, 1).set(4, 2);
    const { ask, replies } = start(operations);
    ask(request(opcode.FORGET, 2, 2, u64(3)));
    ask(request(opcode.BATCH_FORGET, 4, 0, u32(3, 0), u64(2), u64(2), u64(3), u64(1), u64(4), u64(1)));
    expect([...operations.lookups]).toEqual([[4, 1]]);
    expect(replies).toEqual([]);
  });

  it('releases what the kernel held when the mount ends, once', () => {
    const operations = new MemoryOperations();
    const node = operations.add(ROOT_NODE, 'a', 1);
    const { ask, session } = start(operations);
    ask(request(opcode.OPEN, 2, node, u32(0, 0)));
    ask(request(opcode.OPEN, 4, node, u32(0, 0)));
    ask(request(opcode.OPENDIR, 6, ROOT_NODE, u32(0, 0)));
    ask(request(opcode.RELEASE, 8, node, u64(1), u32(0, 0), u64(0)));
    expect(operations.handles.size).toBe(2);
    session.end();
    session.end();
    expect(operations.handles.size).toBe(0);
  });
});

describe('INTERRUPT', () => {
  const interrupt = (unique: number): Buffer => request(opcode.INTERRUPT, unique + 1, 0, u64(unique));

  it('aborts its request, which ends with EINTR', async () => {
    const operations = new MemoryOperations();
    operations.hangingName = 'slow';
    const { ask, replies, session, counters } = start(operations);
    ask(request(opcode.LOOKUP, 2, ROOT_NODE, name('slow')));
    expect(session.pendingCount).toBe(1);
    ask(interrupt(2));
    ask(interrupt(2));
    await settled();
    expect(answerOf(replies)).toMatchObject({ error: errno.EINTR, unique: 2 });
    expect([session.pendingCount, operations.aborted, counters.interrupted]).toEqual([0, 1, 1]);
  });

  it('aborts nothing for a signal that is to end nothing, until another one comes that is, which the kernel does not tell', async () => {
    const operations = new MemoryOperations();
    operations.hangingName = 'slow';
    const told: number[] = [];
    const { ask, replies, session, counters } = start(operations, undefined, (thread) => told.push(thread) > 2);
    ask(request(opcode.LOOKUP, 2, ROOT_NODE, name('slow')));
    ask(interrupt(2));
    await settled();
    expect([session.pendingCount, operations.aborted, counters.interrupted]).toEqual([1, 0, 0]);
    await vi.waitFor(() => expect(answerOf(replies)).toMatchObject({ error: errno.EINTR, unique: 2 }));
    expect([session.pendingCount, operations.aborted, counters.interrupted]).toEqual([0, 1, 1]);
  });

  it('asks no more for signals once the request is answered', async () => {
    const operations = new MemoryOperations();
    operations.hangingName = 'slow';
    let asked = 0;
    const { ask, session } = start(operations, undefined, () => ++asked < 0);
    ask(request(opcode.LOOKUP, 2, ROOT_NODE, name('slow')));
    ask(interrupt(2));
    session.end();
    await settled();
    const askedUntilThen = asked;
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(asked).toBe(askedUntilThen);
  });

  it('asks the kernel to repeat it when it arrives before its request', async () => {
    const operations = new MemoryOperations();
    operations.hangingName = 'slow';
    const { ask, replies } = start(operations);
    ask(interrupt(2));
    expect(answerOf(replies)).toMatchObject({ error: errno.EAGAIN, unique: 3 });
    ask(request(opcode.LOOKUP, 2, ROOT_NODE, name('slow')));
    ask(interrupt(2));
    await settled();
    expect(reply(replies[1] as Buffer)).toMatchObject({ error: errno.EINTR, unique: 2 });
  });

  it('keeps the answer of a verb that succeeds although it was interrupted', async () => {
    const operations = new MemoryOperations();
    let finish: (() => void) | undefined;
    operations.lookup = () =>
      new Promise((resolve) => {
        finish = () => resolve({ node: 0, entryLifetimeMs: 1 } as never);
      });
    const { ask, replies } = start(operations);
    ask(request(opcode.LOOKUP, 2, ROOT_NODE, name('slow')));
    ask(interrupt(2));
    finish?.();
    await settled();
    expect(answerOf(replies).error).toBe(0);
  });

  it('aborts everything when the mount ends, and replies no more', async () => {
    const operations = new MemoryOperations();
    operations.hangingName = 'slow';
    const { ask, replies, session } = start(operations);
    ask(request(opcode.LOOKUP, 2, ROOT_NODE, name('slow')));
    session.end();
    await settled();
    expect([operations.aborted, replies.length, session.pendingCount]).toEqual([1, 0, 0]);
  });
});
