// Two transfers after the same blocks: what to do when a server falls silent and people wait. A second one is sent; whichever
// brings bytes first goes on alone. Of two silent ones the elder keeps its chance, so that a server that is merely slow is not
// asked anew for ever. Knows nothing of where blocks are kept.
import { type Block } from './block.ts';
import type { Transfer } from './transfer.ts';

/** Of the time after which a rival goes out by itself: after so long a silence, a read that comes anew sends it at once. */
const silenceShare = 1 / 4;
/** Where nothing is known of ranges, transfers that may go out while those before them are silent. */
const probesMax = 4;

/** True when the server has owed the transfer a byte for longer than those who come now should wait for it. */
export function isSilent(transfer: Transfer, silenceMs: number): boolean {
  return transfer.silentMs >= silenceMs * silenceShare;
}

/** All who were asked are silent, or hold what they were asked for: one more may try. */
export function mayProbe(transfers: ReadonlySet<Transfer>, silenceMs: number): boolean {
  if (transfers.size >= probesMax) return false;
  for (const transfer of transfers) {
    if (transfer.state === 'queued' || (transfer.state === 'flowing' && !isSilent(transfer, silenceMs))) return false;
  }
  return true;
}

/**
 * The transfer that is to get a new rival, with the blocks that somebody waits for; undefined while the rival it has may still
 * answer. A rival that is silent too is stopped with the reason.
 */
export function challenged(
  silent: Transfer,
  silenceMs: number,
  notNeeded: Error,
): { readonly elder: Transfer; readonly blocks: readonly Block[] } | undefined {
  let elder = silent;
  const { rival } = silent;
  if (rival !== undefined) {
    if (!isSilent(rival, silenceMs)) return undefined;
    elder = silent.silentMs >= rival.silentMs ? silent : rival;
    const younger = elder === silent ? rival : silent;
    inherit(younger, elder);
    younger.stop(notNeeded);
  }
  const blocks = [...elder.assigned].filter((block) => block.waiters.size > 0).sort((a, b) => a.index - b.index);
  return blocks.length === 0 ? undefined : { elder, blocks };
}

/** One of two rivals goes: the other brings what both were after. */
export function inherit(from: Transfer, to: Transfer): void {
  from.rival = to.rival = undefined;
  if (to.state === 'ended') return;
  for (const block of from.assigned) if (to.assigned.has(block) && block.source === from) block.source = to;
}
