// Mounting as root: we open the device ourselves and hand it to mount(8), which asks the kernel.
import { open } from 'node:fs';
import { promisify } from 'node:util';
import { errno } from '../../../base/errno.ts';
import { closeDescriptor } from '../../../base/descriptor.ts';
import { FsError } from '../../../fs-ops/operations.ts';
import { runCommand } from '../../mounting/command.ts';
import { deviceMissing } from '../../mounting/device.ts';
import { SUBTYPE, shownName, type MountOptions } from '../../mounting/options.ts';
import { reasonIn } from '../../mounting/unmount.ts';
import { rootOptions } from './option-strings.ts';

const openFile = promisify(open);
/** The first descriptor a child inherits behind its standard three. */
const INHERITED_FD = 3;

/** Mounts on an existing directory and returns the device's descriptor. Throws FsError. */
export async function mountAsRoot(mountpoint: string, options: MountOptions): Promise<number> {
  const fd = await openFile('/dev/fuse', 'r+').catch((error: unknown) => {
    throw deviceMissing(error);
  });
  try {
    const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
    const result = await runCommand(
      'mount',
      // -i: no mount.fuse helper; -n: no /etc/mtab; -c: source and target as they are.
      [
        '-i',
        '-n',
        '-c',
        '-t',
        `fuse.${SUBTYPE}`,
        '-o',
        rootOptions(options, INHERITED_FD, owner),
        '--',
        shownName(options.deviceName),
        mountpoint,
      ],
      { inherit: [fd] },
    );
    if (result.kind === 'missing')
      throw new FsError(errno.ENOENT, 'mount(8) was not found: install the package util-linux');
    if (result.kind === 'timeout')
      throw new FsError(errno.EIO, `${mountpoint} could not be mounted: the mount program hangs`);
    if (result.code !== 0)
      throw new FsError(errno.EIO, `${mountpoint} could not be mounted: ${reasonIn(result.message)}`);
    return fd;
  } catch (error) {
    await closeDescriptor(fd);
    throw error;
  }
}
