// The kernel transport's option string, for mount(8) and for fusermount3. Pure.
import { commonOptions, nameOptions, type MountOptions } from '../../mounting/options.ts';
import { REQUEST_BYTES_MAX } from '../protocol/init.ts';

const MAX_READ = `max_read=${REQUEST_BYTES_MAX}`;

/** For `mount -i -t fuse.syncplicityfs -o ...`, the device inherited as descriptor `fd`. */
export function rootOptions(options: MountOptions, fd: number, owner: { uid: number; gid: number }): string {
  const own = [`fd=${fd}`, 'rootmode=40000', `user_id=${owner.uid}`, `group_id=${owner.gid}`];
  return [...commonOptions(options), MAX_READ, ...own].join(',');
}

/** For `fusermount3 -o ...`: it opens the device and fills in the rest. */
export function userOptions(options: MountOptions): string {
  return [...commonOptions(options), MAX_READ, ...nameOptions(options)].join(',');
}
