// The nodes of the tree in their three tables, those read or written lately in memory. Must not know: transactions, listings, what is
// pending.
//
// T1 each entry is in `entries`, `names` and `parents` with the same inode, or in none of them. Asserted in tests.
import {
  decodeNode,
  encodeNode,
  entryKey,
  entryKeyInode,
  inodeKey,
  nameKey,
  readInode,
  type TreeNode,
} from './records.ts';
import { MadeFolders } from './made-folders.ts';
import { RecentlyRead } from './recently-read.ts';
import type { TreeTables } from './tables.ts';

export class Entries {
  readonly #tables: Pick<TreeTables, 'entries' | 'names' | 'parents'>;
  readonly #read = new RecentlyRead<TreeNode>();
  readonly #made = new MadeFolders();

  constructor(tables: Pick<TreeTables, 'entries' | 'names' | 'parents'>) {
    this.#tables = tables;
  }

  get(inode: number): TreeNode | undefined {
    const read = this.#read.get(inode);
    if (read !== undefined) return read;
    const parent = this.#tables.parents.get(inodeKey(inode));
    return parent === undefined ? undefined : this.#in(readInode(parent), inode);
  }

  child(parent: number, name: string): TreeNode | undefined {
    const made = this.#made.namesIn(parent);
    if (made !== undefined) {
      const inode = made.get(name);
      return inode === undefined ? undefined : this.#in(parent, inode);
    }
    const inode = this.#tables.names.get(nameKey(parent, name));
    return inode === undefined ? undefined : this.#in(parent, readInode(inode));
  }

  /** The entries of a folder with an inode number above `afterInode`, in the order of inode numbers. */
  *children(parent: number, afterInode: number): Generator<TreeNode, void, undefined> {
    const range = this.#tables.entries.range({ start: entryKey(parent, afterInode + 1), end: entryKey(parent + 1, 0) });
    for (const { key, value } of range) yield decodeNode(entryKeyInode(key), parent, value);
  }

  /** The entries of a folder whose name comes after `afterName`, in the order of their names' bytes. */
  *childrenByName(parent: number, afterName: string): Generator<TreeNode, void, undefined> {
    const start = nameKey(parent, `${afterName}\0`);
    for (const { value } of this.#tables.names.range({ start, end: nameKey(parent + 1, '') })) {
      const node = this.#in(parent, readInode(value));
      if (node !== undefined) yield node;
    }
  }

  /** A folder got a number that none had before: nothing is in it. */
  madeFolder(inode: number): void {
    this.#made.begin(inode);
  }

  /** Stores a node in the place of its former state, from where it is moved where that has another name or parent. */
  replace(previous: TreeNode | undefined, current: TreeNode): void {
    if (previous !== undefined && (previous.name !== current.name || previous.parent !== current.parent)) {
      this.#freeName(previous);
      if (previous.parent !== current.parent) this.#tables.entries.remove(entryKey(previous.parent, previous.inode));
    }
    this.update(current);
    this.#tables.names.put(nameKey(current.parent, current.name), inodeKey(current.inode));
    this.#made.put(current.parent, current.name, current.inode);
    if (previous?.parent !== current.parent)
      this.#tables.parents.put(inodeKey(current.inode), inodeKey(current.parent));
  }

  /** Stores a node under the name and parent it has. */
  update(node: TreeNode): void {
    this.#tables.entries.put(entryKey(node.parent, node.inode), encodeNode(node));
    this.#read.set(node.inode, node);
  }

  /** Takes a node out. Returns it as it was stored; undefined: it was gone already. */
  remove({ parent, inode, name }: Pick<TreeNode, 'parent' | 'inode' | 'name'>): TreeNode | undefined {
    const key = entryKey(parent, inode);
    const stored = this.#tables.entries.get(key);
    if (stored === undefined) return undefined;
    this.#tables.entries.remove(key);
    this.#read.delete(inode);
    this.#made.end(inode);
    this.#freeName({ parent, inode, name });
    this.#tables.parents.remove(inodeKey(inode));
    return decodeNode(inode, parent, stored);
  }

  /** What a transaction wrote that came to nothing must not be read. */
  forgetRead(): void {
    this.#read.clear();
    this.#made.clear();
  }

  #in(parent: number, inode: number): TreeNode | undefined {
    const read = this.#read.get(inode);
    if (read?.parent === parent) return read;
    const stored = this.#tables.entries.get(entryKey(parent, inode));
    if (stored === undefined) return undefined;
    const node = decodeNode(inode, parent, stored);
    this.#read.set(inode, node);
    return node;
  }

  /** Another entry may have the name by now. */
  #freeName({ parent, inode, name }: Pick<TreeNode, 'parent' | 'inode' | 'name'>): void {
    this.#made.remove(parent, name, inode);
    const key = nameKey(parent, name);
    const holder = this.#tables.names.get(key);
    if (holder !== undefined && readInode(holder) === inode) this.#tables.names.remove(key);
  }
}
