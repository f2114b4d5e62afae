// The kernel's structures: fixed byte vectors taken from the layouts of fuse.h, and properties for what varies.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errno } from '../../src/base/errno.ts';
import { FsError, type Attributes, type Entry } from '../../src/fs-ops/operations.ts';
import { initFlag, opcode } from '../../src/fuse/kernel/protocol/constants.ts';
import { DirectoryPage } from '../../src/fuse/kernel/protocol/directory-page.ts';
import { negotiate } from '../../src/fuse/kernel/protocol/init.ts';
import * as notification from '../../src/fuse/kernel/protocol/notification.ts';
import { ReplyBuffer } from '../../src/fuse/kernel/protocol/reply-buffer.ts';
import { attributeChange } from '../../src/fuse/kernel/verbs.ts';
import { received, request, u32, u64 } from './support/messages.ts';

function hex(...lines: string[]): string {
  return lines.join('').replaceAll(' ', '');
}

const attributes: Attributes = {
  inode: 0x1_0000_0002,
  type: 'file',
  permissions: 0o4644,
  linkCount: 1,
  uid: 1000,
  gid: 100,
  sizeBytes: 5_000_000_000,
  modified: { seconds: -1, nanoseconds: 999_999_999 },
  changed: { seconds: 2, nanoseconds: 3 },
  accessed: { seconds: 2 ** 33, nanoseconds: 0 },
};
const attributesHex = hex(
  '0200000001000000', // ino
  '00f2052a01000000', // size
  'f902950000000000', // blocks of 512, rounded up
  '0000000002000000', // atime
  'ffffffffffffffff', // mtime: one nanosecond before the epoch
  '0200000000000000', // ctime
  '00000000 ffc99a3b 03000000', // nanoseconds
  'a4890000', // S_IFREG | 04644
  '01000000 e8030000 64000000', // nlink, uid, gid
  '00000000 00100000 00000000', // rdev, blksize, flags
);
const entry: Entry = { node: 7, attributes, entryLifetimeMs: 1500.25, attributesLifetimeMs: 3_600_000 };
const entryHex = hex(
  '0700000000000000 0000000000000000', // nodeid, generation
  '0100000000000000 100e000000000000', // seconds of both lifetimes
  '9035d11d 00000000', // nanoseconds of both
  attributesHex,
);

describe('replies', () => {
  it('writes fuse_attr, negative times and sizes past 4 GiB included', () => {
    const buffer = new ReplyBuffer(88);
    buffer.bytes.fill(0xaa);
    buffer.attributes(0, attributes);
    expect(buffer.bytes.toString('hex')).toBe(attributesHex);
  });

  it('writes fuse_entry_out', () => {
    const buffer = new ReplyBuffer(128);
    buffer.entry(0, entry);
    expect(buffer.bytes.toString('hex')).toBe(entryHex);
  });

  it('caps lifetimes the kernel could not count', () => {
    const buffer = new ReplyBuffer(128);
    buffer.noEntry(0, Number.POSITIVE_INFINITY);
    expect(buffer.bytes.readBigUInt64LE(16)).toBe(2n ** 31n);
    buffer.noEntry(0, -5);
    expect(buffer.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('writes any integer within 2^53 in two halves as the platform would in one', () => {
    const buffer = new ReplyBuffer(8);
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        buffer.u64(0, value);
        expect(buffer.bytes.readBigInt64LE(0)).toBe(BigInt(value));
      }),
    );
  });

  it('writes an out header', () => {
    const buffer = new ReplyBuffer(16);
    buffer.header(16, 2, 0x89abcdef, 0x01234567);
    expect(buffer.bytes.toString('hex')).toBe(hex('10000000 feffffff efcdab8967452301'));
  });
});

describe('messages', () => {
  it('reads 64-bit numbers up to 2^53 and refuses others', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const message = received(request(opcode.FORGET, 1, 1, u64(value)));
        if (value < 2n ** 53n) expect(message.u64(40)).toBe(Number(value));
        else expect(() => message.u64(40)).toThrow(FsError);
      }),
    );
  });

  it('refuses positions and times past 2^53 in words a program understands', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (value) => {
        const message = received(request(opcode.WRITE, 1, 1, u64(value)));
        if (value < 2n ** 53n) expect(message.fileBytes(40)).toBe(Number(value));
        else expect(() => message.fileBytes(40)).toThrow(expect.objectContaining({ errno: errno.EFBIG }));
      }),
    );
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const message = received(request(opcode.SETATTR, 1, 1, u64(value)));
        if (value > -(2n ** 53n) && value < 2n ** 53n) expect(message.seconds(40)).toBe(Number(value));
        else expect(() => message.seconds(40)).toThrow(expect.objectContaining({ errno: errno.EINVAL }));
      }),
    );
  });

  it('reads names of any length and script, and tells bytes that are no UTF-8', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const clean = bytes.filter((byte) => byte !== 0);
        const message = received(request(opcode.LOOKUP, 1, 1, clean, Buffer.of(0)));
        const text = Buffer.from(clean).toString('utf8');
        const valid = Buffer.from(text).equals(Buffer.from(clean));
        expect(message.name(40)).toBe(valid ? text : undefined);
      }),
    );
    const bom = received(request(opcode.LOOKUP, 1, 1, Buffer.from('\uFEFFx\0')));
    expect(bom.name(40)).toBe('\uFEFFx');
  });

  it('never reads a name into what another message left behind', () => {
    const message = received(request(opcode.LOOKUP, 1, 1, Buffer.from('no end')));
    message.bytes[100] = 0;
    expect(() => message.name(40)).toThrow(/without an end/);
  });

  it('reads fuse_setattr_in', () => {
    const body = [
      u32(0x3f | 0x80, 0),
      u64(9), // fh
      u64(5_000_000_000),
      u64(-1),
      u64(-2),
      u64(1_700_000_000),
      u64(0),
      u32(7, 999_999_999, 0, 0o100640, 0, 1000, 1001, 0),
    ];
    expect(attributeChange(received(request(opcode.SETATTR, 1, 2, ...body)))).toEqual({
      permissions: 0o640,
      uid: 1000,
      gid: 1001,
      sizeBytes: 5_000_000_000,
      accessed: 'now',
      modified: { seconds: 1_700_000_000, nanoseconds: 999_999_999 },
    });
  });

  it('reads a time before 1970 and refuses nanoseconds that are none', () => {
    const body = (nanoseconds: number): Buffer =>
      Buffer.concat([
        u32(0x10, 0),
        u64(0),
        u64(0),
        u64(0),
        u64(-2),
        u64(0),
        u64(0),
        u32(nanoseconds, 0, 0, 0, 0, 0, 0, 0),
      ]);
    expect(attributeChange(received(request(opcode.SETATTR, 1, 2, body(5)))).accessed).toEqual({
      seconds: -2,
      nanoseconds: 5,
    });
    expect(() => attributeChange(received(request(opcode.SETATTR, 1, 2, body(1e9))))).toThrow(FsError);
  });
});

interface Row {
  readonly entry: Buffer | undefined;
  readonly inode: number;
  readonly cookie: number;
  readonly type: number;
  readonly name: string;
}

/** Reads a page as the kernel's parse_dirplusfile() does. */
function parse(page: DirectoryPage, plus: boolean): Row[] {
  const bytes = page.reply.bytes.subarray(16, page.lengthBytes);
  const rows: Row[] = [];
  for (let at = 0; at < bytes.length;) {
    expect(at % 8).toBe(0);
    const dirent = plus ? at + 128 : at;
    const nameBytes = bytes.readUInt32LE(dirent + 16);
    rows.push({
      entry: plus ? bytes.subarray(at, at + 128) : undefined,
      inode: Number(bytes.readBigUInt64LE(dirent)),
      cookie: Number(bytes.readBigUInt64LE(dirent + 8)),
      type: bytes.readUInt32LE(dirent + 20),
      name: bytes.toString('utf8', dirent + 24, dirent + 24 + nameBytes),
    });
    at += (dirent - at + 24 + nameBytes + 7) & ~7;
  }
  return rows;
}

describe('directory pages', () => {
  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter((text) => !/[/\0]/.test(text));

  it('holds what fits, in order, aligned, and says when a row does not fit', () => {
    fc.assert(
      fc.property(
        fc.array(name, { maxLength: 40 }),
        fc.boolean(),
        fc.integer({ min: 100, max: 4096 }),
        (names, plus, room) => {
          const page = new DirectoryPage(4096);
          page.reply.bytes.fill(0xaa);
          page.start(room, plus);
          const accepted: string[] = [];
          let needed = 16;
          for (const [index, text] of names.entries()) {
            const rowEntry = plus && index > 0 ? { ...entry, node: index } : undefined;
            const rowBytes = ((plus ? 152 : 24) + Buffer.byteLength(text) + 7) & ~7;
            const outcome = page.add({
              name: text,
              inode: index + 1,
              type: 'directory',
              cookie: index + 5,
              entry: rowEntry,
            });
            expect(outcome).toBe(needed + rowBytes <= 16 + room ? 'packed' : 'full');
            if (outcome === 'full') break;
            needed += rowBytes;
            accepted.push(text);
          }
          expect(page.lengthBytes).toBeLessThanOrEqual(16 + room);
          const rows = parse(page, plus);
          expect(rows.map((row) => row.name)).toEqual(accepted);
          expect(rows.map((row) => row.cookie)).toEqual(accepted.map((_, index) => index + 5));
          const granted: number[] = [];
          page.forEachGranted((node) => granted.push(node));
          expect(granted).toEqual(plus ? accepted.map((_, index) => index).filter((index) => index > 0) : []);
        },
      ),
    );
  });

  it('packs a row byte by byte', () => {
    const page = new DirectoryPage(512);
    page.start(512, true);
    page.add({ name: 'é', inode: 9, type: 'file', cookie: 3, entry });
    expect(page.reply.bytes.toString('hex', 16, page.lengthBytes)).toBe(
      hex(entryHex, '0900000000000000 0300000000000000 02000000 08000000 c3a9000000000000'),
    );
  });

  it.each(['', 'a/b', 'a\0b', 'x'.repeat(1025)])('refuses a name no directory can hold: %j', (impossible) => {
    const page = new DirectoryPage(4096);
    page.start(4096, false);
    expect(page.add({ name: impossible, inode: 1, type: 'file', cookie: 3 })).toBe('impossible-name');
    expect(page.lengthBytes).toBe(16);
  });
});

describe('INIT', () => {
  const ALL = 0xffffffff;
  function offer(major: number, minor: number, flags = ALL, flags2 = ALL): Buffer {
    return request(opcode.INIT, 2, 0, u32(major, minor, 2 ** 25, flags, flags2, ...Array<number>(11).fill(0)));
  }
  function init(bytes: Buffer): { out: Buffer; result: ReturnType<typeof negotiate> } {
    const buffer = new ReplyBuffer(80);
    return { result: negotiate(received(bytes), buffer, 2 ** 20), out: buffer.bytes.subarray(16) };
  }

  it('agrees with a present kernel byte by byte', () => {
    const { out, result } = init(offer(7, 45));
    expect(result).toMatchObject({ kind: 'agreed', lengthBytes: 64 });
    expect(result).toMatchObject({ agreement: { minor: 38, expireOnly: true, epoch: true, maxWriteBytes: 2 ** 20 } });
    expect(out.toString('hex')).toBe(
      hex('07000000 26000000 00001000', '39206452', '4000 3000 00001000 01000000 0001 0000 08000000', '00'.repeat(28)),
    );
  });

  it('never takes what would hide changes, whatever is offered', () => {
    fc.assert(
      fc.property(fc.integer({ min: 23, max: 60 }), fc.integer({ min: 0, max: ALL }), (minor, flags) => {
        const { out, result } = init(offer(7, minor, flags));
        expect(result.kind).toBe('agreed');
        const agreed = out.readUInt32LE(12);
        const hiding = initFlag.WRITEBACK_CACHE | initFlag.AUTO_INVAL_DATA | initFlag.ASYNC_DIO;
        expect(agreed & hiding).toBe(0);
        expect((agreed & ~flags) >>> 0).toBe(0);
        expect(out.readUInt32LE(4)).toBe(Math.min(minor, 38));
        if ((flags & initFlag.INIT_EXT) === 0) expect(out.readUInt32LE(32)).toBe(0);
      }),
    );
  });

  it('reads the short INIT of kernels before 7.36', () => {
    const { result } = init(request(opcode.INIT, 2, 0, u32(7, 31, 2 ** 17, 0xffffffff & ~initFlag.INIT_EXT)));
    expect(result).toMatchObject({ kind: 'agreed', agreement: { minor: 31, expireOnly: false, epoch: false } });
  });

  it('asks a newer major version to come again, and refuses what is too old', () => {
    const newer = init(offer(8, 1));
    expect(newer.result.kind).toBe('again');
    expect(newer.out.readUInt32LE(0)).toBe(7);
    for (const [major, minor] of [
      [6, 40],
      [7, 22],
    ] as const) {
      const { result } = init(offer(major, minor));
      expect(result.kind === 'refused' && result.error.errno === errno.EPROTO && result.error.message).toMatch(
        /at least 7\.23/,
      );
    }
  });
});

describe('notifications', () => {
  it.each([
    [
      'attributes of a node',
      notification.invalidateInode(5, false),
      '28000000 02000000 0000000000000000 0500000000000000 ffffffffffffffff 0000000000000000',
    ],
    [
      'content of a node',
      notification.invalidateInode(2 ** 33, true),
      '28000000 02000000 0000000000000000 0000000002000000 0000000000000000 0000000000000000',
    ],
    [
      'a name torn out',
      notification.invalidateEntry(1, 'ab', false),
      '23000000 03000000 0000000000000000 0100000000000000 02000000 00000000 616200',
    ],
    [
      'a name expired',
      notification.invalidateEntry(1, 'é', true),
      '23000000 03000000 0000000000000000 0100000000000000 02000000 01000000 c3a900',
    ],
    [
      'a name removed',
      notification.deleteEntry(1, 2, 'a'),
      '2a000000 06000000 0000000000000000 0100000000000000 0200000000000000 01000000 00000000 6100',
    ],
    [
      'content stored',
      notification.store(3, 2 ** 32, Buffer.from('xyz')),
      '2b000000 04000000 0000000000000000 0300000000000000 0000000001000000 03000000 00000000 78797a',
    ],
    ['all names', notification.incrementEpoch(), '10000000 08000000 0000000000000000'],
  ])('writes %s', (_, message, expected) => {
    expect(message.toString('hex')).toBe(hex(expected));
  });
});
