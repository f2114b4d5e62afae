// Versions GET: what a file was, version by version. Its path names a version although the segment before says `file`; a version that is not
// the latest any more may be refused, so the file is then asked for its latest one.
import type {
  CallOptions,
  RemoteDrive,
  RemoteVersion,
  SyncpointId,
  VersionAction,
  VersionedFile,
  VersionId,
} from '../../remote-drive.ts';
import { ReplyError } from '../errors.ts';
import type { Gateway } from '../gateway.ts';
import { Fields, listIn } from '../wire/fields.ts';

const name = 'versions.svc GET';
const actions = ['added', 'edited', 'deleted', 'branched', 'renamed', 'confirmed-removed'] as const;

/** Asks for a file's present state. */
export type AskFile = RemoteDrive['file'];

/** See RemoteDrive.versions. */
export async function fileVersions(
  gateway: Gateway,
  askFile: AskFile,
  file: VersionedFile,
  call: CallOptions,
): Promise<RemoteVersion[]> {
  try {
    return await versionsOf(gateway, file.syncpointId, file.versionId, call);
  } catch (error) {
    if (!isUnknownVersion(error)) throw error;
    const { versionId } = await askFile(file.syncpointId, file.fileId, call);
    if (versionId === file.versionId) throw error;
    return versionsOf(gateway, file.syncpointId, versionId, call);
  }
}

/** The versions of a file by one of them, whether or not it is there. */
export async function versionsOf(
  gateway: Gateway,
  syncpointId: SyncpointId,
  versionId: VersionId,
  call: CallOptions,
): Promise<RemoteVersion[]> {
  const thing = `version ${versionId} of syncpoint ${syncpointId}`;
  const value = await gateway.json(
    { name, thing, path: `/sync/versions.svc/${syncpointId}/file/${versionId}/versions` },
    call,
  );
  return listIn(value, name).map((entry, index) => readVersion(entry, `${name}[${index}]`));
}

/**
 * Version DELETE: ends a version that is not the latest. Its path names a file by the file's own id.
 */
export async function deleteVersion(gateway: Gateway, file: VersionedFile, call: CallOptions): Promise<void> {
  const { syncpointId, fileId, versionId } = file;
  const thing = `version ${versionId} of file ${fileId}`;
  const path = `/sync/version.svc/${syncpointId}/file/${fileId}/version/${versionId}`;
  await gateway.change({ name: 'version.svc DELETE', thing, path, method: 'DELETE' }, call);
}

function readVersion(value: unknown, where: string): RemoteVersion {
  const fields = Fields.of(value, where);
  const user = fields.object('User');
  return {
    id: fields.required(fields.id('Id', 'VersionId'), 'Id') as VersionId,
    action: readAction(fields),
    // Serialisers leave out defaults.
    lengthBytes: fields.size('Length') ?? 0,
    added: fields.time('DateAddedUtc'),
    userName: textOf(fields, 'UserName'),
    userEmail: user === undefined ? undefined : textOf(user, 'EmailAddress'),
    source: textOf(fields, 'DataSourceName'),
  };
}

function readAction(fields: Fields): VersionAction {
  const text = fields.text('Action')?.trim() ?? '';
  const code = text === '' ? 0 : Number(text);
  if (!Number.isNaN(code)) return actions[code] ?? 'unknown';
  const word = text.toLowerCase().replace(/[\s_-]/g, '');
  return actions.find((action) => action.replace('-', '') === word) ?? 'unknown';
}

function textOf(fields: Fields, key: string): string | undefined {
  const text = fields.text(key)?.trim();
  return text === '' ? undefined : text;
}

function isUnknownVersion(error: unknown): boolean {
  return error instanceof ReplyError && (error.status === 404 || /\bversion\b/i.test(error.text));
}
