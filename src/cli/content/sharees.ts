// Whom a user names to share with, and what they may do: on the command line as ADDRESS, ADDRESS=PERMISSION, group:GUID-OR-NAME or a
// user's GUID; on standard input one a line, where a blank or comma may stand for "=". Knows no call.
import { UsageError } from '../../base/usage-error.ts';
import type { Participant, ParticipantPermission } from '../../syncplicity/content/participants.ts';
import { printable } from '../printable.ts';
import { readStandardInput } from '../standard-input.ts';

/** Somebody who is named. */
export interface NamedSharee {
  readonly kind: 'user' | 'group';
  /** As in messages: an address, a GUID, or the name of a group. */
  readonly text: string;
  readonly permission: ParticipantPermission | undefined;
}

/** The argument of commands about participants. */
export const WHO_ARGUMENT = [
  '<WHO...>',
  'an e-mail address, group:GUID-OR-NAME or a GUID, each with =PERMISSION where it is to differ; - reads them from stdin, one a line',
] as const;

/** 1000 participants, the service's limit, in the longest addresses are a quarter of that. */
const INPUT_BYTES_MAX = 1 << 20;
const GUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const PERMISSION_BEHIND = '(?:\\s*[=,;\\s]\\s*([\\w-]+))?$';
/** The part of an address before "@" may hold "=", the one behind it may not; a group's name may hold blanks. */
const PATTERNS: readonly (readonly [RegExp, NamedSharee['kind']])[] = [
  [new RegExp(`^([^\\s@]+@[^\\s=,;@]+)${PERMISSION_BEHIND}`), 'user'],
  [new RegExp(`^(${GUID})${PERMISSION_BEHIND}`, 'i'), 'user'],
  [new RegExp(`^group:(${GUID})${PERMISSION_BEHIND}`, 'i'), 'group'],
  [/^group:(.+?)(?:\s*=\s*([\w-]+))?$/i, 'group'],
];
const PERMISSIONS: Readonly<Record<string, ParticipantPermission>> = {
  read: 'read-only',
  reader: 'read-only',
  'read-only': 'read-only',
  '3': 'read-only',
  write: 'read-write',
  editor: 'read-write',
  'read-write': 'read-write',
  '1': 'read-write',
};

/** What a permission's name means. Throws {@link UsageError} for one that the service does not have. */
export function parsePermission(text: string): ParticipantPermission {
  const permission = PERMISSIONS[text.toLowerCase()];
  if (permission !== undefined) return permission;
  const hint = /owner/i.test(text)
    ? 'a syncpoint has one owner: syncpoints transfer gives it to another'
    : 'read (or reader, read-only) and write (or editor, read-write) are those there are; participants remove takes them away';
  throw new UsageError(`"${printable(text)}" is no permission`, hint);
}

/** Everybody named by arguments, and on stdin where one is "-". Throws {@link UsageError} for what names nobody, or twice differently. */
export async function namedSharees(words: readonly string[]): Promise<NamedSharee[]> {
  const named = new Map<string, NamedSharee>();
  for (const word of words) {
    for (const sharee of word === '-' ? await shareesOfInput() : [parseSharee(word)]) {
      const key = `${sharee.kind} ${sharee.text.toLowerCase()}`;
      const before = named.get(key);
      if (before !== undefined && before.permission !== sharee.permission) {
        throw new UsageError(`${printable(sharee.text)} is named twice, with different permissions`);
      }
      named.set(key, sharee);
    }
  }
  return [...named.values()];
}

async function shareesOfInput(): Promise<NamedSharee[]> {
  const lines = (await readStandardInput(INPUT_BYTES_MAX)).split(/\r?\n/).map((line) => line.trim());
  const sharees = lines.filter((line) => line !== '' && !line.startsWith('#')).map(parseSharee);
  if (sharees.length === 0) throw new UsageError('nobody is named on stdin');
  return sharees;
}

function parseSharee(text: string): NamedSharee {
  for (const [pattern, kind] of PATTERNS) {
    const [, name, permission] = pattern.exec(text) ?? [];
    if (name === undefined) continue;
    return { kind, text: name, permission: permission === undefined ? undefined : parsePermission(permission) };
  }
  throw new UsageError(
    `"${printable(text)}" names nobody`,
    'write an e-mail address, group:GUID-OR-NAME, or the GUID of a user; behind it =read or =write',
  );
}

/** Whether it is a GUID, not an address or a name. */
export function isGuid(text: string): boolean {
  return new RegExp(`^${GUID}$`, 'i').test(text);
}

/** The participant that somebody is, if any. */
export function participantNamed(
  participants: readonly Participant[],
  { kind, text }: NamedSharee,
): Participant | undefined {
  const wanted = text.toLowerCase();
  const alike = participants.filter((one) => one.kind === kind);
  const found = alike.filter(
    ({ id, email, name }) =>
      id === wanted || email?.toLowerCase() === wanted || (kind === 'group' && name?.toLowerCase() === wanted),
  );
  if (found.length > 1) {
    const ids = found.map(({ id }) => id ?? '').join(', ');
    throw new Error(`several groups are called "${printable(text)}": name one by its GUID, one of ${ids}`);
  }
  return found[0];
}
