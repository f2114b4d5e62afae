// What lies in the trash of a folder, and which of it a user means.
import { posix } from 'node:path';
import { foldName } from '../../base/fold-name.ts';
import { UsageError } from '../../base/usage-error.ts';
import type { TargetFolder } from '../../mount/remote-path.ts';
import { type FolderId, type RemoteEntry, RemoteError, type TrashFolder } from '../../remote-drive.ts';
import { printable } from '../printable.ts';
import type { Service } from './content-command.ts';

/** One thing that was removed. */
export interface TrashEntry {
  readonly entry: RemoteEntry;
  /** "/Syncpoint/folder/name", as the service calls them. */
  readonly path: string;
}

/** True for the refusals of servers that do not tell what a removed folder held. */
export function isUntold(error: unknown): boolean {
  return error instanceof RemoteError && ['not-found', 'forbidden', 'protocol'].includes(error.kind);
}

/** "/Syncpoint/folder". */
export function pathOf({ syncpointName, names }: TargetFolder): string {
  return `/${[syncpointName, ...names].join('/')}`;
}

/** The entries of the trash of one folder, or of one in the trash. */
export async function* removedIn({ api, call, moved }: Service, folder: TrashFolder): AsyncGenerator<RemoteEntry> {
  for await (const batch of api.drive.deleted(folder, call)) {
    moved();
    yield* batch;
  }
}

/**
 * What was removed from a folder. With `onUnread` also from all below it, with what removed folders held; that is told of removed folders
 * of which the service does not tell.
 */
export async function* trashOf(
  service: Service,
  folder: TargetFolder,
  onUnread?: (removed: TrashEntry) => void,
): AsyncGenerator<TrashEntry> {
  const { syncpointId, folderId } = folder;
  if (onUnread === undefined) {
    yield* entriesOf(service, { syncpointId, folderId, isRemoved: false }, pathOf(folder));
    return;
  }
  const { api, call } = service;
  const walk: { readonly id: FolderId; readonly path: string }[] = [{ id: folderId, path: pathOf(folder) }];
  for (let at = walk.pop(); at !== undefined; at = walk.pop()) {
    for await (const entry of entriesOf(service, { syncpointId, folderId: at.id, isRemoved: false }, at.path)) {
      yield entry;
      yield* below(service, syncpointId, entry, onUnread);
    }
    const folders: { readonly id: FolderId; readonly path: string }[] = [];
    for await (const batch of api.drive.list(syncpointId, at.id, call)) {
      for (const entry of batch)
        if (entry.kind === 'folder') folders.push({ id: entry.id, path: `${at.path}/${entry.name}` });
    }
    walk.push(...folders.reverse());
  }
}

/** What a removed folder held. */
async function* below(
  service: Service,
  syncpointId: TargetFolder['syncpointId'],
  removed: TrashEntry,
  onUnread: (removed: TrashEntry) => void,
): AsyncGenerator<TrashEntry> {
  if (removed.entry.kind === 'file') return;
  try {
    const folder = { syncpointId, folderId: removed.entry.id, isRemoved: true };
    for await (const inner of entriesOf(service, folder, removed.path)) {
      yield inner;
      yield* below(service, syncpointId, inner, onUnread);
    }
  } catch (error) {
    if (!isUntold(error)) throw error;
    onUnread(removed);
  }
}

async function* entriesOf(service: Service, folder: TrashFolder, path: string): AsyncGenerator<TrashEntry> {
  for await (const entry of removedIn(service, folder)) yield { entry, path: `${path}/${entry.name}` };
}

/** A path that nothing has any more, as the folder that it was in and its name there. */
export function parentAndName(path: string): { readonly parent: string; readonly name: string } {
  const trimmed = path.replace(/(?<=[^/])\/+$/, '');
  const name = posix.basename(trimmed);
  if (['', '.', '..'].includes(name) || (trimmed.endsWith(':') && !trimmed.includes('/'))) {
    throw new UsageError(`"${printable(path)}" names nothing in a folder`);
  }
  return { parent: posix.dirname(trimmed), name };
}

/** The one of that name, and id where one is given. Throws where there is none, or several. */
export function chosenEntry(
  candidates: readonly TrashEntry[],
  name: string,
  id: string | undefined,
  path: string,
): TrashEntry {
  const named = candidates.filter(({ entry }) => entry.name === name);
  const alike = named.length > 0 ? named : candidates.filter(({ entry }) => foldName(entry.name) === foldName(name));
  const fitting = id === undefined ? alike : alike.filter(({ entry }) => entry.id === id);
  const [first, ...more] = fitting;
  const of = id === undefined ? '' : ` with the id ${printable(id)}`;
  if (first === undefined) {
    throw new Error(`nothing${of} lies in the trash that was ${printable(path)}: trash list shows what does`);
  }
  if (more.length > 0) {
    const ids = fitting.map(({ entry }) => entry.id).join(', ');
    throw new Error(`several things that were ${printable(path)} lie in the trash: say which with --id, one of ${ids}`);
  }
  return first;
}
