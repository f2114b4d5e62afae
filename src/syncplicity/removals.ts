// Moves files and folders to the trash: the calls File DELETE and Folder DELETE. What lies there already counts as done.
import { RemoteError } from '../remote-drive.ts';
import type { CallOptions, FolderId, SyncpointId, VersionId } from '../remote-drive.ts';
import { ReplyError } from './errors.ts';
import type { Gateway } from './gateway.ts';

/** See RemoteDrive.deleteFile. */
export async function deleteFile(
  gateway: Gateway,
  syncpointId: SyncpointId,
  versionId: VersionId,
  options: CallOptions,
): Promise<void> {
  try {
    await gateway.change(
      {
        name: 'file.svc DELETE',
        thing: `version ${versionId} of syncpoint ${syncpointId}`,
        method: 'DELETE',
        // The guide calls it FILE_ID, its errors and everybody's practice a version id.
        path: `/sync/file.svc/${syncpointId}/file/${versionId}`,
      },
      options,
    );
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error;
    // Whether there is a newer version or none any more, only the file can tell.
    if (/\b(invalid|unknown) (file ?)?version id\b/i.test(error.text)) {
      throw new RemoteError('conflict', error.message, { cause: error });
    }
    if (!isGone(error)) throw error;
  }
}

/** See RemoteDrive.deleteFolder. */
export async function deleteFolder(
  gateway: Gateway,
  syncpointId: SyncpointId,
  folderId: FolderId,
  options: CallOptions,
): Promise<void> {
  try {
    await gateway.change(
      {
        name: 'folder.svc DELETE',
        thing: `folder ${folderId} of syncpoint ${syncpointId}`,
        method: 'DELETE',
        path: `/sync/folder.svc/${syncpointId}/folder/${folderId}`,
      },
      options,
    );
  } catch (error) {
    if (!(error instanceof ReplyError) || !isGone(error)) throw error;
  }
}

/** The object is gone. A syncpoint that is gone may only be hidden: that is another finding, and its caller's. */
function isGone(error: ReplyError): boolean {
  return error.kind === 'not-found' && !/syncpoint|virtual ?folder/i.test(error.text);
}
