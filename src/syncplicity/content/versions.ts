// Versions GET: what a file was, version by version. Its path names a version although the segment before says `file`; a version that is not
// the latest any more may be refused, so the file is then asked for its latest one.
import type { CallOptions, FileId, SyncpointId, Timestamp, VersionId } from '../../remote-drive.ts';
import type { ContentApi } from '../content-api.ts';
import { ReplyError } from '../errors.ts';
import { Fields, listIn } from '../wire/fields.ts';

const name = 'versions.svc GET';
const actions = ['added', 'edited', 'deleted', 'branched', 'renamed', 'confirmed-removed'] as const;

/** What made a version; `unknown` for what the documents do not list. */
export type VersionAction = (typeof actions)[number] | 'unknown';

/** A version of a file. What the service does not tell is undefined. */
export interface FileVersion {
  readonly id: VersionId;
  readonly action: VersionAction;
  readonly lengthBytes: number;
  readonly added: Timestamp | undefined;
  readonly userName: string | undefined;
  readonly userEmail: string | undefined;
  /** The device or client it came from. */
  readonly source: string | undefined;
}

/** A file whose versions are wanted, with the latest one that is known. */
export interface VersionedFile {
  readonly syncpointId: SyncpointId;
  readonly fileId: FileId;
  readonly versionId: VersionId;
}

/** The versions of a file, in the service's order. */
export async function fileVersions(api: ContentApi, file: VersionedFile, call: CallOptions): Promise<FileVersion[]> {
  try {
    return await versionsOf(api, file.syncpointId, file.versionId, call);
  } catch (error) {
    if (!isUnknownVersion(error)) throw error;
    const { versionId } = await api.drive.file(file.syncpointId, file.fileId, call);
    if (versionId === file.versionId) throw error;
    return versionsOf(api, file.syncpointId, versionId, call);
  }
}

async function versionsOf(
  { gateway }: ContentApi,
  syncpointId: SyncpointId,
  versionId: VersionId,
  call: CallOptions,
): Promise<FileVersion[]> {
  const thing = `version ${versionId} of syncpoint ${syncpointId}`;
  const value = await gateway.json(
    { name, thing, path: `/sync/versions.svc/${syncpointId}/file/${versionId}/versions` },
    call,
  );
  return listIn(value, name).map((entry, index) => readVersion(entry, `${name}[${index}]`));
}

function readVersion(value: unknown, where: string): FileVersion {
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
