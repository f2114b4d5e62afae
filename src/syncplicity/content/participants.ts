// Participants GET, POST and DELETE: with whom a syncpoint is shared. At most 100 participants go in one call. What a reply to POST does not
// list was not shared, unless it lists nothing at all.
import type { CallOptions, SyncpointId } from '../../remote-drive.ts';
import type { Gateway } from '../gateway.ts';
import { Fields, listIn } from '../wire/fields.ts';
import { jsonArray, type JsonFields } from '../wire/json-body.ts';

const getName = 'syncpoint_participants.svc GET';
const postName = 'syncpoint_participants.svc POST';
const deleteName = 'syncpoint_participants.svc DELETE';

/** The guide's limit. */
export const PARTICIPANTS_PER_CALL = 100;

export type ParticipantPermission = 'read-write' | 'read-only';

/** Somebody who takes part in a syncpoint. What the service does not tell is undefined. */
export interface Participant {
  readonly kind: 'user' | 'group';
  /** GUID. */
  readonly id: string | undefined;
  /** Of a user whose home is another region the service tells none. */
  readonly email: string | undefined;
  /** First and last name, or a group's. */
  readonly name: string | undefined;
  readonly permission: ParticipantPermission | 'none';
  readonly isOwner: boolean;
  /** False: because of a group or an enclosing share, which this syncpoint's list cannot end. */
  readonly isExplicit: boolean;
  readonly inviter: string | undefined;
  /** The region that keeps the user's personal data, where it is another one. */
  readonly rolId: number | undefined;
}

/** Whom calls name: a user by address, a group by GUID. */
export type Sharee =
  { readonly kind: 'user'; readonly email: string } | { readonly kind: 'group'; readonly id: string };

/** Somebody to share with, and how. */
export interface Invitation {
  readonly sharee: Sharee;
  readonly permission: ParticipantPermission;
}

/** How people hear of it. */
export interface InvitationMail {
  /** False: they get no mail. */
  readonly isSent: boolean;
  readonly note: string | undefined;
}

/** Everybody a syncpoint is shared with, its owner too. */
export async function participantsOf(
  gateway: Gateway,
  syncpointId: SyncpointId,
  call: CallOptions,
): Promise<Participant[]> {
  const value = await gateway.json({ name: getName, thing: thingOf(syncpointId), path: pathOf(syncpointId) }, call);
  return listIn(value, getName).flatMap((entry, index) => readParticipant(entry, `${getName}[${index}]`) ?? []);
}

/**
 * Shares with these, at most {@link PARTICIPANTS_PER_CALL}, or changes their permission where they take part. Resolves with those the
 * service did not take although it took the call.
 */
export async function share(
  gateway: Gateway,
  syncpointId: SyncpointId,
  invitations: readonly Invitation[],
  mail: InvitationMail,
  call: CallOptions,
): Promise<Invitation[]> {
  const body = jsonArray(
    invitations.map(({ sharee, permission }) => ({
      ...shareeFields(sharee),
      Permission: permission === 'read-write' ? 1 : 3,
      SharingInviteNote: mail.note,
    })),
  );
  const path = `${pathOf(syncpointId)}${mail.isSent ? '' : '?modifier=no_email'}`;
  const value = await gateway.change({ name: postName, thing: thingOf(syncpointId), path, method: 'POST', body }, call);
  if (!Array.isArray(value)) return [];
  const taken = listIn(value, postName).map((entry, index) => Fields.of(entry, `${postName}[${index}]`));
  if (taken.length === 0 || taken.length >= invitations.length) return [];
  return invitations.filter(({ sharee }) => !taken.some((fields) => isAbout(fields, sharee)));
}

/** Ends the participation of these, at most {@link PARTICIPANTS_PER_CALL}. */
export async function unshare(
  gateway: Gateway,
  syncpointId: SyncpointId,
  sharees: readonly Sharee[],
  call: CallOptions,
): Promise<void> {
  const body = jsonArray(sharees.map(shareeFields));
  await gateway.change(
    { name: deleteName, thing: thingOf(syncpointId), path: pathOf(syncpointId), method: 'DELETE', body },
    call,
  );
}

function thingOf(syncpointId: SyncpointId): string {
  return `the participants of syncpoint ${syncpointId}`;
}

function pathOf(syncpointId: SyncpointId): string {
  return `/syncpoint/syncpoint_participants.svc/${syncpointId}/participants`;
}

function shareeFields(sharee: Sharee): JsonFields {
  return sharee.kind === 'user' ? { User: { EmailAddress: sharee.email } } : { Group: { Id: sharee.id } };
}

/** Whether an entry of a reply is about somebody: users of other regions come with an id and no address. */
function isAbout(fields: Fields, sharee: Sharee): boolean {
  if (sharee.kind === 'group') return fields.object('Group')?.guid('Id') === sharee.id;
  const user = fields.object('User');
  const email = user?.text('EmailAddress')?.trim() ?? '';
  return user !== undefined && (email === '' || email.toLowerCase() === sharee.email.toLowerCase());
}

/** An entry of Participants GET; undefined where it names nobody. */
export function readParticipant(value: unknown, where: string): Participant | undefined {
  const fields = Fields.of(value, where);
  const [user, group] = [fields.object('User'), fields.object('Group')];
  const about = user ?? group;
  if (about === undefined) return undefined;
  const permission = fields.number('Permission') ?? 0;
  const inviter = fields.object('Inviter');
  return {
    kind: user === undefined ? 'group' : 'user',
    id: about.guid('Id'),
    email: user === undefined ? undefined : textOf(user, 'EmailAddress'),
    name: user === undefined ? textOf(about, 'Name') : fullName(user),
    permission: permission === 0 ? 'none' : permission === 1 ? 'read-write' : 'read-only',
    isOwner: fields.flag('IsOwner') ?? false,
    isExplicit: fields.flag('IsExplicit') ?? true,
    inviter: inviter && textOf(inviter, 'EmailAddress'),
    // The guide's prose misspells it.
    rolId: about.number('OriginalRolId', 'OrgininalRolId'),
  };
}

/** A person's first and last name. */
export function fullName(user: Fields): string | undefined {
  const names = [textOf(user, 'FirstName'), textOf(user, 'LastName')].filter((name) => name !== undefined);
  return names.length === 0 ? undefined : names.join(' ');
}

function textOf(fields: Fields, key: string): string | undefined {
  const text = fields.text(key)?.trim();
  return text === '' ? undefined : text;
}
