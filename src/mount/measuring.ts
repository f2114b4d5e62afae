// What a mount tells Prometheus: the same numbers as `status`, without the names in it, and the latencies of the kernel's requests. Part of
// the composition root: the shape is the metrics room's, the numbers are those of all others.
import { ownVersion } from '../base/own-version.ts';
import type { MountConfig } from '../config.ts';
import type { MountIdentity } from '../control/status.ts';
import { LATENCY_BOUNDS_SECONDS } from '../fuse/latency-histogram.ts';
import type { Readings } from '../metrics/readings.ts';
import { changeSums } from '../sync/reports.ts';
import { gatherStanding, type StatusSources } from './status.ts';

/** Gathers the readings of a mount, at each call. */
export async function readingsOf(
  identity: MountIdentity,
  from: StatusSources,
  limits: Pick<MountConfig, 'memoryBytes' | 'cacheSizeBytes'>,
): Promise<() => Promise<Readings>> {
  const build = { version: await ownVersion(), transport: identity.transport };
  return async () => {
    const { calls, members, online, paused, transfers, cache, relisting, prefetch, pinned, memory, purges } =
      await gatherStanding(identity, from);
    const sums = await changeSums(from.journal, from.pusher);
    const { byOpcode, pending } = from.kernelMount.statistics();
    return {
      build,
      calls,
      members: members.map((member, index) => ({
        ...member,
        name: distinctName(members, index),
        available: member.out === null,
      })),
      online,
      paused,
      transfers,
      fuse: {
        byOpcode,
        latencyBoundsSeconds: LATENCY_BOUNDS_SECONDS,
        readBytes: byOpcode['READ']?.bytes ?? 0,
        pending,
        waiting: from.fileSystem.waiting().length,
      },
      cache: {
        ...cache,
        memoryBytesMax: limits.memoryBytes,
        diskBytesMax: limits.cacheSizeBytes,
        prefetchUnusedBytes: prefetch.unusedBytes,
        relistingFolders: relisting.folders,
      },
      changes: {
        pending: sums.pending.changes,
        pendingBytes: sums.pending.bytes,
        pendingSentBytes: sums.pending.sentBytes,
        failed: sums.failed,
        conflicts: from.journal.tree.conflictInodes().size,
        unfinished: from.journal.unfinished().length,
        localOnlyFiles: sums.localOnly.files,
        localOnlyBytes: sums.localOnly.bytes,
        purgesPending: purges.pending,
        purgesRefused: purges.refused.length,
      },
      pinned,
      memory,
    };
  };
}

/** Two connections of a pool may have one name, two series may not. */
function distinctName(members: readonly { readonly name: string }[], index: number): string {
  const name = members[index]?.name ?? '';
  const before = members.slice(0, index).filter((other) => other.name === name).length;
  return before === 0 ? name : `${name} #${before + 1}`;
}
