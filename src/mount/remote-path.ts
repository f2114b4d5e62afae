// A path of the drive to what the service has there, level by level from the service itself: for commands about an account that is not
// mounted. Names are those a mount shows, else the service's own, else what folds to the same.
import { foldName } from '../base/fold-name.ts';
import { shownSyncpoints } from '../cache/tree/shown-syncpoints.ts';
import { naming } from '../fs-ops/names.ts';
import type {
  CallOptions,
  FileId,
  FolderId,
  RemoteDrive,
  RemoteEntry,
  RemoteSyncpoint,
  SyncpointId,
  VersionId,
} from '../remote-drive.ts';

interface Placed {
  readonly syncpointId: SyncpointId;
  readonly syncpointName: string;
  /** Names at the service, from below the syncpoint's root down to the object itself. */
  readonly names: readonly string[];
}

/** A syncpoint's root folder, or a folder below it. */
export interface TargetFolder extends Placed {
  readonly kind: 'syncpoint' | 'folder';
  readonly folderId: FolderId;
}

export interface TargetFile extends Placed {
  readonly kind: 'file';
  /** The folder it is in. */
  readonly folderId: FolderId;
  readonly fileId: FileId;
  readonly versionId: VersionId;
  /** Its content in the mounted drive is newer and not at the service yet. */
  readonly isPending: boolean;
}

/** What a path is at the service. */
export type RemoteTarget = { readonly kind: 'root' } | TargetFolder | TargetFile;

type Source = Pick<RemoteDrive, 'syncpoints' | 'list'>;

/** What the service has at `path`. Rejects with an Error that names what is missing or ambiguous, or as the service does. */
export async function findRemote(drive: Source, path: string, call: CallOptions): Promise<RemoteTarget> {
  const [top, ...below] = path.split('/').filter((part) => part !== '');
  if (top === undefined) return { kind: 'root' };
  let target: TargetFolder | TargetFile = folderOf(await findSyncpoint(drive, top, call));
  let reached = `/${top}`;
  for (const name of below) {
    if (target.kind === 'file') throw new Error(`${reached} is a file: nothing can be at ${path}`);
    target = await child(drive, target, name, reached, call);
    reached += `/${name}`;
  }
  return target;
}

/** A source that asks for each list once: for many paths, of which most share their folders. */
export function remembering(drive: Source): Source {
  let syncpoints: Promise<RemoteSyncpoint[]> | undefined;
  const lists = new Map<FolderId, RemoteEntry[]>();
  return {
    syncpoints: (call) => (syncpoints ??= drive.syncpoints(call)),
    async *list(syncpointId, folderId, call) {
      let entries = lists.get(folderId);
      if (entries === undefined) {
        entries = [];
        for await (const batch of drive.list(syncpointId, folderId, call)) entries.push(...batch);
        lists.set(folderId, entries);
      }
      yield entries;
    },
  };
}

async function findSyncpoint(drive: Source, name: string, call: CallOptions): Promise<RemoteSyncpoint> {
  const syncpoints = await drive.syncpoints(call);
  const choices = shownSyncpoints(naming, syncpoints).map((shown): Choice<RemoteSyncpoint> => {
    return { value: shown.syncpoint, shown: shown.name, remote: shown.syncpoint.name };
  });
  const found = choose(choices, name, '/');
  if (found === undefined) throw new Error(`there is no syncpoint "${name}"`);
  return found;
}

function folderOf({ id, name, rootFolderId }: RemoteSyncpoint): TargetFolder {
  return { kind: 'syncpoint', syncpointId: id, syncpointName: name, folderId: rootFolderId, names: [] };
}

async function child(
  drive: Source,
  folder: TargetFolder,
  name: string,
  reached: string,
  call: CallOptions,
): Promise<TargetFolder | TargetFile> {
  const folded = foldName(name);
  const choices: Choice<RemoteEntry>[] = [];
  for await (const batch of drive.list(folder.syncpointId, folder.folderId, call)) {
    for (const entry of batch) {
      const fit = naming.fit(entry.name, entry.id);
      const shown = naming.distinct(fit, entry.id) === name ? name : fit;
      const choice = { value: entry, shown, remote: entry.name };
      if (isAlike(choice, name, folded)) choices.push(choice);
    }
  }
  const entry = choose(distinctly(choices), name, reached);
  if (entry === undefined) throw new Error(`there is nothing at ${reached}/${name}`);
  const { syncpointId, syncpointName } = folder;
  const placed = { syncpointId, syncpointName, names: [...folder.names, entry.name] };
  if (entry.kind === 'folder') return { ...placed, kind: 'folder', folderId: entry.id };
  const { id: fileId, versionId } = entry;
  return { ...placed, kind: 'file', folderId: folder.folderId, fileId, versionId, isPending: false };
}

/** Something that a name may mean. */
interface Choice<T> {
  readonly value: T;
  /** As a mount shows it. */
  readonly shown: string;
  readonly remote: string;
}

/** Those of one name can be told apart by id, as a mount does with all of them but one. */
function distinctly(choices: readonly Choice<RemoteEntry>[]): Choice<RemoteEntry>[] {
  return choices.map((choice) => {
    const isAlone = !choices.some((other) => other !== choice && other.shown === choice.shown);
    return isAlone ? choice : { ...choice, shown: naming.distinct(choice.shown, choice.value.id) };
  });
}

function isAlike({ shown, remote }: Choice<unknown>, name: string, folded: string): boolean {
  return shown === name || foldName(remote) === folded || foldName(shown) === folded;
}

/** The one that is shown so, else the only one called so, else the only one that folds to the same. */
function choose<T>(choices: readonly Choice<T>[], name: string, where: string): T | undefined {
  const folded = foldName(name);
  const rules: readonly ((choice: Choice<T>) => boolean)[] = [
    ({ shown }) => shown === name,
    ({ remote }) => remote === name,
    (choice) => isAlike(choice, name, folded),
  ];
  for (const rule of rules) {
    const found = choices.filter(rule);
    if (found.length > 1) {
      const names = found.map(({ shown }) => `"${shown}"`).join(', ');
      throw new Error(`"${name}" in ${where} may be any of ${names}: write one of these`);
    }
    if (found[0] !== undefined) return found[0].value;
  }
  return undefined;
}
