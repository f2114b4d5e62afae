// Users PII: names and addresses of users by their GUIDs. Each user's home region keeps them: for those of another one, ours gives a token
// that is good for one call there. That token is a secret, and goes to that region alone.
import type { CallOptions } from '../../remote-drive.ts';
import { RemoteError } from '../../remote-drive.ts';
import { ReplyError } from '../errors.ts';
import type { Gateway, GatewayCall } from '../gateway.ts';
import type { Regions } from '../regions.ts';
import { Fields, listIn } from '../wire/fields.ts';
import { fullName } from './participants.ts';

/** The guide's heading says GET, although a body goes with it; the vendor's sample sends POST. */
const postName = 'users_pii.svc POST';
const getName = 'users_pii.svc GET';
/** The limits chapter names none; that of all calls about people is as good. */
const USERS_PER_CALL = 100;

/** A user whose personal data was told. */
export interface KnownUser {
  /** GUID, lower case. */
  readonly id: string;
  readonly email: string;
  readonly name: string | undefined;
  readonly rolId: number | undefined;
}

export interface FoundUsers {
  readonly users: readonly KnownUser[];
  /** Why others were not told: of a region that does not answer, or refuses. */
  readonly failures: readonly RemoteError[];
}

/** Users by their GUIDs. Unknown ones are left out, as the service does. Rejects where our own region refuses. */
export async function usersById(
  gateway: Gateway,
  regions: Regions,
  ids: readonly string[],
  call: CallOptions,
): Promise<FoundUsers> {
  const users: KnownUser[] = [];
  const failures: RemoteError[] = [];
  for (let at = 0; at < ids.length; at += USERS_PER_CALL) {
    const { value, form } = await ask(gateway, ids.slice(at, at + USERS_PER_CALL), call);
    for (const group of groupsIn(value, form.name)) {
      users.push(...group.users);
      if (group.unnamed.length === 0) continue;
      try {
        if (group.rolId === undefined || group.bearer === undefined) {
          throw new RemoteError('protocol', `${form.name}: no region is named for ${group.unnamed.join(', ')}`);
        }
        const request = { ...form, body: JSON.stringify(group.unnamed) };
        const told = groupsIn(await regions.ask(group.rolId, request, group.bearer, call), form.name);
        users.push(...told.flatMap((one) => one.users));
      } catch (error) {
        if (!(error instanceof RemoteError) || call.signal?.aborted === true) throw error;
        failures.push(error);
      }
    }
  }
  return { users, failures };
}

type Form = Pick<GatewayCall, 'name' | 'thing' | 'path'> & { readonly method: 'GET' | 'POST' };

/** Asks our own region, in the form that it takes. */
async function ask(
  gateway: Gateway,
  ids: readonly string[],
  call: CallOptions,
): Promise<{ readonly value: unknown; readonly form: Form }> {
  const thing = 'users of other regions';
  const body = JSON.stringify(ids);
  const post: Form = { name: postName, thing, path: '/rol/users_pii.svc/', method: 'POST' };
  try {
    return { value: await gateway.json({ ...post, body }, call), form: post };
  } catch (error) {
    if (!(error instanceof ReplyError) || ![404, 405, 501].includes(error.status)) throw error;
    const get: Form = { name: getName, thing, path: '/rol/users_pii.svc', method: 'GET' };
    return { value: await gateway.json({ ...get, body }, call), form: get };
  }
}

interface PiiGroup {
  readonly users: readonly KnownUser[];
  /** Ids of those whose data another region keeps. */
  readonly unnamed: readonly string[];
  readonly rolId: number | undefined;
  readonly bearer: string | undefined;
}

function groupsIn(value: unknown, where: string): PiiGroup[] {
  const groups = Array.isArray(value) ? value : (Fields.of(value, where).array('RolUserPIIs') ?? []);
  return listIn(groups, where).map((entry) => {
    const fields = Fields.of(entry, `${where}.RolUserPIIs`);
    const rolId = fields.number('HomeRolId');
    const users: KnownUser[] = [];
    const unnamed: string[] = [];
    for (const one of fields.array('Users') ?? []) {
      const user = Fields.of(one, `${where}.Users`);
      const id = user.guid('Id');
      const email = user.text('EmailAddress')?.trim() ?? '';
      if (id === undefined) continue;
      if (email === '') unnamed.push(id);
      else users.push({ id, email, name: fullName(user), rolId });
    }
    const bearer = fields.text('Bearer')?.trim();
    return { users, unnamed, rolId, bearer: bearer === '' ? undefined : bearer };
  });
}
