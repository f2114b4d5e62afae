// Moves files and folders to the trash: the calls File DELETE and Folder DELETE. What lies there already counts as done.
import { RemoteError } from '../remote-drive.ts';
import type { CallOptions, FolderId, SyncpointId, VersionId } from '../remote-drive.ts';
import { ReplyError } from './errors.ts';
import type { Gateway, GatewayCall } from './gateway.ts';

/** Whether there is a newer version, or no file any more, only the file can tell. */
const versionTexts = /\b(invalid|unknown) (file ?)?version id\b/i;
/** A syncpoint that is gone may only be hidden: that is another finding, and its caller's. */
const syncpointTexts = /syncpoint|virtual ?folder/i;

/** See RemoteDrive.deleteFile. */
export async function deleteFile(
  gateway: Gateway,
  syncpointId: SyncpointId,
  versionId: VersionId,
  options: CallOptions,
): Promise<void> {
  const call = {
    name: 'file.svc DELETE',
    thing: `version ${versionId} of syncpoint ${syncpointId}`,
    // The guide calls it FILE_ID, its errors and everybody's practice a version id.
    path: `/sync/file.svc/${syncpointId}/file/${versionId}`,
  };
  try {
    await remove(gateway, call, options);
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
  const call = {
    name: 'folder.svc DELETE',
    thing: `folder ${folderId} of syncpoint ${syncpointId}`,
    path: `/sync/folder.svc/${syncpointId}/folder/${folderId}`,
  };
  return remove(gateway, call, options);
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
