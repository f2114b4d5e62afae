// What a member of a pool sees of the account, to be compared: members that see different things must not serve one tree.
import type { RemoteSyncpoint, SyncpointId } from '../../remote-drive.ts';

/** The account as one member sees it. */
export interface View {
  readonly userId: string | undefined;
  readonly email: string | undefined;
  /** Host of the gateway. */
  readonly gateway: string;
  /** Whom it acts for, where not for itself. */
  readonly asUser: string | undefined;
  readonly syncpoints: readonly Pick<RemoteSyncpoint, 'id' | 'name' | 'rootFolderId' | 'permission'>[];
}

/** In what two views of one user differ, in words; undefined: in nothing that counts. */
export function difference(view: View, reference: View): string | undefined {
  if (view.gateway !== reference.gateway) return `it calls ${view.gateway}, not ${reference.gateway}`;
  if (view.asUser?.toLowerCase() !== reference.asUser?.toLowerCase()) {
    return `it acts for ${view.asUser ?? 'its own user'}, not for ${reference.asUser ?? 'its own user'}`;
  }
  const [seen, expected] = [byId(view), byId(reference)];
  for (const [id, syncpoint] of expected) {
    const same = seen.get(id);
    if (same === undefined) return `it does not see "${syncpoint.name}" (syncpoint ${id})`;
    if (same.rootFolderId !== syncpoint.rootFolderId) return `it sees another root folder of "${syncpoint.name}"`;
    if (same.permission !== syncpoint.permission) return `to it "${syncpoint.name}" is ${same.permission}`;
  }
  for (const [id, { name }] of seen) if (!expected.has(id)) return `only it sees "${name}" (syncpoint ${id})`;
  return undefined;
}

function byId({ syncpoints }: View): Map<SyncpointId, View['syncpoints'][number]> {
  return new Map(syncpoints.map((syncpoint) => [syncpoint.id, syncpoint]));
}
