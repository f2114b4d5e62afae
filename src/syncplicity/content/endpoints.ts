// Storage Endpoints GET and Storage Endpoint GET as commands show them: all that the service tells of a vault but the access keys, which
// are nobody's to see.
import { RemoteError } from '../../remote-drive.ts';
import type { CallOptions } from '../../remote-drive.ts';
import { isGuid } from '../acting.ts';
import type { Gateway } from '../gateway.ts';
import { readVault } from '../wire/entities.ts';
import type { VaultFields } from '../wire/entities.ts';
import { Fields, listIn } from '../wire/fields.ts';

const listCall = 'storageendpoints.svc GET';
const oneCall = 'storageendpoint.svc GET';

/** A storage endpoint in full. What the service does not tell is undefined. */
export interface StorageEndpoint extends VaultFields {
  readonly description: string | undefined;
  readonly companyId: string | undefined;
  readonly companyName: string | undefined;
  readonly isActive: boolean | undefined;
  readonly userHasPassword: boolean | undefined;
  readonly protocolVersion: number | undefined;
}

/**
 * The storage endpoints of the account, or, for administrators, of the user with this GUID. The service may leave out those where the user
 * has no mapped syncpoint. One that knows only the guide's call tells the default one.
 */
export async function storageEndpoints(
  gateway: Gateway,
  user: string | undefined,
  call: CallOptions,
): Promise<readonly StorageEndpoint[]> {
  const path = `/storage/storageendpoints.svc/${userQuery(user)}`;
  const question = { name: listCall, thing: 'storage endpoints', path, secret: true };
  try {
    const value = await gateway.json(question, call);
    return listIn(value, listCall).map((entry, index) => readEndpoint(entry, `${listCall}[${index}]`));
  } catch (error) {
    if (!(error instanceof RemoteError) || !isUnserved(error)) throw error;
    return [await defaultEndpoint(gateway, user, call)];
  }
}

/** The endpoint where new syncpoints of the account, or of the user with this GUID, are made. */
export async function defaultEndpoint(
  gateway: Gateway,
  user: string | undefined,
  call: CallOptions,
): Promise<StorageEndpoint> {
  const path = `/storage/storageendpoint.svc/${userQuery(user)}`;
  return askOne(gateway, 'the default storage endpoint', path, call);
}

/**
 * The endpoints that an id or name means: one, several of a name, or none. The call by id is, at some servers, for administrators only:
 * then the list must have it.
 */
export async function findEndpoints(
  gateway: Gateway,
  idOrName: string,
  call: CallOptions,
): Promise<readonly StorageEndpoint[]> {
  const wanted = idOrName.toLowerCase();
  if (isGuid(idOrName)) {
    try {
      const found = await askOne(gateway, `storage endpoint ${wanted}`, `/storage/storageendpoint.svc/${wanted}`, call);
      if (found.id === wanted) return [found];
    } catch (error) {
      if (!(error instanceof RemoteError) || !isUnserved(error)) throw error;
    }
  }
  const listed = await storageEndpoints(gateway, undefined, call);
  const byId = listed.filter(({ id }) => id === wanted);
  return byId.length > 0 ? byId : listed.filter(({ name }) => name.toLowerCase() === wanted);
}

async function askOne(gateway: Gateway, thing: string, path: string, call: CallOptions): Promise<StorageEndpoint> {
  const value = await gateway.json({ name: oneCall, thing, path, secret: true }, call);
  const found = listIn(value, oneCall).map((entry, index) => readEndpoint(entry, `${oneCall}[${index}]`));
  const endpoint = found.find(({ isDefault }) => isDefault) ?? found[0];
  if (endpoint !== undefined) return endpoint;
  throw new RemoteError('not-found', `${oneCall}: ${thing}: the user has none`);
}

function readEndpoint(value: unknown, where: string): StorageEndpoint {
  const fields = Fields.of(value, where);
  const company = fields.object('Company');
  return {
    ...readVault(value, where),
    description: fields.text('Description') || undefined,
    companyId: fields.guid('CompanyId') ?? company?.guid('Id'),
    companyName: company?.text('Name') || undefined,
    isActive: fields.flag('Active'),
    userHasPassword: fields.flag('UserHasStoragePassword'),
    protocolVersion: fields.number('ProtocolVersion'),
  };
}

function userQuery(user: string | undefined): string {
  return user === undefined ? '' : `?user=${encodeURIComponent(user)}`;
}

/** Not served, or not for this user: another of the calls may be. */
function isUnserved({ kind }: RemoteError): boolean {
  return kind === 'not-found' || kind === 'forbidden' || kind === 'protocol';
}
