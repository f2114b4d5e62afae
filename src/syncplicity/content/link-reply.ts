// A shared link as replies tell it, in every spelling of the documents. The password that some repeat is never read, and no message shows
// a piece of a reply.
import type { FileId, Timestamp } from '../../remote-drive.ts';
import { Fields, isObject } from '../wire/fields.ts';

/** Who may follow a link, by the service's number. */
export const policyNumbers = { none: 1, internal: 2, all: 3, intended: 4 } as const;
export type LinkPolicy = keyof typeof policyNumbers;
export const LINK_POLICIES = Object.keys(policyNumbers) as readonly LinkPolicy[];

/** A link. What the service does not tell is undefined. */
export interface SharedLink {
  readonly token: string;
  readonly url: string | undefined;
  readonly landingPageUrl: string | undefined;
  readonly syncpointId: string | undefined;
  /** As the service writes it; a folder's ends with its separator. */
  readonly path: string | undefined;
  readonly fileId: FileId | undefined;
  readonly fileName: string | undefined;
  readonly policy: LinkPolicy | undefined;
  readonly outlookPolicy: LinkPolicy | undefined;
  readonly hasPassword: boolean;
  readonly expiresInDays: number | undefined;
  readonly isExpired: boolean;
  readonly shared: Timestamp | undefined;
  readonly uses: number | undefined;
  readonly users: readonly string[];
  readonly groups: readonly string[];
  readonly message: string | undefined;
}

/** Names below a syncpoint's root, of a path that begins and ends with a separator or not. */
export function namesIn(virtualPath: string): readonly string[] {
  return virtualPath.split(/[\\/]/).filter((name) => name !== '');
}

/** Reads a link; rejects with `protocol` what is none. */
export function readLink(value: unknown, where: string): SharedLink {
  const fields = Fields.secret(value, where);
  const textOf = (...names: string[]): string | undefined => fields.text(...names)?.trim() || undefined;
  const policyOf = (...names: string[]): LinkPolicy | undefined => {
    const number = fields.number(...names);
    return LINK_POLICIES.find((one) => policyNumbers[one] === number);
  };
  const fileValue = fields.value('File');
  // The guide's samples have a text in its place.
  const file = isObject(fileValue) ? Fields.secret(fileValue, `${where}.File`) : undefined;
  return {
    token: fields.required(textOf('Token'), 'Token'),
    url: textOf('DownloadUrl'),
    landingPageUrl: textOf('LandingPageUrl'),
    syncpointId: fields.id('SyncPointId'),
    path: textOf('VirtualPath'),
    fileId: file?.id('FileId') as FileId | undefined,
    fileName: file?.text('Filename') || undefined,
    policy: policyOf('ShareLinkPolicy', 'SharedLinkPolicy', 'SharedLinkPlicy'),
    outlookPolicy: policyOf('OutlookShareLinkPolicy', 'OutlookSharePolicy'),
    hasPassword: fields.number('PasswordProtectPolicy') === 2,
    expiresInDays: fields.number('LinkExpireInDays') || undefined,
    isExpired: fields.flag('IsExpired') ?? false,
    shared: fields.time('SharedDateUtc'),
    uses: usesIn(fields.value('LinkUsage')),
    users: partiesIn(fields, 'Users', 'EmailAddress', where),
    groups: partiesIn(fields, 'Groups', 'Id', where),
    message: textOf('Message'),
  };
}

/** How often a link was followed. The guide calls it an object and does not say which. */
function usesIn(value: unknown): number | undefined {
  if (Array.isArray(value)) return value.length;
  const counted = isObject(value)
    ? Object.entries(value).find(([key]) => /count|downloads|usage/i.test(key))?.[1]
    : value;
  const count = typeof counted === 'string' && counted.trim() !== '' ? Number(counted) : counted;
  return typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 ? count : undefined;
}

function partiesIn(fields: Fields, list: string, key: string, where: string): string[] {
  return (fields.array(list) ?? []).flatMap((one, index) => {
    const text = typeof one === 'string' ? one : Fields.secret(one, `${where}.${list}[${index}]`).text(key, 'Name');
    return text === undefined || text === '' ? [] : [text];
  });
}
