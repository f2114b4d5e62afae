// Changes a store in memory by path, as another user of the account would: for tests.
import type { MemoryTree } from './memory-tree.ts';
import type { FolderNode } from './memory-nodes.ts';
import { StoreRefusal } from './store.ts';
import type { StoreChange } from './store.ts';

/** What the changes come down to. */
interface Editor {
  addFile(syncpointId: number, folderId: number, name: string, bytes: Uint8Array): void;
  addFolder(syncpointId: number, parentId: number, name: string): void;
  writeFile(syncpointId: number, fileId: number, bytes: Uint8Array): void;
  move(syncpointId: number, id: number, toFolderId: number, name: string): void;
  remove(syncpointId: number, id: number): void;
}

/** Makes one change; `rootFolderId` is the syncpoint's. */
export function mutateMemory(store: Editor, tree: MemoryTree, rootFolderId: number, change: StoreChange): void {
  const { syncpointId } = change;
  const { parent, name } = resolveParent(tree, syncpointId, rootFolderId, change.path);
  const existing = tree.childFile(parent, name) ?? tree.childFolder(parent, name);
  switch (change.change) {
    case 'write': {
      const bytes = Buffer.from(change.text, 'utf8');
      const file = parent.files.get(name);
      if (file === undefined) store.addFile(syncpointId, parent.record.id, name, bytes);
      else store.writeFile(syncpointId, file.record.id, bytes);
      return;
    }
    case 'make-folder':
      store.addFolder(syncpointId, parent.record.id, name);
      return;
    case 'move': {
      if (existing === undefined) throw new StoreRefusal(`no such path: ${change.path}`, 'missing');
      const to = resolveParent(tree, syncpointId, rootFolderId, change.to);
      store.move(syncpointId, existing.record.id, to.parent.record.id, to.name);
      return;
    }
    case 'remove':
      if (existing === undefined) throw new StoreRefusal(`no such path: ${change.path}`, 'missing');
      store.remove(syncpointId, existing.record.id);
      return;
  }
}

function resolveParent(
  tree: MemoryTree,
  syncpointId: number,
  rootFolderId: number,
  path: string,
): { parent: FolderNode; name: string } {
  const names = path.split('/').filter((name) => name !== '');
  const name = names.pop();
  if (name === undefined) throw new StoreRefusal('a path below the root is needed', 'invalid');
  let parent = tree.ownFolder(syncpointId, rootFolderId);
  for (const step of names) {
    const next = tree.childFolder(parent, step);
    if (next === undefined) throw new StoreRefusal(`no such folder: ${step}`, 'missing');
    parent = next;
  }
  return { parent, name };
}
