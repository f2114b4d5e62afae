// What libfuse is told when it mounts. Pure.
import { commonOptions, hasOption, nameOptions, type MountOptions } from '../mounting/options.ts';

/** How long the kernel may trust names and attributes. It cannot be told that they changed, so this is how late a change shows. */
export const LIFETIME_SECONDS = 1;
/** libfuse 2 has no word for these and would not mount; none of them changes anything in a drive that stores no access times. */
const UNKNOWN_TO_LIBFUSE = new Set(
  'diratime nodiratime relatime norelatime strictatime nostrictatime lazytime nolazytime'.split(' '),
);

/** The argument after the program's name. */
export function libfuseOptions(options: MountOptions): string {
  const kernelOptions = options.kernelOptions.filter((option) => !UNKNOWN_TO_LIBFUSE.has(option));
  return `-o${[
    ...commonOptions({ ...options, kernelOptions }),
    ...nameOptions(options),
    // libfuse looks too.
    ...(hasOption(options.kernelOptions, 'nonempty') ? ['nonempty'] : []),
    // The numbers of the tree, not libfuse's own, which change with every mount.
    'use_ino',
    // Without: 4 KiB a write, and an empty file is stored before the first of them.
    'big_writes',
    'atomic_o_trunc',
    `entry_timeout=${LIFETIME_SECONDS}`,
    `attr_timeout=${LIFETIME_SECONDS}`,
    'negative_timeout=0',
  ].join(',')}`;
}
