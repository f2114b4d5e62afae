// Takes a mount out of the tree, as root with umount(8), else with fusermount3.
import { errno } from '../../base/errno.ts';
import { findMount } from '../../base/mount-table.ts';
import { FsError } from '../../fs-ops/operations.ts';
import { describe, whatUses, whoUses } from './busy.ts';
import { runCommand, type CommandResult } from './command.ts';

/** Unmounts whatever is on top at `path`. Throws FsError EBUSY naming who uses it, or EIO with the program's message. */
export async function detach(path: string, options: { readonly lazy: boolean }): Promise<void> {
  const root = process.geteuid?.() === 0;
  const result = root
    ? await runCommand('umount', ['-i', '-n', ...(options.lazy ? ['-l'] : []), '--', path])
    : await fusermount(['-u', ...(options.lazy ? ['-z'] : []), '--', path]);
  if (result.kind === 'missing') {
    throw new FsError(
      errno.ENOENT,
      root ? 'umount(8) was not found: install the package util-linux' : FUSERMOUNT_MISSING,
    );
  }
  if (result.kind === 'timeout') throw new FsError(errno.EIO, `${path} could not be unmounted: it does not answer`);
  if (result.code === 0) return;
  if (/busy/i.test(result.message)) {
    throw new FsError(errno.EBUSY, `${path} is busy: ${describe(await whoUses(path), await whatUses(path))}`);
  }
  throw new FsError(errno.EIO, `${path} could not be unmounted: ${reasonIn(result.message)}`);
}

/** Unmounts our mount at `path`, told from others by its device number. Nothing to do if it is gone, or never was there. */
export async function unmountOurs(path: string, device: string | undefined, lazy: boolean): Promise<void> {
  const mounted = await findMount(path);
  if (mounted === undefined || device === undefined) return;
  if (mounted.device !== device) {
    throw new FsError(errno.EBUSY, `${mounted.source} (${mounted.type}) is mounted over ${path}: unmount it first`);
  }
  await detach(path, { lazy });
}

export const FUSERMOUNT_MISSING =
  'fusermount3 was not found: install the package fuse3 (an ordinary user cannot mount without it)';

export const ALLOW_OTHER_REFUSED =
  'allow_other is refused: the line "user_allow_other" is missing in /etc/fuse.conf (root can add it)';

/** Runs fusermount3, or its predecessor where only that is installed. */
export async function fusermount(
  args: readonly string[],
  options?: Parameters<typeof runCommand>[2],
): Promise<CommandResult> {
  const result = await runCommand('fusermount3', args, options);
  return result.kind === 'missing' ? runCommand('fusermount', args, options) : result;
}

/** The line of a program's output that says what went wrong, without the program's name; hints are indented. */
export function reasonIn(message: string): string {
  const line = message.split('\n').findLast((text) => /^\S/.test(text)) ?? '';
  return line.replace(/^(fusermount3?|u?mount): /, '') || 'no reason was given';
}
