// The syncpoint that a path stands for: its root, or a folder below another one that is shared by itself.
import type { RemoteTarget } from '../../mount/remote-path.ts';
import type { SyncpointId } from '../../remote-drive.ts';
import { printable } from '../printable.ts';
import type { Service } from './content-command.ts';

export interface TargetSyncpoint {
  readonly id: SyncpointId;
  readonly name: string;
}

/** The syncpoint at a path. Rejects with what is there instead. */
export async function syncpointAt(
  { api, call }: Service,
  target: RemoteTarget,
  path: string,
): Promise<TargetSyncpoint> {
  if (target.kind === 'root') throw new Error(`${printable(path)} is the whole drive: name a syncpoint of it`);
  if (target.kind === 'syncpoint') return { id: target.syncpointId, name: target.syncpointName };
  if (target.kind === 'folder') {
    const nested = (await api.drive.syncpoints(call)).find(({ rootFolderId }) => rootFolderId === target.folderId);
    if (nested !== undefined) return { id: nested.id, name: nested.name };
  }
  const what = target.kind === 'file' ? 'a file' : 'a folder that is not shared by itself';
  throw new Error(`${printable(path)} is ${what}: name its syncpoint, ${printable(target.syncpointName)}`);
}
