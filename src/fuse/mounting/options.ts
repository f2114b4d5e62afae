// The options of a mount that do not depend on the transport. Pure.
import { errno } from '../../base/errno.ts';
import { FsError } from '../../fs-ops/operations.ts';

/** The subtype our mounts show: their type is "fuse.syncplicityfs". */
export const SUBTYPE = 'syncplicityfs';

export interface MountOptions {
  /** What `df` and `mount` show as the device. */
  readonly deviceName: string;
  readonly readOnly: boolean;
  readonly allowOther: boolean;
  /** Further options as after -o, one each ("noexec", "nonempty"). */
  readonly kernelOptions: readonly string[];
}

/** Set by this transport, or unsafe in a mount whose content a server decides. */
const RESERVED = new Set(['fd', 'rootmode', 'user_id', 'group_id', 'fsname', 'subtype', 'max_read', 'suid', 'dev']);
/** Said by users, meant for us, unknown to the kernel or set anyway. */
const NOT_FOR_KERNEL = new Set(['nonempty', 'default_permissions', 'allow_other', 'nosuid', 'nodev', 'ro', 'rw']);

/** Throws EINVAL for options this transport sets itself, or that cannot be one option. */
export function checkKernelOptions(options: readonly string[]): void {
  for (const option of options) {
    const [name = ''] = option.split('=');
    if (RESERVED.has(name)) throw new FsError(errno.EINVAL, `the mount option "${option}" cannot be set`);
    if (/[,\\\x00-\x1f]/.test(option))
      throw new FsError(errno.EINVAL, `the mount option ${JSON.stringify(option)} is not one option`);
  }
}

/** True if the option is among those given, in either place it can be said. */
export function hasOption(options: readonly string[], name: string): boolean {
  return options.includes(name);
}

/** What both transports tell the kernel: no set-user-id bits and no devices from a server, permissions checked by the kernel. */
export function commonOptions(options: MountOptions): string[] {
  return [
    ...options.kernelOptions.filter((option) => option !== '' && !NOT_FOR_KERNEL.has(option)),
    options.readOnly || hasOption(options.kernelOptions, 'ro') ? 'ro' : 'rw',
    'nosuid',
    'nodev',
    'default_permissions',
    ...(options.allowOther || hasOption(options.kernelOptions, 'allow_other') ? ['allow_other'] : []),
  ];
}

/** `fsname` and `subtype` as fusermount and libfuse take them. */
export function nameOptions(options: MountOptions): string[] {
  const name = shownName(options.deviceName).replace(/[\\,]/g, (character) => `\\${character}`);
  return [`fsname=${name}`, `subtype=${SUBTYPE}`];
}

/** The device name as a mount table can show it, and as mount(8) takes it for a name: not a tag such as LABEL=. */
export function shownName(deviceName: string): string {
  const shown = deviceName.replace(/[\x00-\x1f\x7f]/g, '?').replace(/^(\w+)=/, '$1:');
  return shown === '' ? SUBTYPE : shown;
}
