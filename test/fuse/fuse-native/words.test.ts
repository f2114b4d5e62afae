// Values as the binding's words: what fits is kept, what does not is bent as promised.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Handles } from '../../../src/fuse/fuse-native/handles.ts';
import { libfuseOptions } from '../../../src/fuse/fuse-native/option-string.ts';
import { fromWords, hostErrno, statWords, statfsWords } from '../../../src/fuse/fuse-native/words.ts';

const time = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };
const file = {
  inode: 7,
  type: 'file',
  permissions: 0o640,
  linkCount: 0,
  uid: 1,
  gid: 2,
  sizeBytes: 5,
  modified: time,
  changed: time,
  accessed: time,
} as const;
const room = { totalFiles: 2 ** 40, freeFiles: 9, nameBytesMax: 255 };

describe('attributes', () => {
  it('keep length, mode and link count; times are cut to milliseconds', () => {
    const words = statWords({ ...file, sizeBytes: 5 * 2 ** 40 + 1 });
    expect([...words.subarray(0, 8)]).toEqual([0o100640, 1, 2, 1, 1280, 0, 0, 7]);
    expect(fromWords(words[14] as number, words[15] as number)).toBe(1_700_000_000_123);
  });

  it('have a number whatever the inode is, and the epoch for times before it', () => {
    expect(statWords({ ...file, inode: 2 ** 32 - 1 })[7]).toBe(2 ** 32 - 1);
    expect(statWords({ ...file, inode: 2 ** 51 + 1 })[7]).not.toBe(0);
    expect(statWords({ ...file, inode: 2 ** 32 + 1 })[7]).not.toBe(0);
    const words = statWords({ ...file, modified: { seconds: -5, nanoseconds: 0 } });
    expect([words[14], words[15]]).toEqual([0, 0]);
  });
});

describe('capacity', () => {
  it('is told in larger blocks where there are too many', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 30 }), fc.integer({ min: 0, max: 23 }), (count, shift) => {
        const totalBytes = count * 2 ** shift;
        const words = statfsWords({ ...room, totalBytes, freeBytes: totalBytes });
        const [blockBytes = 0, fragmentBytes = 0, blocks = 0, free = 0] = words;
        expect(fragmentBytes).toBe(blockBytes);
        expect(blocks * blockBytes).toBeGreaterThanOrEqual(totalBytes);
        expect(blocks * blockBytes - totalBytes).toBeLessThan(blockBytes);
        expect(free * blockBytes).toBeLessThanOrEqual(totalBytes);
      }),
    );
  });

  it('of an exabyte fits', () => {
    const words = statfsWords({ ...room, totalBytes: 2 ** 60, freeBytes: 2 ** 59 });
    expect((words[2] as number) * (words[0] as number)).toBe(2 ** 60);
    expect((words[3] as number) * (words[0] as number)).toBe(2 ** 59);
    expect(words[5]).toBe(2 ** 32 - 1);
  });
});

it("is this machine's error", () => {
  expect(hostErrno(2)).toBe(2);
  expect(hostErrno(999)).toBe(999);
});

describe('handles', () => {
  it('are small, never 0 and never given twice', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean()), (adds) => {
        const handles = new Handles<number>();
        const open: number[] = [];
        for (const [index, isAdded] of adds.entries()) {
          if (isAdded) {
            const number = handles.add(index);
            expect(open).not.toContain(number);
            open.push(number);
          } else {
            const number = open.pop();
            if (number !== undefined) handles.remove(number);
          }
          expect(handles.count).toBe(open.length);
        }
        expect(Math.max(0, ...open)).toBeLessThanOrEqual(adds.length);
        expect(open).not.toContain(0);
        expect(handles.drain()).toHaveLength(open.length);
        expect(handles.count).toBe(0);
      }),
    );
  });
});

it('tells libfuse what the kernel may trust, and nothing it does not know', () => {
  const options = { deviceName: 'a,b', readOnly: true, allowOther: true, kernelOptions: ['noexec', 'relatime'] };
  expect(libfuseOptions(options)).toBe(
    '-onoexec,ro,nosuid,nodev,default_permissions,allow_other,fsname=a\\,b,subtype=syncplicityfs,use_ino,big_writes,' +
      'atomic_o_trunc,entry_timeout=1,attr_timeout=1,negative_timeout=0',
  );
});
