// Shared links: Links POST and GET, Link GET, PUT and DELETE. Names go out in the spelling that works and come back in any. A link's
// password goes out and is never read: replies repeat it, so neither they nor what the service says of it reach a message unredacted.
import { RemoteError } from '../../remote-drive.ts';
import type { CallOptions, SyncpointId, Timestamp } from '../../remote-drive.ts';
import type { ContentApi } from '../content-api.ts';
import { Fields, listIn } from '../wire/fields.ts';
import { bareId, jsonObject } from '../wire/json-body.ts';

/** The guide's limit of links in one Links POST. */
export const LINKS_PER_CALL = 100;

/** Who may follow a link, by the service's number. */
const policies = { none: 1, internal: 2, all: 3, intended: 4 } as const;
export type LinkPolicy = keyof typeof policies;
export const LINK_POLICIES = Object.keys(policies) as readonly LinkPolicy[];

/** What can be set of a link, when it is made and later. What is undefined stays as the service has it. */
export interface LinkSettings {
  readonly policy?: LinkPolicy | undefined;
  /** Empty: no password any more. */
  readonly password?: string | undefined;
  /** 0: never. */
  readonly expiresInDays?: number | undefined;
  readonly message?: string | undefined;
  readonly users?: readonly string[] | undefined;
  /** GUIDs. */
  readonly groups?: readonly string[] | undefined;
}

/** What a link is to be made for. */
export interface LinkedObject {
  readonly syncpointId: SyncpointId;
  readonly kind: 'file' | 'folder' | 'syncpoint';
  /** From below the syncpoint's root down. */
  readonly names: readonly string[];
}

/** A link. What the service does not tell is undefined. */
export interface SharedLink {
  readonly token: string;
  readonly url: string | undefined;
  readonly landingPageUrl: string | undefined;
  readonly syncpointId: string | undefined;
  readonly path: string | undefined;
  readonly policy: LinkPolicy | undefined;
  readonly hasPassword: boolean;
  readonly expiresInDays: number | undefined;
  readonly isExpired: boolean;
  readonly shared: Timestamp | undefined;
  readonly uses: number | undefined;
  readonly users: readonly string[];
  readonly groups: readonly string[];
  readonly message: string | undefined;
}

/** Makes a link for each object, in as many calls as are needed. Resolves with those the service tells of: fewer, where some were not made. */
export async function createLinks(
  { gateway }: ContentApi,
  objects: readonly LinkedObject[],
  settings: LinkSettings & { readonly policy: LinkPolicy },
  { sendsMail, ...call }: CallOptions & { readonly sendsMail?: boolean },
): Promise<SharedLink[]> {
  const name = 'links.svc POST';
  const made: SharedLink[] = [];
  for (let first = 0; first < objects.length; first += LINKS_PER_CALL) {
    const some = objects.slice(first, first + LINKS_PER_CALL);
    const body = some.map(({ syncpointId, kind, names }) =>
      jsonObject({
        SyncPointId: bareId(syncpointId),
        VirtualPath: virtualPath(names, kind !== 'file'),
        ...settingsOf(settings),
      }),
    );
    const path = `/syncpoint/links.svc/${sendsMail === true ? '?modifier=send_email' : ''}`;
    const thing = some.length === 1 ? `a link to ${some[0]?.names.at(-1) ?? 'a syncpoint'}` : `${some.length} links`;
    const value = await unspoken(settings.password, () =>
      gateway.change({ name, thing, path, method: 'POST', body: `[${body.join(',')}]` }, call),
    );
    made.push(...listIn(value, name).map((entry, index) => readLink(entry, `${name}[${index}]`)));
  }
  return made;
}

/** All links of the user, at most the 10,000 that one may have. */
export async function listLinks({ gateway }: ContentApi, call: CallOptions): Promise<SharedLink[]> {
  const name = 'links.svc GET';
  const value = await gateway.json({ name, thing: 'the links', path: '/syncpoint/links.svc/', secret: true }, call);
  return listIn(value, name).map((entry, index) => readLink(entry, `${name}[${index}]`));
}

/** One link, by its token. */
export async function showLink({ gateway }: ContentApi, token: string, call: CallOptions): Promise<SharedLink> {
  const name = 'link.svc GET';
  const value = await gateway.json({ name, thing: 'the link', path: pathOf(token), secret: true }, call);
  const [entry] = listIn(value, name);
  if (entry === undefined) throw new RemoteError('not-found', `${name}: the link: Token Not found`);
  return readLink(entry, name);
}

/** Changes what is given of a link. */
export async function updateLink(
  { gateway }: ContentApi,
  token: string,
  settings: LinkSettings,
  call: CallOptions,
): Promise<void> {
  const body = jsonObject(settingsOf(settings));
  const request = { name: 'link.svc PUT', thing: 'the link', path: pathOf(token), method: 'PUT', body } as const;
  await unspoken(settings.password, () => gateway.change(request, call));
}

/** Revokes a link. */
export async function deleteLink({ gateway }: ContentApi, token: string, call: CallOptions): Promise<void> {
  await gateway.change({ name: 'link.svc DELETE', thing: 'the link', path: pathOf(token), method: 'DELETE' }, call);
}

function pathOf(token: string): string {
  return `/syncpoint/link.svc/${encodeURIComponent(token)}`;
}

function virtualPath(names: readonly string[], isFolder: boolean): string {
  return `\\${names.map((name, index) => (isFolder || index < names.length - 1 ? `${name}\\` : name)).join('')}`;
}

function settingsOf(settings: LinkSettings): Parameters<typeof jsonObject>[0] {
  const { policy, password, expiresInDays, message, users, groups } = settings;
  return {
    ...(policy !== undefined && { ShareLinkPolicy: policies[policy] }),
    ...(password !== undefined && { PasswordProtectPolicy: password === '' ? 1 : 2 }),
    ...(password !== undefined && password !== '' && { Password: password }),
    ...(expiresInDays !== undefined && { LinkExpirationPolicy: expiresInDays === 0 ? 2 : 1 }),
    ...(expiresInDays !== undefined && expiresInDays > 0 && { LinkExpireInDays: expiresInDays }),
    ...(message !== undefined && { Message: message }),
    ...(users !== undefined && { Users: users.map((one) => ({ EmailAddress: one })) }),
    ...(groups !== undefined && { Groups: groups.map((one) => ({ Id: one })) }),
  };
}

/** Runs a call that sends a password; a refusal that repeats it loses it. */
async function unspoken<T>(password: string | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (password === undefined || password === '') throw error;
    if (!(error instanceof RemoteError) || !error.message.includes(password)) throw error;
    throw new RemoteError(error.kind, error.message.replaceAll(password, '[secret]'));
  }
}

function readLink(value: unknown, where: string): SharedLink {
  const fields = Fields.of(value, where);
  const policy = fields.number('ShareLinkPolicy', 'SharedLinkPolicy', 'SharedLinkPlicy');
  const textOf = (...names: string[]): string | undefined => fields.text(...names)?.trim() || undefined;
  return {
    token: fields.required(textOf('Token'), 'Token'),
    url: textOf('DownloadUrl'),
    landingPageUrl: textOf('LandingPageUrl'),
    syncpointId: fields.id('SyncPointId'),
    path: textOf('VirtualPath'),
    policy: LINK_POLICIES.find((one) => policies[one] === policy),
    hasPassword: fields.number('PasswordProtectPolicy') === 2,
    expiresInDays: fields.number('LinkExpireInDays') || undefined,
    isExpired: fields.flag('IsExpired') ?? false,
    shared: fields.time('SharedDateUtc'),
    uses: fields.number('LinkUsage'),
    users: partiesIn(fields, 'Users', 'EmailAddress', where),
    groups: partiesIn(fields, 'Groups', 'Id', where),
    message: textOf('Message'),
  };
}

function partiesIn(fields: Fields, list: string, key: string, where: string): string[] {
  return (fields.array(list) ?? []).flatMap((one, index) => {
    const text = Fields.of(one, `${where}.${list}[${index}]`).text(key, 'Name');
    return text === undefined || text === '' ? [] : [text];
  });
}
