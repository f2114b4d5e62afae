// What earlier versions and removed entries are called in the drive: names that sort by time, keep the extension, are safe and tell apart
// what is equal. Knows neither nodes nor calls.
import { extname } from 'node:path';
import type { RemoteEntry, RemoteVersion } from '../../remote-drive.ts';
import { naming } from '../names.ts';

/** Versions of what was removed have no content of their own. */
const WITHOUT_CONTENT: ReadonlySet<RemoteVersion['action']> = new Set(['deleted', 'confirmed-removed']);

/** The versions of a file by name, "2026-11-22T14.03.11Z v3 Jane Doe.docx"; the oldest is v1. */
export function namedVersions(fileName: string, versions: readonly RemoteVersion[]): Map<string, RemoteVersion> {
  const named = new Map<string, RemoteVersion>();
  const extension = extname(fileName);
  const ordered = versions.filter(({ action }) => !WITHOUT_CONTENT.has(action)).sort(byAge);
  for (const [index, version] of ordered.entries()) {
    const { added, userName, userEmail } = version;
    const parts = [added === undefined ? '' : timeName(added.seconds), `v${index + 1}`, userName ?? userEmail ?? ''];
    const stem = parts.filter((part) => part !== '').join(' ');
    named.set(naming.fit(`${stem.replace(/\p{Cc}/gu, '?')}${extension}`, version.id), version);
  }
  return named;
}

function byAge(a: RemoteVersion, b: RemoteVersion): number {
  const [first, second] = [a.added, b.added];
  const age = (first?.seconds ?? 0) - (second?.seconds ?? 0) || (first?.nanoseconds ?? 0) - (second?.nanoseconds ?? 0);
  return age || compareIds(a.id, b.id);
}

/** Colons are no part of names on other systems. */
function timeName(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replaceAll(':', '.')}Z`;
}

/** What was removed, by name: of several things of one name the last one keeps it, the others are told apart by their ids. */
export function namedRemovals(entries: readonly RemoteEntry[]): Map<string, RemoteEntry> {
  const named = new Map<string, RemoteEntry>();
  for (const entry of [...entries].sort((a, b) => compareIds(b.id, a.id))) {
    const fit = naming.fit(entry.name, entry.id);
    const name = named.has(fit) ? naming.distinct(fit, entry.id) : fit;
    // Somebody may have called a file as we would.
    if (!named.has(name)) named.set(name, entry);
  }
  return named;
}

/** Ids pass 2^53; later ones are greater. */
function compareIds(a: string, b: string): number {
  const [first, second] = [BigInt(a), BigInt(b)];
  return first < second ? -1 : first > second ? 1 : 0;
}
