// The kernel's table of mounts, as unmount and status read it.
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import tmp from 'tmp';
import { describe, expect, it } from 'vitest';
import { canonicalMountpoint, findMount, parseMountTable } from '../../src/base/mount-table.ts';

describe('the mount table', () => {
  it('has mountpoints, types and sources, with what the kernel escapes', () => {
    const text = [
      '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
      '98 22 0:53 / /mnt/my\\040drive rw,nosuid - fuse.syncplicityfs My\\040Computer\\134x rw,user_id=0',
      '99 22 0:54 / /a-b rw - tmpfs tmpfs rw',
      'not a line of the table',
      '',
    ].join('\n');
    expect(parseMountTable(text)).toEqual([
      { id: '22', parent: '1', device: '8:1', mountpoint: '/', type: 'ext4', source: '/dev/sda1' },
      {
        id: '98',
        parent: '22',
        device: '0:53',
        mountpoint: '/mnt/my drive',
        type: 'fuse.syncplicityfs',
        source: 'My Computer\\x',
      },
      { id: '99', parent: '22', device: '0:54', mountpoint: '/a-b', type: 'tmpfs', source: 'tmpfs' },
    ]);
  });

  it('knows what is mounted here', async () => {
    expect(await findMount('/proc')).toMatchObject({ type: 'proc' });
    expect(await findMount('/proc/self')).toBeUndefined();
  });

  it('follows symbolic links to where a mount lies, and rejects what does not exist', async () => {
    const directory = tmp.dirSync({ unsafeCleanup: true });
    try {
      mkdirSync(join(directory.name, 'point'));
      symlinkSync('point', join(directory.name, 'link'));
      expect(await canonicalMountpoint(join(directory.name, 'link/'))).toBe(join(directory.name, 'point'));
      await expect(canonicalMountpoint(join(directory.name, 'no', 'such'))).rejects.toMatchObject({ code: 'ENOENT' });
      expect(await canonicalMountpoint('/proc/')).toBe('/proc');
    } finally {
      directory.removeCallback();
    }
  });
});
