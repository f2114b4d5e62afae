// Whom the calls of a command act for.
import type { Service } from './content-command.ts';

/** Somebody as the service tells them. */
interface Told {
  /** GUID. */
  readonly id: string | undefined;
  readonly email: string | undefined;
}

/** True for the account's own user, or where calls act for another one, that one. */
export function isCaller({ api: { account, asUser } }: Service, { id, email }: Told): boolean {
  const caller = (asUser === undefined ? [account.userId, account.email] : [asUser]).map((one) => one?.toLowerCase());
  return [id, email?.toLowerCase()].some((one) => one !== undefined && caller.includes(one));
}
