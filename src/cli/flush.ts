// `syncplicityfs flush`: returns when every change made before is at Syncplicity, or says which is not and why.
import { Command, Option } from 'commander';
import { parseDuration } from '../base/quantities.ts';
import type { CliContext } from './context.ts';
import { drain, leftHeadline, leftLines } from './drain.ts';
import { requireServing } from './serving-mount.ts';

/** `syncplicityfs flush MOUNTPOINT`. */
export function flushCommand(context: CliContext): Command {
  return new Command('flush')
    .description('wait until every change made before is stored at Syncplicity; else list what is not, and why')
    .argument('<MOUNTPOINT>')
    .addOption(
      new Option('--timeout <TIME>', 'how long to wait (default: as long as something moves)').argParser(parseDuration),
    )
    .action((path: string, options: { timeout?: number }) => flush(context, path, options.timeout));
}

async function flush(context: CliContext, path: string, timeoutMs: number | undefined): Promise<void> {
  const mount = await requireServing(context, path);
  try {
    const { left, reason } = await drain(context, mount, { timeoutMs });
    if (left.length === 0) return;
    const waited = left.every(({ failed }) => failed) ? '' : ` ${reason}`;
    throw new Error([`${leftHeadline(mount.mountpoint, left)}${waited}`, ...leftLines(left)].join('\n'));
  } finally {
    mount.client.close();
  }
}
