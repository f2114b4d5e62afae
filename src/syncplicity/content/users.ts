// Users by their addresses, of the administration part of the API: user.svc GET. The service tells administrators alone, and of nobody
// outside their company.
import type { CallOptions } from '../../remote-drive.ts';
import type { Gateway } from '../gateway.ts';
import { Fields } from '../wire/fields.ts';
import { fullName } from './participants.ts';
import type { KnownUser } from './users-pii.ts';

const name = 'user.svc GET';

/** The user of an address. Rejects with `forbidden` for callers who may not ask, and for addresses that nobody has. */
export async function userByAddress(gateway: Gateway, email: string, call: CallOptions): Promise<KnownUser> {
  const path = `/provisioning/user.svc/${encodeURIComponent(email)}?include=all_users`;
  const value = await gateway.json({ name, thing: `the user ${email}`, path }, call);
  const fields = Fields.of(Array.isArray(value) ? (value[0] as unknown) : value, name);
  return {
    id: fields.required(fields.guid('Id'), 'Id'),
    email: fields.text('EmailAddress')?.trim() || email,
    name: fullName(fields),
    rolId: fields.number('OriginalRolId'),
  };
}
