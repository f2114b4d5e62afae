import type * as fs from 'node:fs';
import type * as fsPromises from 'node:fs/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { freeBytesOn, lackOfRoom } from '../../src/base/disk-room.ts';

const disk = { type: 0, bsize: 4096, blocks: 1000, bfree: 100, bavail: 0, files: 0, ffree: 0 };
const space = vi.hoisted((): { of: typeof disk | undefined } => ({ of: undefined }));

vi.mock('node:fs', async (original) => ({ ...(await original<typeof fs>()), statfsSync: () => space.of }));
vi.mock('node:fs/promises', async (original) => ({
  ...(await original<typeof fsPromises>()),
  statfs: () => Promise.resolve(space.of),
}));
afterEach(() => vi.restoreAllMocks());

describe.each([0, 1000])('the room of a disk, for user %d', (uid) => {
  it('is what the disk gives to everybody', async () => {
    vi.spyOn(process as { geteuid: () => number }, 'geteuid').mockReturnValue(uid);
    space.of = { ...disk, bfree: 3000, bavail: 2000 };
    expect(freeBytesOn('/somewhere')).toBe(2000 * 4096);
    expect(await lackOfRoom('/somewhere')).toBeUndefined();
  });

  it('is none where all that is left is kept back', async () => {
    vi.spyOn(process as { geteuid: () => number }, 'geteuid').mockReturnValue(uid);
    space.of = { ...disk, bfree: 3000, bavail: 0 };
    expect(freeBytesOn('/somewhere')).toBe(0);
    expect(await lackOfRoom('/somewhere')).toContain('no space left on the disk of /somewhere (0 KiB free');
  });

  it('is unknown where a network file system tells no size', () => {
    space.of = { ...disk, blocks: 0 };
    expect(freeBytesOn('/somewhere')).toBe(Infinity);
  });
});
