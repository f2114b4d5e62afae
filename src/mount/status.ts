// Gathers what a mount tells of itself from all its rooms. Part of the composition root: the shape is control's, the numbers are theirs.
import { processMemory } from '../base/process-memory.ts';
import type { ContentBlocks } from '../cache/blocks.ts';
import type { Journal } from '../cache/journal.ts';
import type { PinKeeper } from '../cache/pins/keeper.ts';
import type { Listings } from '../cache/listings.ts';
import { emptyStatus, type MountIdentity, type MountStatus, type PoolMember } from '../control/status.ts';
import { secondsLeft } from '../control/time-left.ts';
import type { FileSystem } from '../fs-ops/file-system.ts';
import type { TransportMount } from '../fuse/transport.ts';
import type { Pusher } from '../sync/pusher.ts';
import { changeOverview } from '../sync/reports.ts';
import type { SyncplicityDrive } from '../syncplicity/drive.ts';
import type { MemberStatistics } from '../syncplicity/members/statistics.ts';

/** Shorter waits are the pace of calls. */
const LONG_DELAY_MS = 1_000;
/** Changes wait for their turn behind one another; longer than this something keeps all of them. */
const HELD_MS = 10_000;
/** How long `status` shows a request that got an error. */
const FAILURE_SHOWN_MS = 300_000;

/** The rooms that are asked. */
export interface StatusSources {
  readonly drive: SyncplicityDrive;
  readonly listings: Listings;
  readonly blocks: ContentBlocks;
  readonly journal: Journal;
  readonly pusher: Pusher;
  readonly pinKeeper: PinKeeper;
  readonly fileSystem: FileSystem;
  readonly kernelMount: TransportMount;
  /** Bytes of an unfinished generation. */
  readonly stagedBytes: (generation: number) => number;
}

/** The status of a mount now, with at most `itemsMax` pending items. */
export async function gatherStatus(
  identity: MountIdentity,
  from: StatusSources,
  itemsMax: number,
): Promise<MountStatus> {
  return { ...(await gatherStanding(identity, from)), ...(await changes(from, itemsMax)) };
}

type Changes = Pick<MountStatus, 'pending' | 'failed' | 'localOnly' | 'conflicts' | 'unfinished'>;

/** The same without what is pending or waits for a decision, which takes its time where that is much. */
export async function gatherStanding(
  identity: MountIdentity,
  from: StatusSources,
): Promise<Omit<MountStatus, keyof Changes>> {
  const drive = from.drive.statistics();
  const blocks = from.blocks.statistics();
  const now = Date.now();
  const { perSecond, perHour, leftThisHour } = drive.budget;
  return {
    ...emptyStatus({ ...identity, online: drive.online }),
    offlineReason: drive.online ? null : (drive.lastError ?? null),
    refusedSignIns: [...from.drive.signIns.refused].map(([name, reason]) => ({ name, reason })),
    sendingHeldSeconds: secondsOver(HELD_MS, from.drive.callDelayMs('commit')),
    paused: from.pusher.paused,
    pinned: pinned(from),
    purges: { pending: from.pusher.purges.pendingCount, refused: from.pusher.purges.refusals() },
    waiting: [
      ...from.fileSystem.waiting().map(({ verb, path, waitedMs }) => ({
        path,
        operation: verb,
        reason: waitReason(from.drive, drive.lastError),
        failed: false,
        since: new Date(now - waitedMs).toISOString(),
      })),
      ...from.fileSystem
        .failures()
        .filter(({ atMs }) => now - atMs < FAILURE_SHOWN_MS)
        .map(({ verb, path, reason, atMs }) => ({
          path,
          operation: verb,
          reason,
          failed: true,
          since: new Date(atMs).toISOString(),
        })),
    ],
    calls: {
      total: drive.total,
      byEndpoint: drive.byEndpoint,
      byClass: drive.byClass,
      throttled: drive.throttled,
      budget: { perSecond, perHour, leftThisHour },
    },
    members: drive.members.map(poolMember),
    cache: {
      memoryBytes: blocks.memoryBytes,
      diskBytes: blocks.diskBytes,
      hits: blocks.hits,
      misses: blocks.misses,
      staleListings: from.listings.statistics().stale,
    },
    relisting: { folders: from.listings.relisting },
    prefetch: { unusedBytes: blocks.prefetchUnusedBytes },
    requests: Object.fromEntries(
      Object.entries(from.kernelMount.statistics().byOpcode).map(([name, { requests }]) => [name, requests]),
    ),
    transfers: {
      bytesIn: drive.bytesIn,
      bytesOut: drive.bytesOut,
      limitIn: drive.limits.downBytesPerSecond ?? null,
      limitOut: drive.limits.upBytesPerSecond ?? null,
    },
    capabilities: capabilities(drive, from.kernelMount),
    memory: await processMemory(),
  };
}

function secondsOver(limitMs: number, delayMs: number): number | null {
  return delayMs > limitMs ? Math.ceil(delayMs / 1000) : null;
}

/** Why somebody waits: for the call budget, as far as that is known, else for what went wrong last, or just for an answer. */
function waitReason(drive: SyncplicityDrive, lastError: string | undefined): string {
  const seconds = secondsOver(LONG_DELAY_MS, drive.callDelayMs('interactive'));
  if (seconds !== null) return `the call budget of this app key is spent: the next call is possible in ${seconds} s`;
  return lastError ?? 'waiting for the service';
}

function poolMember({ name, total, throttled, budget, out }: MemberStatistics): PoolMember {
  const { perSecond, perHour, leftThisHour } = budget;
  const since = out?.sinceMs === undefined ? null : new Date(out.sinceMs).toISOString();
  return {
    name,
    calls: total,
    throttled,
    budget: { perSecond, perHour, leftThisHour },
    out: out === undefined ? null : { reason: out.reason, since },
  };
}

async function changes(from: StatusSources, itemsMax: number): Promise<Changes> {
  const { pending, firstPending, refused, localOnly } = await changeOverview(from.journal, from.pusher, itemsMax);
  const bytesPerSecond = Math.round(from.pusher.bytesPerSecond);
  // Uploads go to vaults; all else is a gateway call, or part of one.
  const left = { bytes: pending.bytes - pending.sentBytes, calls: pending.withoutContent };
  return {
    pending: {
      files: pending.changes,
      bytes: pending.bytes,
      sent: pending.sentBytes,
      bytesPerSecond,
      secondsLeft: secondsLeft(left, bytesPerSecond, from.drive.statistics().budget),
      items: firstPending.map(({ path, change, bytes, sentBytes, state, attempts, error }) => ({
        path,
        change,
        bytes,
        sent: sentBytes,
        state,
        attempts,
        error,
      })),
    },
    failed: refused.flatMap(({ path, change, failed }) =>
      failed === undefined
        ? []
        : [{ path, change, error: failed.message, since: new Date(failed.sinceMs).toISOString() }],
    ),
    localOnly,
    conflicts: from.journal.tree
      .conflicts()
      .map(({ path, keptAs, sinceMs }) => ({ path, keptAs, since: new Date(sinceMs).toISOString() })),
    unfinished: from.journal.unfinished().map(({ path, generation, sinceMs }) => ({
      path,
      bytes: from.stagedBytes(generation),
      since: new Date(sinceMs).toISOString(),
    })),
  };
}

function pinned({ pinKeeper, journal }: StatusSources): MountStatus['pinned'] {
  const { nodes, trouble, ...sums } = pinKeeper.status();
  return { paths: nodes.map((node) => journal.tree.path(node)), ...sums, trouble: trouble ?? null };
}

/** What server and kernel were found to support, as names and words. */
function capabilities(
  drive: ReturnType<SyncplicityDrive['statistics']>,
  mount: TransportMount,
): Record<string, string> {
  const found: Record<string, string> = {
    folderListing: drive.capabilities.folderListing,
    lastEvent: drive.capabilities.lastEvent === undefined ? 'unknown' : drive.capabilities.lastEvent ? 'yes' : 'no',
  };
  for (const [id, vault] of Object.entries(drive.capabilities.vaults)) found[`ranges ${id}`] = vault.ranges;
  found['fuse'] = mount.statistics().protocol ?? 'unknown';
  return found;
}
