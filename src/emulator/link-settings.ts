// What a Links POST or a Link PUT sets of a link, read from its JSON and held to the account's policy.
// Must not know: which link it is for, what replies look like.
import type { LinkDialect } from './dialect-links.ts';
import type { LinkRecord } from './links.ts';
import { Refusal } from './reply.ts';
import type { RequestObject } from './request-json.ts';

/** What a request sets. */
export interface LinkSettings {
  /** As sent. */
  readonly password: string | undefined;
  /** The link with what the request sets. */
  of(record: LinkRecord): LinkRecord;
}

const [DISALLOW_ALL, INTERNAL_ONLY, ALLOW_ALL] = [1, 2, 3];
const POLICY_MAX = 4;
const [DISABLED, ENABLED] = [1, 2];
const [EXPIRES, NEVER_EXPIRES] = [1, 2];

/** Reads the settings; refuses what the documents and the account's policy refuse. */
export function readLinkSettings(
  request: RequestObject,
  accountPolicy: number,
  { linkRequestKeys }: Pick<LinkDialect, 'linkRequestKeys'>,
): LinkSettings {
  const spellings = (working: string, ...others: string[]): string =>
    linkRequestKeys === 'any' ? ([working, ...others].find((key) => request.has(key)) ?? working) : working;
  const policy = choice(request, spellings('ShareLinkPolicy', 'SharedLinkPolicy', 'SharedLinkPlicy'), POLICY_MAX);
  const outlook = choice(request, spellings('OutlookShareLinkPolicy', 'OutlookSharePolicy'), POLICY_MAX);
  for (const wanted of [policy, outlook]) if (isWider(wanted, accountPolicy)) throw policyRefusal();
  const protection = choice(request, 'PasswordProtectPolicy', ENABLED);
  const password = request.text('Password');
  if (protection === ENABLED && (password ?? '') === '') throw new Refusal(400, 'Password policy Prohibits sharing');
  const expiration = choice(request, 'LinkExpirationPolicy', NEVER_EXPIRES);
  const days = request.integer('LinkExpireInDays');
  if (expiration === EXPIRES && (days === undefined || days === 0n)) throw new Refusal(400, 'Bad Request');
  const [users, groups] = [parties(request, 'Users', 'EmailAddress'), parties(request, 'Groups', 'Id')];
  const message = request.text('Message');
  return {
    password,
    of: (record) => ({
      ...record,
      ...(policy > 0 && { policy }),
      ...(outlook > 0 && { outlookPolicy: outlook }),
      ...(protection > 0 && { hasPassword: protection !== DISABLED }),
      ...(expiration > 0 && { expireInDays: expiration === EXPIRES ? Number(days) : 0 }),
      ...(users !== undefined && { users }),
      ...(groups !== undefined && { groups }),
      ...(message !== undefined && { message }),
    }),
  };
}

/** Whether a link would be open to more people than the account's links may be. */
function isWider(policy: number, accountPolicy: number): boolean {
  if (accountPolicy === DISALLOW_ALL) return policy !== DISALLOW_ALL;
  return accountPolicy === INTERNAL_ONLY && policy === ALLOW_ALL;
}

function policyRefusal(): Refusal {
  return new Refusal(406, 'Policy Prohibits Sharing');
}

/** A number of the documents' lists; 0, which stands for unknown, where it is absent. */
function choice(request: RequestObject, key: string, max: number): number {
  const value = request.has(key) ? request.integer(key) : 0n;
  if (value === undefined || value > BigInt(max)) throw new Refusal(400, 'Bad Request');
  return Number(value);
}

function parties(request: RequestObject, key: string, of: string): readonly string[] | undefined {
  return request.objects(key)?.map((one) => {
    const text = one.text(of);
    if (text === undefined || text === '') throw new Refusal(400, 'Bad Request');
    return text;
  });
}
