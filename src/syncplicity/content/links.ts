// Shared links: Links POST and GET, Link GET, PUT and DELETE. Names go out in the spelling that works and come back in any. A link's
// password goes out and is never read: replies repeat it, so neither they nor what the service says of it reach a message.
import { foldName } from '../../base/fold-name.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { CallOptions, FileId, SyncpointId } from '../../remote-drive.ts';
import type { Gateway } from '../gateway.ts';
import { listIn } from '../wire/fields.ts';
import { bareId, jsonObject } from '../wire/json-body.ts';
import { withoutPassword } from './link-password.ts';
import { namesIn, policyNumbers, readLink } from './link-reply.ts';
import type { LinkPolicy, SharedLink } from './link-reply.ts';

export { LINK_POLICIES, namesIn } from './link-reply.ts';
export type { LinkPolicy, SharedLink } from './link-reply.ts';

/** A signed-in connection, as far as these calls need it. */
interface Calling {
  readonly gateway: Gateway;
}

/** The guide's limit of links in one Links POST. */
export const LINKS_PER_CALL = 100;

/** What can be set of a link, when it is made and later. What is undefined stays as the service has it. */
export interface LinkSettings {
  readonly policy?: LinkPolicy | undefined;
  /** Whom Outlook's add-in shares it with. */
  readonly outlookPolicy?: LinkPolicy | undefined;
  /** Empty: no password any more. */
  readonly password?: string | undefined;
  /** 0: never. */
  readonly expiresInDays?: number | undefined;
  readonly message?: string | undefined;
  /** E-mail addresses. */
  readonly users?: readonly string[] | undefined;
  /** GUIDs. */
  readonly groups?: readonly string[] | undefined;
}

export interface NewLinkSettings extends LinkSettings {
  readonly policy: LinkPolicy;
}

/** What a link is to be made for. */
export interface LinkedObject {
  readonly syncpointId: SyncpointId;
  readonly kind: 'file' | 'folder' | 'syncpoint';
  /** From below the syncpoint's root down. */
  readonly names: readonly string[];
  readonly fileId?: FileId;
}

/** What came of one call. */
export interface CreatedLinks<T extends LinkedObject> {
  /** In the order of the objects. No object: nothing tells for which of them it is. */
  readonly made: readonly { readonly link: SharedLink; readonly object: T | undefined }[];
  /** Those that got none. */
  readonly without: readonly T[];
}

interface ChangeOptions extends CallOptions {
  /** Has the service mail the link to its users. */
  readonly sendsMail?: boolean | undefined;
}

/** The calls about links, of one account. */
export interface LinkCalls {
  create<T extends LinkedObject>(
    objects: readonly T[],
    settings: NewLinkSettings,
    options: ChangeOptions,
  ): AsyncGenerator<CreatedLinks<T>>;
  list(query: LinkQuery, call: CallOptions): Promise<SharedLink[]>;
  update(token: string, settings: LinkSettings, options: ChangeOptions): Promise<void>;
  delete(token: string, call: CallOptions): Promise<void>;
}

/** The calls, made through a gateway. */
export function linkCalls(gateway: Gateway): LinkCalls {
  const api = { gateway };
  return {
    create: (objects, settings, options) => createLinks(api, objects, settings, options),
    list: (query, call) => listLinks(api, query, call),
    update: (token, settings, options) => updateLink(api, token, settings, options),
    delete: (token, call) => deleteLink(api, token, call),
  };
}

/** Makes a link for each object, in as many calls as are needed; yields what came of each call. */
export async function* createLinks<T extends LinkedObject>(
  { gateway }: Calling,
  objects: readonly T[],
  settings: NewLinkSettings,
  { sendsMail, ...call }: ChangeOptions,
): AsyncGenerator<CreatedLinks<T>> {
  const name = 'links.svc POST';
  for (let first = 0; first < objects.length; first += LINKS_PER_CALL) {
    const some = objects.slice(first, first + LINKS_PER_CALL);
    const body = some.map(({ syncpointId, kind, names }) =>
      jsonObject({
        SyncPointId: bareId(syncpointId),
        VirtualPath: virtualPath(names, kind !== 'file'),
        ...fieldsOf(settings),
      }),
    );
    const path = `/syncpoint/links.svc/${mailing(sendsMail)}`;
    const thing = some.length === 1 ? `a link to ${some[0]?.names.at(-1) ?? 'a syncpoint'}` : `${some.length} links`;
    const value = await withoutPassword(settings.password, () =>
      gateway.change({ name, thing, path, method: 'POST', body: `[${body.join(',')}]` }, call),
    );
    const links = listIn(value, name).map((entry, index) => readLink(entry, `${name}[${index}]`));
    yield paired(some, links);
  }
}

/** Which links are wanted. */
export interface LinkQuery {
  /** Those of one object; default: all of the user, at most the 10,000 that one may have. */
  readonly of?: LinkedObject | undefined;
  /** Those too that have expired. */
  readonly expired?: boolean | undefined;
}

/** A file that nobody has: the largest id there is. */
const NO_FILE_ID = '9223372036854775807' as FileId;

/** Links of the user. One call; for one object a second one where replies do not tell what links are for. */
export async function listLinks(api: Calling, query: LinkQuery, call: CallOptions): Promise<SharedLink[]> {
  const { of, expired } = query;
  const links = (await fetchLinks(api, query, call)).filter((link) => expired === true || !link.isExpired);
  if (of === undefined) return links;
  const own = links.filter((link) => isLinkOf(link, of) === true);
  const unclear = links.filter((link) => isLinkOf(link, of) === undefined);
  if (unclear.length === 0 || unclear.length + own.length < links.length || of.fileId === undefined) return own;
  // All may be the file's, or all of the user's: a service that was asked for one file tells none of a file that nobody has.
  const ofNobody = await fetchLinks(api, { ...query, of: { ...of, fileId: NO_FILE_ID } }, call).catch(
    (error: unknown) => {
      if (error instanceof RemoteError && ['not-found', 'invalid', 'protocol'].includes(error.kind)) return [];
      throw error;
    },
  );
  return ofNobody.length === 0 ? links : own;
}

async function fetchLinks({ gateway }: Calling, { of, expired }: LinkQuery, call: CallOptions): Promise<SharedLink[]> {
  const name = 'links.svc GET';
  const parameters = new URLSearchParams();
  if (of?.fileId !== undefined) {
    // The guide's name and the specification's: whatever of it the service does not know, it leaves aside.
    parameters.set('file_id', of.fileId);
    parameters.set('fileId', of.fileId);
    parameters.set('syncpointId', of.syncpointId);
  }
  if (expired === true) parameters.set('include', 'expired');
  const path = `/syncpoint/links.svc/${parameters.size > 0 ? `?${parameters.toString()}` : ''}`;
  const value = await gateway.json({ name, thing: 'the links', path, secret: true }, call);
  return listIn(value, name).map((entry, index) => readLink(entry, `${name}[${index}]`));
}

/** One link, by its token. */
export async function showLink({ gateway }: Calling, token: string, call: CallOptions): Promise<SharedLink> {
  const name = 'link.svc GET';
  const value = await gateway.json({ name, thing: thingOf(token), path: pathOf(token), secret: true }, call);
  const [entry] = listIn(value, name);
  if (entry === undefined) throw new RemoteError('not-found', `${name}: ${thingOf(token)}: there is no such link`);
  return readLink(entry, name);
}

/** Changes what is given of a link. */
export async function updateLink(
  { gateway }: Calling,
  token: string,
  settings: LinkSettings,
  { sendsMail, ...call }: ChangeOptions,
): Promise<void> {
  const body = jsonObject(fieldsOf(settings));
  const path = `${pathOf(token)}${mailing(sendsMail)}`;
  const request = { name: 'link.svc PUT', thing: thingOf(token), path, method: 'PUT', body } as const;
  await withoutPassword(settings.password, () => gateway.change(request, call));
}

/** Revokes a link. */
export async function deleteLink({ gateway }: Calling, token: string, call: CallOptions): Promise<void> {
  await gateway.change({ name: 'link.svc DELETE', thing: thingOf(token), path: pathOf(token), method: 'DELETE' }, call);
}

/** Whether a link leads to an object, by whatever the service tells of it; undefined where that is not enough. */
export function isLinkOf(link: SharedLink, { syncpointId, kind, names, fileId }: LinkedObject): boolean | undefined {
  if (link.syncpointId !== undefined && link.syncpointId !== syncpointId) return false;
  if (link.fileId !== undefined && fileId !== undefined) return link.fileId === fileId;
  if (link.path !== undefined) {
    const isFolder = /[\\/]$/.test(link.path);
    return isFolder === (kind !== 'file') && sameNames(namesIn(link.path), names);
  }
  if (link.fileName === undefined) return undefined;
  return isNamed(link, names) && kind === 'file' ? undefined : false;
}

function isNamed({ fileName }: SharedLink, names: readonly string[]): boolean {
  return fileName !== undefined && foldName(fileName) === foldName(names.at(-1) ?? '');
}

function sameNames(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((name, index) => foldName(name) === foldName(others[index] ?? ''));
}

/** Which link is whose: the service tells of fewer where some were not made. */
function paired<T extends LinkedObject>(objects: readonly T[], links: readonly SharedLink[]): CreatedLinks<T> {
  const left = [...links];
  const own = new Map<T, SharedLink | undefined>();
  for (const object of objects) {
    const found = left.findIndex((link) => isLinkOf(link, object) ?? isNamed(link, object.names));
    own.set(object, found < 0 ? undefined : left.splice(found, 1)[0]);
  }
  const without = objects.filter((object) => own.get(object) === undefined);
  // Those that tell nothing of their object are in the order in which they were asked for, unless one is missing.
  const isWhole = left.length === without.length;
  if (isWhole) for (const object of without) own.set(object, left.shift());
  const made = objects.flatMap((object) => {
    const link = own.get(object);
    return link === undefined ? [] : [{ link, object }];
  });
  return { made: [...made, ...left.map((link) => ({ link, object: undefined }))], without: isWhole ? [] : without };
}

function pathOf(token: string): string {
  return `/syncpoint/link.svc/${encodeURIComponent(token)}`;
}

function thingOf(token: string): string {
  return `link ${token}`;
}

function mailing(sendsMail: boolean | undefined): string {
  return sendsMail === true ? '?modifier=send_email' : '';
}

function virtualPath(names: readonly string[], isFolder: boolean): string {
  return `\\${names.map((name, index) => (isFolder || index < names.length - 1 ? `${name}\\` : name)).join('')}`;
}

function fieldsOf(settings: LinkSettings): Parameters<typeof jsonObject>[0] {
  const { policy, outlookPolicy, password, expiresInDays, message, users, groups } = settings;
  return {
    ...(policy !== undefined && { ShareLinkPolicy: policyNumbers[policy] }),
    ...(password !== undefined && { PasswordProtectPolicy: password === '' ? 1 : 2 }),
    ...(password !== undefined && password !== '' && { Password: password }),
    ...(users !== undefined && { Users: users.map((one) => ({ EmailAddress: one })) }),
    ...(groups !== undefined && { Groups: groups.map((one) => ({ Id: one })) }),
    ...(message !== undefined && { Message: message }),
    ...(outlookPolicy !== undefined && { OutlookShareLinkPolicy: policyNumbers[outlookPolicy] }),
    ...(expiresInDays !== undefined && { LinkExpirationPolicy: expiresInDays === 0 ? 2 : 1 }),
    ...(expiresInDays !== undefined && expiresInDays > 0 && { LinkExpireInDays: expiresInDays }),
  };
}
