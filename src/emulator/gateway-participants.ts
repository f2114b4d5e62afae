// The gateway's calls about people: with whom a syncpoint is shared, and the personal data of users, which their home region keeps.
// Source: the guide's Syncpoint Participants GET, POST, DELETE and Users PII. Must not know: sockets, faults.
import { randomBytes } from 'node:crypto';
import type { Call, Route } from './call.ts';
import { positive } from './gateway-lookup.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import { HOME_ROL_ID, type People } from './people.ts';
import { Refusal } from './reply.ts';
import type { Reply, ReplyWriter } from './reply.ts';
import { parseRequest, requestObjects, type RequestObject } from './request-json.ts';
import type { Shapes } from './shapes.ts';
import { PARTICIPANTS_MAX, type Participation, type Sharee, type Sharing } from './sharing.ts';
import type { Permission, Person, SyncpointRecord } from './store.ts';
import type { WireObject } from './wire-json.ts';

export interface ParticipantOptions {
  readonly people: People;
  readonly sharing: Sharing;
  readonly lookup: GatewayLookup;
  readonly replies: ReplyWriter;
  readonly shapes: Shapes;
}

/** Tokens that nobody used: more are a client that forgets them. */
const ONE_TIME_MAX = 1000;
/** Of one call; the guide names none, and the real one is not known to be larger. */
const USERS_MAX = 1000;

/** A participant as Participants GET tells it; of users of other regions their id and the region only. */
export function participantShape(
  { sharee, permission, isOwner, inviter }: Participation,
  people: People,
  shapes: Shapes,
): WireObject {
  const about: WireObject =
    sharee.kind === 'group'
      ? { Group: { Id: sharee.group.id, Name: sharee.group.name } }
      : { User: userShape(sharee.person, people, shapes) };
  return {
    ...about,
    Inviter: inviter && shapes.person(inviter),
    Permission: permission,
    Mapped: isOwner,
    IsOwner: isOwner,
    IsExplicit: true,
    ResharingAllowed: permission === 1,
    ParticipantResharingPolicy: 3,
  };
}

function userShape(person: Person, people: People, shapes: Shapes): WireObject {
  const rolId = people.rolOf(person);
  if (rolId === HOME_ROL_ID) return shapes.person(person);
  return { Id: person.id, EmailAddress: '', FirstName: '', LastName: '', OriginalRolId: rolId };
}

export function participantRoutes(options: ParticipantOptions): readonly Route[] {
  const { people, sharing, lookup, replies, shapes } = options;
  const { dialect } = replies;
  /** One-time tokens for the services of other regions, and for which of them. */
  const oneTime = new Map<string, number>();

  function syncpointOf(call: Call): Promise<SyncpointRecord> {
    const id = positive(call.segments[0], new Refusal(400, 'Invalid SyncPoint ID'));
    return lookup.syncpoint(id, lookup.missingSyncpoint(404, 'SyncPoint Does Not Exist'));
  }

  async function list(call: Call): Promise<Reply> {
    const syncpoint = await syncpointOf(call);
    return replies.json(sharing.participants(syncpoint).map((one) => participantShape(one, people, shapes)));
  }

  async function share(call: Call): Promise<Reply> {
    const syncpoint = await syncpointOf(call);
    if (syncpoint.permission !== 1) throw new Refusal(403, 'User Not Authorized For Action');
    const objects = requestObjects(await call.body(), dialect, 100);
    // Looked at before anything is done: a refused call shares nothing.
    const wanted = objects.map((object) => {
      const permission = permissionOf(object);
      const address = object.object('User')?.text('EmailAddress');
      if (address !== undefined && people.isForbidden(address)) throw new Refusal(403, 'Policy Prohibits Sharing');
      return { object, permission, sharee: shareeOf(object, (one) => people.invited(one)) };
    });
    const done: WireObject[] = [];
    for (const { object, permission, sharee } of wanted) {
      if (sharee === undefined) continue;
      if (isOwner(syncpoint, sharee)) throw new Refusal(403, 'User Not Authorized For Action');
      if (!sharing.share(syncpoint, sharee, permission)) throw new Refusal(403, `Max Limit Is ${PARTICIPANTS_MAX}`);
      done.push(echoed(object, sharee, permission));
    }
    if (dialect.participantsReply === 'empty') return { status: 200, headers: {}, body: '' };
    if (dialect.participantsReply === 'echo') return replies.json(done);
    const told = sharing.participants(syncpoint).filter(({ sharee }) => wanted.some((one) => one.sharee === sharee));
    return replies.json(told.map((one) => participantShape(one, people, shapes)));
  }

  async function unshare(call: Call): Promise<Reply> {
    const syncpoint = await syncpointOf(call);
    const sharees = requestObjects(await call.body(), dialect, 100).map((object) =>
      shareeOf(object, (address) => people.byAddress(address)),
    );
    for (const sharee of sharees) {
      if (sharee === undefined) continue;
      const isSelf = sharee.kind === 'user' && sharee.person.id === people.self.id;
      const mayRemove = isSelf || syncpoint.permission === 1;
      if (!mayRemove || isOwner(syncpoint, sharee)) throw new Refusal(403, 'User Not Authorized For Action');
    }
    for (const sharee of sharees) if (sharee !== undefined) sharing.unshare(syncpoint, sharee);
    return { status: 200, headers: {}, body: '' };
  }

  function isOwner(syncpoint: SyncpointRecord, sharee: Sharee): boolean {
    return sharee.kind === 'user' && sharee.person.id === sharing.owner(syncpoint).id;
  }

  /** Whom an entry means; one with both a user and a group is passed over, as are people `find` does not know. */
  function shareeOf(object: RequestObject, find: (address: string) => Person | undefined): Sharee | undefined {
    const [user, group] = [object.object('User'), object.object('Group')];
    if (user === undefined && group === undefined) throw new Refusal(400, 'Bad Request');
    if (user !== undefined && group !== undefined) return undefined;
    if (group !== undefined) {
      const found = people.group(group.text('Id') ?? '');
      if (found === undefined) throw new Refusal(404, 'Group Not Found');
      return { kind: 'group', group: found };
    }
    const address = user?.text('EmailAddress') ?? '';
    if (!/^[^@\s]+@[^@\s]+$/.test(address) || address.length > 254) throw new Refusal(400, 'Invalid Email Format');
    const person = find(address);
    return person && { kind: 'user', person };
  }

  function echoed(object: RequestObject, sharee: Sharee, permission: Permission): WireObject {
    const about: WireObject =
      sharee.kind === 'group'
        ? { Group: { Id: sharee.group.id } }
        : { User: { EmailAddress: object.object('User')?.text('EmailAddress') } };
    return { ...about, Permission: String(permission), SharingInviteNote: object.text('SharingInviteNote') };
  }

  // --- personal data

  async function usersPii(call: Call): Promise<Reply> {
    const groups: WireObject[] = [];
    const known = await usersOf(call);
    for (const rolId of new Set(known.map((person) => people.rolOf(person)))) {
      const users = known.filter((person) => people.rolOf(person) === rolId);
      const isHome = rolId === HOME_ROL_ID;
      groups.push({
        Users: users.map((person) => (isHome ? shapes.person(person) : { Id: person.id })),
        HomeRolId: rolId,
        Bearer: isHome ? '' : issue(rolId),
      });
    }
    return replies.json({ RolUserPIIs: groups });
  }

  function issue(rolId: number): string {
    const token = randomBytes(64).toString('base64url');
    oneTime.set(token, rolId);
    for (const oldest of oneTime.keys()) {
      if (oneTime.size <= ONE_TIME_MAX) break;
      oneTime.delete(oldest);
    }
    return token;
  }

  /** The same call at the region of its users: for the bearer of a one-time token. */
  async function usersPiiAbroad(call: Call): Promise<Reply> {
    const token = /^Bearer (\S+)$/.exec(call.headers.authorization ?? '')?.[1] ?? '';
    const rolId = Number(call.segments[0]);
    if (oneTime.get(token) !== rolId) throw new Refusal(401, 'Not Authorized');
    oneTime.delete(token);
    const users = (await usersOf(call)).filter((person) => people.rolOf(person) === rolId);
    const told = users.map((person) => shapes.person(person));
    return replies.json({ RolUserPIIs: [{ Users: told, HomeRolId: rolId, Bearer: '' }] });
  }

  /** Those the account may see of the users asked for; unknown ids are passed over. */
  async function usersOf(call: Call): Promise<readonly Person[]> {
    const ids = parseRequest(await call.body());
    if (!Array.isArray(ids) || ids.length === 0 || ids.length > USERS_MAX) throw new Refusal(400, 'Bad Request');
    return ids.flatMap((id) => (typeof id === 'string' ? (people.byId(id) ?? []) : []));
  }

  const participants = /^\/syncpoint\/syncpoint_participants\.svc\/([^/]*)\/participants\/?$/;
  const pii = dialect.usersPii === 'post' ? 'POST' : 'GET';
  const route = (endpoint: string, method: string, path: RegExp, handle: (call: Call) => Promise<Reply>): Route => ({
    endpoint,
    method,
    path,
    handle: lookup.guarded(handle),
  });
  return [
    route('participants', 'GET', participants, list),
    route('participantsPost', 'POST', participants, share),
    route('participantsDelete', 'DELETE', participants, unshare),
    route('usersPii', pii, /^\/rol\/users_pii\.svc\/?$/, usersPii),
    { endpoint: 'usersPiiAbroad', method: pii, path: ABROAD_PII, handle: usersPiiAbroad },
  ];
}

/** Below the rolPath of a region. */
const ABROAD_PII = /^\/rol-([0-9]+)\/rol\/users_pii\.svc\/?$/;

function permissionOf(object: RequestObject): Permission {
  const permission = Number(object.integer('Permission') ?? -1n);
  if (permission !== 0 && permission !== 1 && permission !== 3) throw new Refusal(400, 'Bad Request');
  return permission;
}
