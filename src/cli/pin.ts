// `syncplicityfs pin`, `unpin` and `free`: what of the drive is kept on this machine, and what need not be.
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { isAbort } from '../base/abort.ts';
import { formatSize } from '../base/quantities.ts';
import { askMount, type Freed, type NotKeptPath } from '../control/methods.ts';
import type { CliContext } from './context.ts';
import { ERASE_LINE, POLL_INTERVAL_MS, STATUS_TIMEOUT_MS, USUAL_COLUMNS } from './drain.ts';
import { forMountsOf } from './mount-paths.ts';
import { countOf, printable } from './printable.ts';
import { PinProgress } from './progress-line.ts';
import type { ServingMount } from './serving-mount.ts';

/** setTimeout's longest: content takes as long as the line does. */
const UNLIMITED_MS = 2 ** 31 - 1;
/** Folders that were never listed may have to be, and files to be deleted. */
const ASK_TIMEOUT_MS = 600_000;

/** `syncplicityfs pin PATH...`. */
export function pinCommand(context: CliContext): Command {
  return new Command('pin')
    .description(
      'keep files, and folders with all that comes to be in them, on this machine, readable without the service',
    )
    .argument('<PATH...>', 'files or folders in a mounted drive')
    .option('--no-wait', 'return when it is known that they fit into the cache, and fetch them in the background')
    .action((paths: readonly string[], { wait }: { wait: boolean }) => pin(context, paths, wait));
}

/** `syncplicityfs unpin PATH...`. */
export function unpinCommand(context: CliContext): Command {
  return new Command('unpin')
    .description(
      'keep files and folders, and what is pinned below them, no longer; what is cached stays until room is needed',
    )
    .argument('<PATH...>', 'files or folders in a mounted drive')
    .action((paths: readonly string[]) =>
      forMountsOf(context, paths, async ({ mount, batches }) => {
        for (const batch of batches) {
          await askMount(mount.client, 'unpin', { paths: batch }, { timeoutMs: ASK_TIMEOUT_MS });
        }
      }),
    );
}

/** `syncplicityfs free PATH...`. */
export function freeCommand(context: CliContext): Command {
  return new Command('free')
    .description('give up what is cached of files that are neither pinned nor waiting to be sent')
    .argument('<PATH...>', 'files or folders in a mounted drive')
    .action((paths: readonly string[]) =>
      forMountsOf(context, paths, async ({ mount, batches }) => {
        for (const batch of batches) {
          context.print(
            freedText(await askMount(mount.client, 'free', { paths: batch }, { timeoutMs: ASK_TIMEOUT_MS })),
          );
        }
      }),
    );
}

async function pin(context: CliContext, paths: readonly string[], wait: boolean): Promise<void> {
  const failed: NotKeptPath[] = [];
  await forMountsOf(context, paths, async ({ mount, batches }) => {
    for (const batch of batches) failed.push(...(await pinBatch(context, mount, batch, wait)));
  });
  if (failed.length === 0) return;
  const headline = `${failed.length} of what is pinned could not be fetched yet, and ${failed.length === 1 ? 'is' : 'are'} tried again:`;
  throw new Error([headline, ...failed.map(({ path, reason }) => printable(`  ${path}: ${reason}`))].join('\n'));
}

async function pinBatch(
  context: CliContext,
  mount: ServingMount,
  paths: readonly string[],
  wait: boolean,
): Promise<readonly NotKeptPath[]> {
  const ending = new AbortController();
  const onInterrupt = (): void => ending.abort(new Error('interrupted; what is pinned is fetched in the background'));
  process.once('SIGINT', onInterrupt);
  const watching = new AbortController();
  const shown = show(context, mount, watching.signal);
  try {
    const limits = { timeoutMs: UNLIMITED_MS, signal: ending.signal };
    const { failed } = await askMount(mount.client, 'pin', { paths, wait }, limits);
    return failed;
  } finally {
    process.off('SIGINT', onInterrupt);
    watching.abort();
    await shown;
    context.terminal?.write(ERASE_LINE);
  }
}

/** Shows how far it is until the signal, where there is a terminal. */
async function show({ terminal }: CliContext, { client }: ServingMount, signal: AbortSignal): Promise<void> {
  if (terminal === undefined) return;
  const progress = new PinProgress();
  try {
    for (;;) {
      await sleep(POLL_INTERVAL_MS, undefined, { signal });
      const state = await askMount(client, 'status', { itemsMax: 0 }, { timeoutMs: STATUS_TIMEOUT_MS, signal });
      // The last column stays free: some terminals break the line there.
      terminal.write(ERASE_LINE + progress.line(state, (terminal.columns || USUAL_COLUMNS) - 1));
    }
  } catch (error) {
    // The request itself tells what went wrong, and how it ended.
    if (!signal.aborted && !isAbort(error)) terminal.write(ERASE_LINE);
  }
}

function freedText({ bytes, files, pinned, pending }: Freed): string {
  const kept = [
    ...(pinned === 0 ? [] : [`${countOf(pinned, 'file')} pinned`]),
    ...(pending === 0 ? [] : [`${countOf(pending, 'file')} not at Syncplicity yet`]),
  ];
  const rest = kept.length === 0 ? '' : `; left as they are: ${kept.join(', ')}`;
  return `${formatSize(bytes)} of ${countOf(files, 'file')} freed${rest}`;
}
