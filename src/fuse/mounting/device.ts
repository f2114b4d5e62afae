// Whether this machine has a FUSE device, and what to do where it has none.
import { errno } from '../../base/errno.ts';
import { FsError } from '../../fs-ops/operations.ts';

/** Why /dev/fuse cannot be opened, and what to do. */
export function deviceMissing(error: unknown): FsError {
  const cause = error as NodeJS.ErrnoException;
  if (cause.code === 'ENOENT' || cause.code === 'ENXIO' || cause.code === 'ENODEV') {
    return new FsError(
      errno.ENODEV,
      '/dev/fuse is missing: load the kernel module with "modprobe fuse" (in a container, pass the device: --device /dev/fuse --cap-add SYS_ADMIN)',
      { cause },
    );
  }
  return new FsError(errno.EACCES, `/dev/fuse cannot be opened: ${cause.message}`, { cause });
}
