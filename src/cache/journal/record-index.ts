// All records of the journal in memory, found by what they are about: the folder that has their object, its place, its ids, what they
// wait for. Must not know: transactions, what becomes of a record.
import { foldName } from '../../base/fold-name.ts';
import { sentPlaces, type PendingRecord, type RemotePlace } from '../tree/pending-record.ts';
import type { TreeNode } from '../tree/records.ts';

export class RecordIndex {
  readonly #records = new Map<number, PendingRecord>();
  /** Records by the folder that has, or may still show, their object. */
  readonly #byFolder = new Map<number, Set<number>>();
  /** Living ones by the directory they are in here. */
  readonly #byParent = new Map<number, Set<number>>();
  readonly #parentOf = new Map<number, number>();
  /** Living ones by the place that they are wanted at. */
  readonly #byWanted = new Map<string, Set<number>>();
  readonly #wantedOf = new Map<number, string>();
  readonly #byRemoteId = new Map<string, Set<number>>();
  readonly #remoteIdOf = new Map<number, string>();
  readonly #byPlace = new Map<string, Set<number>>();
  /** By where uploads, or folders, were sent to that nobody has heard of yet. */
  readonly #bySentPlace = new Map<string, Set<number>>();
  /** Inodes by the temporary place that they go by. */
  readonly #byWay = new Map<string, number>();
  /** Removals that wait for an inode. */
  readonly #byAfter = new Map<number, Set<number>>();

  get(inode: number): PendingRecord | undefined {
    return this.#records.get(inode);
  }

  all(): Iterable<PendingRecord> {
    return this.#records.values();
  }

  /** Records whose object is, or was lately, in that folder at the service. */
  *inFolder(folder: number): Generator<PendingRecord, void, undefined> {
    for (const inode of this.#byFolder.get(folder) ?? []) {
      const record = this.#records.get(inode);
      if (record !== undefined) yield record;
    }
  }

  /** True where a listing of the folder may meet something pending: in it at the service, or in it here. */
  hasPending(folder: number): boolean {
    return this.#byFolder.has(folder) || this.#byParent.has(folder);
  }

  /** Records of objects that the service has at that very place. */
  at(place: RemotePlace): PendingRecord[] {
    return this.near(place).filter(({ at }) => at?.name === place.name);
  }

  /** Records of objects that the service has at that place, or at one that a service blind to case takes for the same. */
  near(place: RemotePlace): PendingRecord[] {
    return this.#of(this.#byPlace.get(placeKey(place)));
  }

  /** Records of objects that are in that directory here, removed ones left out. */
  inDirectory(directory: number): PendingRecord[] {
    return this.#of(this.#byParent.get(directory));
  }

  /** Records of objects that are wanted at that place, or at one that a service blind to case takes for the same, removed ones left out. */
  wantedNear(place: RemotePlace): PendingRecord[] {
    return this.#of(this.#byWanted.get(placeKey(place)));
  }

  /** Records of the object with that file id or folder id. */
  withRemoteId(kind: PendingRecord['kind'], id: string): PendingRecord[] {
    return this.#of(this.#byRemoteId.get(`${kind} ${id}`));
  }

  /** Records of files and folders that were sent to that place, or one that is the same to a service blind to case, and nobody has heard of yet. */
  sentNear(place: RemotePlace): PendingRecord[] {
    return this.#of(this.#bySentPlace.get(placeKey(place)));
  }

  /** The record of the object that goes by that temporary place. */
  goingBy(place: RemotePlace): PendingRecord | undefined {
    const inode = this.#byWay.get(placeKey(place));
    return inode === undefined ? undefined : this.#records.get(inode);
  }

  /** `file` or `directory`, and the id that the service has for an object with a record; undefined where it has, or told, none. */
  remoteId(inode: number): string | undefined {
    return this.#remoteIdOf.get(inode);
  }

  /** Removals that wait until this inode's content is stored. */
  waitingFor(inode: number): PendingRecord[] {
    return this.#of(this.#byAfter.get(inode));
  }

  /** Stores a record about a node; undefined: that is not, or no longer, in the tree. */
  set(record: PendingRecord, node: TreeNode | undefined): void {
    const { inode } = record;
    this.#forget(inode);
    this.#records.set(inode, record);
    for (const folder of foldersOf(record)) addTo(this.#byFolder, folder, inode);
    if (record.at !== undefined) addTo(this.#byPlace, placeKey(record.at), inode);
    for (const place of sentPlaces(record)) addTo(this.#bySentPlace, placeKey(place), inode);
    if (record.via !== undefined) this.#byWay.set(placeKey(record.via), inode);
    if (record.after !== undefined) addTo(this.#byAfter, record.after, inode);
    const object = record.gone ?? (node?.kind === 'directory' ? node.remote : node);
    const id = object === undefined ? undefined : 'folderId' in object ? object.folderId : object.fileId;
    if (node !== undefined) {
      this.#parentOf.set(inode, node.parent);
      addTo(this.#byParent, node.parent, inode);
      const wanted = placeKey({ parent: node.parent, name: node.remoteName });
      this.#wantedOf.set(inode, wanted);
      addTo(this.#byWanted, wanted, inode);
    }
    if (id !== undefined) {
      const remoteId = `${record.kind} ${id}`;
      this.#remoteIdOf.set(inode, remoteId);
      addTo(this.#byRemoteId, remoteId, inode);
    }
  }

  delete(inode: number): void {
    this.#forget(inode);
    this.#records.delete(inode);
  }

  /** Takes away what leads to the record as it was. */
  #forget(inode: number): void {
    const before = this.#records.get(inode);
    if (before === undefined) return;
    for (const folder of foldersOf(before)) removeFrom(this.#byFolder, folder, inode);
    if (before.at !== undefined) removeFrom(this.#byPlace, placeKey(before.at), inode);
    for (const place of sentPlaces(before)) removeFrom(this.#bySentPlace, placeKey(place), inode);
    if (before.via !== undefined) this.#byWay.delete(placeKey(before.via));
    if (before.after !== undefined) removeFrom(this.#byAfter, before.after, inode);
    const parent = this.#parentOf.get(inode);
    if (parent !== undefined) removeFrom(this.#byParent, parent, inode);
    this.#parentOf.delete(inode);
    const wanted = this.#wantedOf.get(inode);
    if (wanted !== undefined) removeFrom(this.#byWanted, wanted, inode);
    this.#wantedOf.delete(inode);
    const remoteId = this.#remoteIdOf.get(inode);
    if (remoteId !== undefined) removeFrom(this.#byRemoteId, remoteId, inode);
    this.#remoteIdOf.delete(inode);
  }

  #of(inodes: Iterable<number> = []): PendingRecord[] {
    return [...inodes].flatMap((inode) => this.#records.get(inode) ?? []);
  }
}

function foldersOf(record: PendingRecord): Set<number> {
  const folders = new Set(record.was.map(({ parent }) => parent));
  if (record.at !== undefined) folders.add(record.at.parent);
  if (record.via !== undefined) folders.add(record.via.parent);
  for (const { parent } of sentPlaces(record)) folders.add(parent);
  return folders;
}

function placeKey({ parent, name }: RemotePlace): string {
  return `${parent}/${foldName(name)}`;
}

function addTo<K>(index: Map<K, Set<number>>, key: K, inode: number): void {
  const set = index.get(key);
  if (set === undefined) index.set(key, new Set([inode]));
  else set.add(inode);
}

function removeFrom<K>(index: Map<K, Set<number>>, key: K, inode: number): void {
  const set = index.get(key);
  set?.delete(inode);
  if (set?.size === 0) index.delete(key);
}
