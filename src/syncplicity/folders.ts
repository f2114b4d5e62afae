// Makes folders: the call Folders POST. Its reply lists only what was made, under paths of either spelling, in an array or as
// one object: only names and ids count.
import { FOLDERS_PER_CALL, RemoteError } from '../remote-drive.ts';
import type { CallOptions, FolderId, RemoteFolder, SyncpointId } from '../remote-drive.ts';
import type { Gateway } from './gateway.ts';
import { Fields, isObject } from './wire/fields.ts';
import { jsonObject } from './wire/json-body.ts';

const name = 'folder_folders.svc POST';
/** Status 1: added. All of one call must be equal. */
const added = 1;

/** See RemoteDrive.createFolders. */
export async function createFolders(
  gateway: Gateway,
  syncpointId: SyncpointId,
  parentId: FolderId,
  names: readonly string[],
  options: CallOptions,
): Promise<RemoteFolder[]> {
  if (names.length === 0) return [];
  if (names.length > FOLDERS_PER_CALL) {
    throw new RemoteError('invalid', `${names.length} folders are more than one call makes (${FOLDERS_PER_CALL})`);
  }
  const body = `[${names.map((folder) => jsonObject({ Name: folder, Status: added })).join(',')}]`;
  const value = await gateway.change(
    {
      name,
      thing: `folder ${parentId} of syncpoint ${syncpointId}`,
      method: 'POST',
      path: `/sync/folder_folders.svc/${syncpointId}/folder/${parentId}/folders`,
      body,
    },
    options,
  );
  return matched(names, made(value));
}

interface Made {
  readonly id: FolderId;
  readonly name: string;
}

function made(value: unknown): Made[] {
  const entries = Array.isArray(value) ? (value as readonly unknown[]) : [value];
  const found: Made[] = [];
  for (const entry of entries) {
    if (!isObject(entry)) continue;
    const fields = Fields.of(entry, name);
    const id = fields.id('FolderId') as FolderId | undefined;
    const folder = fields.text('Name');
    if (id !== undefined && id !== '0' && folder !== undefined) found.push({ id, name: folder });
  }
  return found;
}

/** The folders made, under the names asked for: those that match exactly first, then under what servers do to names. */
function matched(names: readonly string[], all: readonly Made[]): RemoteFolder[] {
  const left = new Set(all);
  const folders = new Map<string, RemoteFolder>();
  for (const same of [exact, folded]) {
    for (const wanted of names) {
      if (folders.has(wanted)) continue;
      const found = [...left].find((one) => same(one.name) === same(wanted));
      if (found === undefined) continue;
      left.delete(found);
      folders.set(wanted, { kind: 'folder', id: found.id, name: wanted });
    }
  }
  return names.flatMap((wanted) => folders.get(wanted) ?? []);
}

function exact(text: string): string {
  return text;
}

function folded(text: string): string {
  return text.normalize('NFC').trim();
}
