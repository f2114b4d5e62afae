// Syncpoints as such: Syncpoints GET and POST, Syncpoint GET, PUT and DELETE. What a drive needs of them is in ../syncpoints.ts. Replies to
// changes are no evidence: servers ignore what they do not understand, so what matters is asked for again.
import { RemoteError } from '../../remote-drive.ts';
import type { CallOptions, FolderId, SyncpointId, SyncpointPermission, VaultId } from '../../remote-drive.ts';
import { ReplyError } from '../errors.ts';
import type { Gateway } from '../gateway.ts';
import { readSyncpoint } from '../wire/entities.ts';
import { Fields, listIn } from '../wire/fields.ts';
import { bareId, jsonArray, jsonObject, type JsonFields } from '../wire/json-body.ts';
import { fullName } from './participants.ts';

const listName = 'syncpoints.svc GET';
const postName = 'syncpoints.svc POST';
const getName = 'syncpoint.svc GET';
const putName = 'syncpoint.svc PUT';
const deleteName = 'syncpoint.svc DELETE';
/** All types but the private 7; 8 comes only when asked for. */
const typesShown = 'includeType=1,2,3,4,5,6,8';

/** The guide's limit. */
export const SYNCPOINT_NAME_MAX = 50;

/** By the service's numbers; `folder` is what people make, `drive` a SyncDrive, in which files and folders can be moved. */
const typeNames: Readonly<Record<number, SyncpointType>> = {
  1: 'documents',
  2: 'music',
  3: 'pictures',
  4: 'desktop',
  5: 'favorites',
  6: 'folder',
  8: 'drive',
};

export type SyncpointType =
  'documents' | 'music' | 'pictures' | 'desktop' | 'favorites' | 'folder' | 'drive' | 'unknown';

/** Where a machine keeps a syncpoint. */
export interface SyncpointMapping {
  /** GUID. */
  readonly machineId: string | undefined;
  readonly path: string | undefined;
  readonly isMapped: boolean;
}

/** All that is told of a syncpoint; what is not told is undefined. */
export interface SyncpointDetails {
  readonly id: SyncpointId;
  readonly name: string;
  readonly type: SyncpointType;
  /** The number that changes must carry. */
  readonly typeCode: number;
  readonly permission: SyncpointPermission;
  readonly ownerId: string | undefined;
  readonly owner: string | undefined;
  readonly ownerName: string | undefined;
  readonly isShared: boolean | undefined;
  readonly rootFolderId: FolderId | undefined;
  readonly vaultId: VaultId | undefined;
  readonly parentId: SyncpointId | undefined;
  /** Where a nested one lies in its parent, "/" separated. */
  readonly parentPath: string | undefined;
  readonly sizeBytes: number | undefined;
  /** Undefined where the service does not tell. */
  readonly mappings: readonly SyncpointMapping[] | undefined;
}

/** A syncpoint to be made. */
export interface NewSyncpoint {
  readonly name: string;
  readonly type: 'folder' | 'drive';
  /** Default: the owner's own. */
  readonly vaultId: VaultId | undefined;
}

/** The mapping of a syncpoint to a machine, or its end. */
export interface NewMapping {
  readonly machineId: string;
  readonly path: string;
  readonly isMapped: boolean;
  readonly downloads: boolean;
  readonly uploads: boolean;
}

/** Every syncpoint the user may see. `userId` is the GUID of the caller. */
export async function allSyncpoints(
  gateway: Gateway,
  userId: string | undefined,
  call: CallOptions,
): Promise<SyncpointDetails[]> {
  const path = `/syncpoint/syncpoints.svc/?${typesShown}`;
  const value = await gateway.json({ name: listName, thing: 'the list of syncpoints', path }, call);
  return listIn(value, listName).flatMap((entry, index) => readDetails(entry, `${listName}[${index}]`, userId) ?? []);
}

/** One of them. Rejects with `not-found` where it is gone or hidden. */
export async function syncpointById(
  gateway: Gateway,
  id: SyncpointId,
  userId: string | undefined,
  call: CallOptions,
): Promise<SyncpointDetails> {
  const value = await gateway.json({ name: getName, thing: `syncpoint ${id}`, path: pathOf(id) }, call);
  const found = readDetails(Array.isArray(value) ? (value[0] as unknown) : value, getName, userId);
  if (found !== undefined) return found;
  throw new RemoteError('not-found', `${getName}: syncpoint ${id}: it is removed`);
}

/** Makes a syncpoint. The reply need not tell its root folder. */
export async function createSyncpoint(
  gateway: Gateway,
  wanted: NewSyncpoint,
  userId: string | undefined,
  call: CallOptions,
): Promise<SyncpointDetails> {
  const { name, type, vaultId } = wanted;
  const code = type === 'drive' ? 8 : 6;
  const fields = { Type: code, Name: name, Mapped: false, Path: '\\', DownloadEnabled: true, UploadEnabled: true };
  const post = (vault: JsonFields): Promise<unknown> => {
    const body = jsonArray([{ ...fields, ...vault }]);
    const path = '/syncpoint/syncpoints.svc/';
    return gateway.change({ name: postName, thing: `the new syncpoint "${name}"`, path, method: 'POST', body }, call);
  };
  // Both spellings stand in the documents.
  const vaultFields = (text: string): JsonFields => ({ StorageEndpointID: text, StorageEndpointId: text });
  let value: unknown;
  try {
    value = await post(vaultFields(vaultId ?? ''));
  } catch (error) {
    // Required but may be empty, says the guide; an empty text is no GUID, may a server say.
    if (vaultId !== undefined || !(error instanceof ReplyError) || error.status !== 400) throw error;
    value = await post({});
  }
  const made = listIn(value, postName).flatMap(
    (entry, index) => readDetails(entry, `${postName}[${index}]`, userId) ?? [],
  );
  const found = made.find((one) => one.name === name) ?? made[0];
  if (found === undefined) throw new RemoteError('protocol', `${postName}: "${name}" is not among what was made`);
  return found;
}

/** Gives it another name. Rejects where it keeps the one it had. */
export async function renameSyncpoint(
  gateway: Gateway,
  before: SyncpointDetails,
  name: string,
  userId: string | undefined,
  call: CallOptions,
): Promise<SyncpointDetails> {
  await put(gateway, before, { Name: name }, call);
  const after = await syncpointById(gateway, before.id, userId, call);
  if (after.name !== before.name) return after;
  throw new RemoteError('protocol', `${putName}: syncpoint ${before.id} is still called "${after.name}"`);
}

/** Gives it to another owner. */
export async function transferSyncpoint(
  gateway: Gateway,
  before: SyncpointDetails,
  email: string,
  call: CallOptions,
): Promise<void> {
  await put(gateway, before, { Owner: { EmailAddress: email } }, call);
}

/** Maps it to a machine or ends that, in either of the documents' forms: a form that is not understood is ignored. */
export async function mapSyncpoint(
  gateway: Gateway,
  before: SyncpointDetails,
  wanted: NewMapping,
  userId: string | undefined,
  call: CallOptions,
): Promise<SyncpointDetails> {
  const { machineId, path, isMapped, downloads, uploads } = wanted;
  const id = bareId(before.id);
  const facts = { Path: path, Mapped: isMapped, DownloadEnabled: downloads, UploadEnabled: uploads };
  const forms: readonly JsonFields[] = [
    { SyncPointId: id, Machine: { Id: machineId }, ...facts },
    { Mapping: { SyncPointId: id, Machine: { ID: machineId }, ...facts } },
  ];
  let refusal: ReplyError | undefined;
  let unproven: SyncpointDetails | undefined;
  for (const form of forms) {
    try {
      await put(gateway, before, { Mappings: [form] }, call);
    } catch (error) {
      if (!(error instanceof ReplyError) || error.status !== 400) throw error;
      refusal ??= error;
      continue;
    }
    const after = await syncpointById(gateway, before.id, userId, call);
    if (after.mappings === undefined) unproven = after;
    else if (isMappedTo(after.mappings, machineId) === isMapped) return after;
  }
  if (unproven !== undefined) return unproven;
  throw refusal ?? new RemoteError('protocol', `${putName}: syncpoint ${before.id} is not mapped as it was asked for`);
}

function isMappedTo(mappings: readonly SyncpointMapping[], machineId: string): boolean {
  return mappings.some((one) => one.machineId === machineId.toLowerCase() && one.isMapped);
}

/** Deletes it: for everybody where the caller owns it, else for the caller alone. */
export async function deleteSyncpoint(gateway: Gateway, id: SyncpointId, call: CallOptions): Promise<void> {
  await gateway.change({ name: deleteName, thing: `syncpoint ${id}`, path: pathOf(id), method: 'DELETE' }, call);
}

async function put(
  gateway: Gateway,
  { id, typeCode }: SyncpointDetails,
  changes: JsonFields,
  call: CallOptions,
): Promise<void> {
  const body = jsonObject({ Type: typeCode, ...changes });
  await gateway.change({ name: putName, thing: `syncpoint ${id}`, path: pathOf(id), method: 'PUT', body }, call);
}

function pathOf(id: SyncpointId): string {
  return `/syncpoint/syncpoint.svc/${id}`;
}

function readDetails(value: unknown, where: string, userId: string | undefined): SyncpointDetails | undefined {
  const known = readSyncpoint(value, where, userId);
  if (known === undefined) return undefined;
  const fields = Fields.of(value, where);
  const owner = fields.object('Owner');
  const typeCode = fields.number('Type') ?? 6;
  const size = Number(fields.text('SyncpointSize') ?? NaN);
  const path = (fields.text('PathToRoot') ?? '').split(/[\\/]/).filter((part) => part !== '');
  const { id, name, permission, rootFolderId, vaultId, parentId } = known;
  return {
    id,
    name,
    type: typeNames[typeCode] ?? 'unknown',
    typeCode,
    permission,
    ownerId: owner?.guid('Id'),
    owner: known.owner === '' ? undefined : known.owner,
    ownerName: owner && fullName(owner),
    isShared: fields.flag('Shared'),
    rootFolderId,
    vaultId,
    parentId,
    parentPath: path.length === 0 ? undefined : path.join('/'),
    sizeBytes: Number.isSafeInteger(size) && size >= 0 ? size : undefined,
    mappings: mappingsIn(fields, where),
  };
}

/** Where nothing but the machine is told it is mapped; beside other facts a missing flag is one that is false, and left out. */
function isBare(mapping: Fields): boolean {
  return mapping.value('DownloadEnabled', 'UploadEnabled', 'MappingType') === undefined;
}

/** Mappings come as an array of them, as an array of `{Mapping}`, or as one object of that kind. */
function mappingsIn(fields: Fields, where: string): SyncpointMapping[] | undefined {
  return fields.array('Mappings')?.map((entry) => {
    const outer = Fields.of(entry, `${where}.Mappings`);
    const mapping = outer.object('Mapping') ?? outer;
    const machine = mapping.object('Machine');
    return {
      machineId: machine?.guid('Id'),
      path: mapping.text('Path') ?? machine?.text('Path'),
      isMapped: mapping.flag('Mapped') ?? fields.flag('Mapped') ?? isBare(mapping),
    };
  });
}
