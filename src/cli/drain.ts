// Waiting until a mount's changes are at Syncplicity: a progress line on a terminal, an end when nothing moves any more, and
// the words for what is left. Used by flush and unmount.
import { setTimeout as sleep } from 'node:timers/promises';
import { isAbort } from '../base/abort.ts';
import { formatDuration } from '../base/quantities.ts';
import { askMount, type LeftChange } from '../control/methods.ts';
import type { MountStatus } from '../control/status.ts';
import type { CliContext } from './context.ts';
import { countOf, printable } from './printable.ts';
import { DrainProgress } from './progress-line.ts';
import type { ServingMount } from './serving-mount.ts';

/** As often as a line that changes is pleasant. */
export const POLL_INTERVAL_MS = 500;
/** A status comes from memory; past this there is no news this time. */
export const STATUS_TIMEOUT_MS = 5_000;
/** The daemon keeps the time; ours only catches one that hangs over it. */
const ANSWER_GRACE_MS = 10_000;
/** setTimeout's longest. */
const UNLIMITED_MS = 2 ** 31 - 1;
/** A vault may think over a minute about a large file; after two minutes without any news nothing will come by waiting. */
const STALL_MS = 120_000;
/** Of a terminal that tells no size, or none above 0. */
export const USUAL_COLUMNS = 80;
export const ERASE_LINE = '\r\u001b[K';

/** How long to wait. */
export interface DrainLimits {
  /** At most so long; undefined: as long as something moves. */
  readonly timeoutMs: number | undefined;
  readonly stallMs?: number;
}

/** What is not at Syncplicity, and why the waiting ended. */
export interface Drained {
  readonly left: readonly LeftChange[];
  /** For the user, where time ran out: "after 30 s". */
  readonly reason: string;
}

/** Waits until every change made before is stored, only failed ones are left, or it is no use to wait on. Ctrl-C rejects. */
export async function drain(context: CliContext, mount: ServingMount, limits: DrainLimits): Promise<Drained> {
  const ending = new AbortController();
  const onInterrupt = (): void => ending.abort(new Error('interrupted; what is not sent yet is kept and goes on'));
  process.once('SIGINT', onInterrupt);
  const timeoutMs = Math.min(limits.timeoutMs ?? UNLIMITED_MS, UNLIMITED_MS - ANSWER_GRACE_MS);
  const call = { timeoutMs: timeoutMs + ANSWER_GRACE_MS, signal: ending.signal };
  const watching = new AbortController();
  const flushed = askMount(mount.client, 'flush', { timeoutMs }, call);
  try {
    const stalled = watch(context, mount, limits.stallMs ?? STALL_MS, watching.signal);
    const answer = await Promise.race([flushed, stalled]);
    if (answer !== 'stalled') return { left: answer.left, reason: `after ${formatDuration(timeoutMs)}` };
    const status = await askMount(mount.client, 'status', {}, { timeoutMs: STATUS_TIMEOUT_MS });
    return { left: leftOf(status), reason: stallReason(status) };
  } finally {
    process.off('SIGINT', onInterrupt);
    watching.abort();
    ending.abort(new Error('nobody waits any more'));
    await Promise.allSettled([flushed]);
    context.terminal?.write(ERASE_LINE);
  }
}

/** Shows how far it is; resolves when nothing moved for `stallMs`, or will not. Never resolves after the signal, but rejects. */
async function watch(
  context: CliContext,
  { client }: ServingMount,
  stallMs: number,
  signal: AbortSignal,
): Promise<'stalled'> {
  const progress = new DrainProgress();
  let last = '';
  let movedMs = performance.now();
  for (;;) {
    const state = await look();
    if (state !== undefined) {
      const { terminal } = context;
      // The last column stays free: some terminals break the line there.
      terminal?.write(ERASE_LINE + progress.line(state, (terminal.columns || USUAL_COLUMNS) - 1));
      const { files, bytes, sent } = state.pending;
      // A chunk is told when it is stored; on a slow line it is on its way for minutes.
      const now = `${files} ${bytes} ${sent} ${state.transfers.bytesOut}`;
      if (now !== last) movedMs = performance.now();
      last = now;
    }
    // What is paused does not move by itself.
    if (state?.paused === true || performance.now() - movedMs >= stallMs) return 'stalled';
    await sleep(Math.min(POLL_INTERVAL_MS, stallMs), undefined, { signal });
  }

  async function look(): Promise<MountStatus | undefined> {
    try {
      return await askMount(client, 'status', { itemsMax: 0 }, { timeoutMs: STATUS_TIMEOUT_MS, signal });
    } catch (error) {
      if (!signal.aborted && isAbort(error)) return undefined;
      throw error;
    }
  }
}

function leftOf(status: MountStatus): LeftChange[] {
  return [
    ...status.pending.items.map(({ path, change, error }) => ({ path, change, error, failed: false })),
    ...status.failed.map(({ path, change, error }) => ({ path, change, error, failed: true })),
  ];
}

function stallReason(status: MountStatus): string {
  if (status.paused) return 'because transfers are paused';
  if (!status.online) return 'because the service is out of reach';
  if (status.sendingHeldSeconds !== null) {
    return `because the call budget keeps changes back for ${formatDuration(status.sendingHeldSeconds * 1000)}`;
  }
  return 'because nothing moved for a while';
}

/** One line a change, with the reason; after `linesMax` of them only how many more there are. */
export function leftLines(left: readonly LeftChange[], linesMax = Infinity): string[] {
  const lines = left
    .slice(0, linesMax)
    .map(({ path, change, error, failed }) =>
      printable(`  ${change} ${path}: ${failed ? 'failed: ' : ''}${error === '' ? 'waiting' : error}`),
    );
  return left.length > linesMax ? [...lines, `  and ${left.length - linesMax} more`] : lines;
}

/** "2 changes of /mnt/drive are not at Syncplicity". */
export function leftHeadline(mountpoint: string, left: readonly LeftChange[]): string {
  return `${countOf(left.length, 'change')} of ${mountpoint} ${left.length === 1 ? 'is' : 'are'} not at Syncplicity`;
}
