// Moves files and folders to the trash, and purges them there: the calls File DELETE and Folder DELETE. What lies there already, or is gone,
// counts as done.
import { RemoteError } from '../remote-drive.ts';
import type { CallOptions, FolderId, RemovedObject, SyncpointId, VersionId } from '../remote-drive.ts';
import { ReplyError } from './errors.ts';
import type { Gateway, GatewayCall } from './gateway.ts';

/** Whether there is a newer version, or no file any more, only the file can tell. */
const versionTexts = /\b(invalid|unknown) (file ?)?version id\b/i;
/** It is not in the trash, but in its folder. */
const aliveTexts = /purging active/i;
/** A syncpoint that is gone may only be hidden: that is another finding, and its caller's. */
const syncpointTexts = /syncpoint|virtual ?folder/i;

/** See RemoteDrive.deleteFile. */
export async function deleteFile(
  gateway: Gateway,
  syncpointId: SyncpointId,
  versionId: VersionId,
  options: CallOptions,
): Promise<void> {
  try {
    await remove(gateway, fileCall(syncpointId, versionId), options);
  } catch (error) {
    if (!(error instanceof ReplyError) || !versionTexts.test(error.text)) throw error;
    throw new RemoteError('conflict', error.message, { cause: error });
  }
}

/** See RemoteDrive.deleteFolder. */
export function deleteFolder(
  gateway: Gateway,
  syncpointId: SyncpointId,
  folderId: FolderId,
  options: CallOptions,
): Promise<void> {
  return remove(gateway, folderCall(syncpointId, folderId), options);
}

/** See RemoteDrive.purge. */
export async function purge(gateway: Gateway, removed: RemovedObject, options: CallOptions): Promise<void> {
  const { syncpointId } = removed;
  const call =
    removed.kind === 'file' ? fileCall(syncpointId, removed.versionId) : folderCall(syncpointId, removed.folderId);
  try {
    await remove(gateway, { ...call, path: `${call.path}?modifier=permanently` }, options);
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error;
    // Of a file that is in the trash, its version is known; else it is gone.
    if (versionTexts.test(error.text)) return;
    if (!aliveTexts.test(error.text)) throw error;
    throw new RemoteError('conflict', error.message, { cause: error });
  }
}

function fileCall(syncpointId: SyncpointId, versionId: VersionId): GatewayCall {
  return {
    name: 'file.svc DELETE',
    thing: `version ${versionId} of syncpoint ${syncpointId}`,
    // The guide calls it FILE_ID, its errors and everybody's practice a version id.
    path: `/sync/file.svc/${syncpointId}/file/${versionId}`,
  };
}

function folderCall(syncpointId: SyncpointId, folderId: FolderId): GatewayCall {
  return {
    name: 'folder.svc DELETE',
    thing: `folder ${folderId} of syncpoint ${syncpointId}`,
    path: `/sync/folder.svc/${syncpointId}/folder/${folderId}`,
  };
}

async function remove(gateway: Gateway, call: GatewayCall, options: CallOptions): Promise<void> {
  try {
    await gateway.change({ ...call, method: 'DELETE' }, options);
  } catch (error) {
    if (!(error instanceof ReplyError) || !isGone(error)) throw error;
  }
}

/** The object itself is gone. */
function isGone(error: ReplyError): boolean {
  return error.kind === 'not-found' && !versionTexts.test(error.text) && !syncpointTexts.test(error.text);
}
