// `syncplicityfs refresh`: looks again now, for people who know that something changed at the service.
import { Command } from 'commander';
import { askMount } from '../control/methods.ts';
import type { CliContext } from './context.ts';
import { forMountsOf } from './mount-paths.ts';

/** A listing takes seconds; thousands of them take as long as the allowance of calls makes them. */
const REFRESH_TIMEOUT_MS = 3_600_000;

/** `syncplicityfs refresh PATH...`. */
export function refreshCommand(context: CliContext): Command {
  return new Command('refresh')
    .description(
      'look again now at what Syncplicity has in a folder, or in that of a file; at the mountpoint, for syncpoints',
    )
    .argument('<PATH...>', 'files or folders in a mounted drive')
    .option('-r, --recursive', 'and in all folders below that were listed before')
    .action((paths: readonly string[], { recursive }: { recursive?: true }) =>
      forMountsOf(context, paths, async ({ mount, batches }) => {
        for (const batch of batches) {
          const params = { paths: batch, recursive: recursive === true };
          await askMount(mount.client, 'refresh', params, { timeoutMs: REFRESH_TIMEOUT_MS });
        }
      }),
    );
}
