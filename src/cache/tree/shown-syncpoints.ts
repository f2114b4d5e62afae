// Which syncpoints stand at the drive's root, and under which names: nested ones show in their parent, and those of one name are told apart
// by owner, else by id.
import type { RemoteSyncpoint } from '../../remote-drive.ts';
import type { Naming } from './naming.ts';

/** A syncpoint at the drive's root. */
export interface ShownSyncpoint {
  readonly syncpoint: RemoteSyncpoint;
  readonly name: string;
}

/** The syncpoints that are not inside another visible one, each with the name it is to have. */
export function shownSyncpoints(naming: Naming, syncpoints: readonly RemoteSyncpoint[]): ShownSyncpoint[] {
  const visible = new Set(syncpoints.map((syncpoint) => syncpoint.id));
  const shown = syncpoints.filter((syncpoint) => syncpoint.parentId === undefined || !visible.has(syncpoint.parentId));
  const plain = (syncpoint: RemoteSyncpoint): string => naming.fit(syncpoint.name, syncpoint.id);
  const owned = (syncpoint: RemoteSyncpoint): string =>
    naming.fit(syncpoint.owner === undefined ? syncpoint.name : `${syncpoint.name} (${syncpoint.owner})`, syncpoint.id);
  const plainCounts = countBy(shown, plain);
  const ownedCounts = countBy(shown, owned);
  return shown.map((syncpoint) => {
    let name = plain(syncpoint);
    if ((plainCounts.get(name) ?? 0) > 1) {
      name = owned(syncpoint);
      if (syncpoint.owner === undefined || (ownedCounts.get(name) ?? 0) > 1) name = naming.distinct(name, syncpoint.id);
    }
    return { syncpoint, name };
  });
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  return counts;
}
