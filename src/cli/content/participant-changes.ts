// What has to change in a list of participants for a wish to come true, and doing it in as few calls as the service allows. Owners and the
// caller are never removed unless named; who has what is wished is left alone, so that nobody gets a mail for nothing.
import { RemoteError, type SyncpointId } from '../../remote-drive.ts';
import {
  type Invitation,
  type InvitationMail,
  type Participant,
  PARTICIPANTS_PER_CALL,
  type ParticipantPermission,
  type Sharee,
} from '../../syncplicity/content/participants.ts';
import { printable } from '../printable.ts';
import type { Service } from './content-command.ts';
import { isGuid, type NamedSharee, participantNamed } from './sharees.ts';

/** What becomes of one participant. */
export interface ParticipantChange {
  readonly change: 'added' | 'changed' | 'removed' | 'unchanged';
  readonly kind: 'user' | 'group';
  /** For people: an address, else a name or GUID. */
  readonly label: string;
  /** Afterwards; undefined: they take no part. */
  readonly permission: ParticipantPermission | undefined;
  /** Undefined where nothing is to be done. */
  readonly sharee: Sharee | undefined;
}

/** What those who are named are to have where they are not given a permission of their own. */
export interface Permissions {
  /** For all of them. */
  readonly given: ParticipantPermission | undefined;
  /** For those who take no part yet. */
  readonly others: ParticipantPermission;
}

/** Shares with those who are named. */
export function additions(
  participants: readonly Participant[],
  named: readonly NamedSharee[],
  { given, others }: Permissions,
): ParticipantChange[] {
  return named.map((one) => {
    const present = participantNamed(participants, one);
    const { kind } = one;
    if (present?.isOwner === true) return unchanged(present);
    const before = present === undefined || present.permission === 'none' ? undefined : present.permission;
    const permission = one.permission ?? given ?? before ?? others;
    if (present !== undefined && before === permission) return unchanged(present);
    const sharee = present === undefined ? newSharee(one) : shareeOf(present);
    const label = present === undefined ? one.text : labelOf(present);
    return { change: before === undefined ? 'added' : 'changed', kind, label, permission, sharee };
  });
}

/** Ends the participation of those who are named. */
export function removals(participants: readonly Participant[], named: readonly NamedSharee[]): ParticipantChange[] {
  return named.map((one) => {
    const present = participantNamed(participants, one);
    if (present === undefined) {
      return { change: 'unchanged', kind: one.kind, label: one.text, permission: undefined, sharee: undefined };
    }
    if (present.isOwner) {
      throw new Error(`${printable(labelOf(present))} is the owner: syncpoints transfer gives it to another first`);
    }
    return removal(present);
  });
}

/** Makes the list what is named: besides the owner and the caller, whom `isKept` knows, nobody else takes part. */
export function replacements(
  participants: readonly Participant[],
  named: readonly NamedSharee[],
  permissions: Permissions,
  isKept: (participant: Participant) => boolean,
): ParticipantChange[] {
  const wanted = new Set(named.map((one) => participantNamed(participants, one)));
  const others = participants.filter((one) => !wanted.has(one) && one.isExplicit && one.permission !== 'none');
  const surplus = others.filter((one) => !one.isOwner && !isKept(one));
  return [...additions(participants, named, permissions), ...surplus.map(removal)];
}

/** A change that was tried, with what the service said against it. */
export interface TriedChange {
  readonly change: ParticipantChange;
  readonly error: string | undefined;
}

/**
 * Does what is to be done: who is added before who is removed, so that a failure on the way leaves nobody without what they are to have.
 * Whom the service refuses is found out and told; rejects with what is refused of all of them.
 */
export async function* carriedOut(
  service: Service,
  syncpointId: SyncpointId,
  changes: readonly ParticipantChange[],
  mail: InvitationMail,
): AsyncGenerator<TriedChange> {
  const { unshare } = await import('../../syncplicity/content/participants.ts');
  const due = changes.filter(({ sharee }) => sharee !== undefined);
  for (const change of changes.filter(({ sharee }) => sharee === undefined)) yield { change, error: undefined };
  const sharing: Sharing = { service, syncpointId, mail, refusedInARow: 0 };
  for (const batch of batches(due.filter(({ change }) => change !== 'removed'))) yield* shared(sharing, batch);
  for (const batch of batches(due.filter(({ change }) => change === 'removed'))) {
    const sharees = batch.map(({ sharee }) => sharee as Sharee);
    await unshare(service.api.gateway, syncpointId, sharees, service.call);
    service.moved();
    for (const change of batch) yield { change, error: undefined };
  }
}

interface Sharing {
  readonly service: Service;
  readonly syncpointId: SyncpointId;
  readonly mail: InvitationMail;
  /** People, since somebody was taken. */
  refusedInARow: number;
}

/** So many refused one after the other are not the cause: calls are scarce. */
const REFUSED_MAX = 3;

/** Shares with all of a call. One that is refused because of somebody is made again for each half, until it is known because of whom. */
async function* shared(sharing: Sharing, batch: readonly ParticipantChange[]): AsyncGenerator<TriedChange> {
  const { share } = await import('../../syncplicity/content/participants.ts');
  const { service, syncpointId, mail } = sharing;
  const invitations = batch.map(({ sharee, permission }) => ({ sharee, permission }) as Invitation);
  let refused: readonly Invitation[];
  try {
    refused = await share(service.api.gateway, syncpointId, invitations, mail, service.call);
  } catch (error) {
    if (!isAboutSomebody(error) || sharing.refusedInARow >= REFUSED_MAX) throw error;
    service.moved();
    const [change] = batch;
    if (batch.length > 1) {
      const middle = Math.ceil(batch.length / 2);
      yield* shared(sharing, batch.slice(0, middle));
      yield* shared(sharing, batch.slice(middle));
    } else if (change !== undefined) {
      sharing.refusedInARow += 1;
      yield { change, error: printable(error.message) };
    }
    return;
  }
  service.moved();
  sharing.refusedInARow = 0;
  for (const [index, change] of batch.entries()) {
    const isRefused = refused.includes(invitations[index] as Invitation);
    yield { change, error: isRefused ? 'Syncplicity did not take it, and does not say why' : undefined };
  }
}

/** True for a refusal that need not be of all: a policy, an address, a group; not for one of the caller. */
function isAboutSomebody(error: unknown): error is RemoteError {
  if (!(error instanceof RemoteError)) return false;
  return (
    ['forbidden', 'not-found', 'invalid', 'protocol'].includes(error.kind) && !/not authorized/i.test(error.message)
  );
}

/** For people: the address, else a name or GUID. */
export function labelOf({ email, name, id }: Participant): string {
  return email ?? name ?? id ?? '?';
}

function removal(participant: Participant): ParticipantChange {
  const { kind } = participant;
  const label = labelOf(participant);
  return { change: 'removed', kind, label, permission: undefined, sharee: shareeOf(participant) };
}

function unchanged(participant: Participant): ParticipantChange {
  const { kind, permission } = participant;
  const has = permission === 'none' ? undefined : permission;
  return { change: 'unchanged', kind, label: labelOf(participant), permission: has, sharee: undefined };
}

function shareeOf(participant: Participant): Sharee {
  const { kind, email, id } = participant;
  if (kind === 'user' && email !== undefined) return { kind, email };
  if (kind === 'group' && id !== undefined) return { kind, id };
  const lacking = kind === 'user' ? 'address' : 'GUID';
  throw new Error(`${printable(labelOf(participant))}: Syncplicity does not tell the ${lacking} that this takes`);
}

function newSharee({ kind, text }: NamedSharee): Sharee {
  if (kind === 'user') {
    if (!isGuid(text)) return { kind, email: text };
    throw new Error(`${text} takes no part: Syncplicity shares with addresses, not with GUIDs of users`);
  }
  if (isGuid(text)) return { kind, id: text.toLowerCase() };
  throw new Error(`no group called "${printable(text)}" takes part: name a new one by its GUID, group:GUID`);
}

function batches<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / PARTICIPANTS_PER_CALL);
  return Array.from({ length: count }, (_, index) =>
    items.slice(index * PARTICIPANTS_PER_CALL, (index + 1) * PARTICIPANTS_PER_CALL),
  );
}
