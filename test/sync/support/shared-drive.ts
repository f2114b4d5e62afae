// A drive in memory that others change too: with the dialects of services, listings that lag, calls that fail or whose reply is lost, and
// an account of every version there ever was. Knows nothing of who asks.
import { waitFor } from '../../../src/base/abort.ts';
import {
  RemoteError,
  type CallOptions,
  type FileId,
  type FolderId,
  type RemoteEntry,
  type RemoteErrorKind,
  type RemoteFile,
  type RemoteSyncpoint,
  type SyncpointId,
  type UploadOutcome,
  type VersionId,
} from '../../../src/remote-drive.ts';
import { MemoryDrive } from '../../fakes/memory-drive.ts';

export interface Dialect {
  readonly moves: MemoryDrive['moves'];
  /** A file has another id with each content; or a moved one is its next version. With both, nobody could tell what was moved. */
  readonly versions: 'keep ids' | 'change ids' | 'are made by moves';
  readonly ignoresCase: boolean;
  /** Accents of names are composed. */
  readonly composes: boolean;
  /** The id of what was removed is given again: to what is stored next under its name, or to whatever is. */
  readonly idsAgain: 'never' | 'for the name' | 'for the next';
  /** False: replies to uploads tell no ids. */
  readonly tellsIds: boolean;
  /** False: listings tell no lengths, and each version not met before is asked for by itself. */
  readonly tellsLengths: boolean;
  /** Removing what is gone is refused, in words that tell nothing. */
  readonly refusesGone: boolean;
  /** How old what listings show is. */
  readonly lagMs: number;
  /** How long a call takes. */
  readonly latencyMs: number;
  /** How long after a change its event is told; undefined: the service tells of none. */
  readonly eventsAfterMs: number | undefined;
}

/** A folder is removed so soon after it was looked at. */
const LOOK_MS = 60_000;

/** Kinds of calls, as {@link MemoryDrive.calls} begin. */
export const CALL_KINDS = ['list', 'upload', 'createFolders', 'move', 'deleteFile', 'deleteFolder', 'read'] as const;
export type CallKind = (typeof CALL_KINDS)[number];

/** A version, and what became of it. */
export interface StoredVersion {
  readonly text: string;
  readonly by: 'here' | 'there';
  /** Wall clock, ms: when it came to be at its place. */
  readonly storedAtMs: number;
  /** Wall clock, ms: when a listing first showed it there. */
  listedAtMs: number | undefined;
  /** Wall clock, ms: when a call from here put another version in its place. */
  overwrittenAtMs?: number;
  /** A call from here removed the folder that it was in, after a look that could not show it yet; `unlooked`: after none, or one that did. */
  wentWithFolder?: 'unseen' | 'unlooked';
}

/** Something at the service, with its place. */
export interface Held {
  readonly path: string;
  readonly parent: FolderId;
  readonly entry: RemoteEntry;
}

/** The id of something that is removed. */
interface FreeId {
  readonly kind: RemoteEntry['kind'];
  readonly id: string;
  readonly parent: string;
  readonly name: string;
}

type Snapshot = ReadonlyMap<string, readonly RemoteEntry[]>;

export class SharedDrive extends MemoryDrive {
  readonly versionsStored = new Map<VersionId, StoredVersion>();
  readonly #dialect: Dialect;
  readonly #failNext = new Map<string, RemoteErrorKind>();
  readonly #loseNext = new Set<string>();
  /** When something happened in each syncpoint, wall clock, ms. */
  readonly #events = new Map<SyncpointId, number[]>();
  readonly #history: { readonly atMs: number; readonly before: Snapshot }[] = [];
  /** As of when folders were shown last, wall clock, ms. */
  readonly #shownAsOfMs = new Map<string, number>();
  /** As of when events were told last, wall clock, ms. */
  #eventsAsOfMs = -Infinity;
  /** Ids that came with versions. */
  readonly #numbered = new Map<VersionId, FileId>();
  /** Ids that may be given again, of what was removed last at the end. */
  readonly #freeIds: FreeId[] = [];
  readonly #idsGivenAgain = new Set<string>();
  /** Ids that files had before another content gave them others. */
  readonly #formerIds = new Set<string>();
  /** Versions whose length was asked for. */
  readonly #measured = new Set<VersionId>();
  #last: Snapshot = new Map();
  #ids = 0;
  #times = 0;

  constructor(dialect: Dialect) {
    super();
    this.#dialect = dialect;
    this.moves = dialect.moves;
    this.movesMakeVersions = dialect.versions === 'are made by moves';
    this.ignoresCase = dialect.ignoresCase;
    this.composes = dialect.composes;
    this.refusesGone = dialect.refusesGone;
    this.gate = async (call) => {
      const kind = kindOf(call);
      await this.#travels();
      const failure = this.#failNext.get(kind);
      if (!this.#failNext.delete(kind) || failure === undefined) return;
      throw new RemoteError(failure, `${call}: it was to fail`);
    };
    this.reply = async (call) => {
      this.changed('here');
      await this.#travels();
      if (this.#loseNext.delete(kindOf(call))) throw new RemoteError('unavailable', `${call}: the reply was lost`);
    };
  }

  get tellsEvents(): boolean {
    return this.#dialect.eventsAfterMs !== undefined;
  }

  override async syncpoints(options?: CallOptions): Promise<RemoteSyncpoint[]> {
    const found = await super.syncpoints(options);
    const { eventsAfterMs } = this.#dialect;
    if (eventsAfterMs === undefined) return found;
    const toldMs = Date.now() - eventsAfterMs;
    this.#eventsAsOfMs = toldMs;
    const told = (id: SyncpointId): number => (this.#events.get(id) ?? []).filter((atMs) => atMs <= toldMs).length;
    return found.map((syncpoint) => ({ ...syncpoint, lastEvent: `event ${told(syncpoint.id)}` }));
  }

  fail(kind: CallKind, how: RemoteErrorKind): void {
    this.#failNext.set(kind, how);
  }

  loseReply(kind: CallKind): void {
    this.#loseNext.add(kind);
  }

  /** Nothing fails from here on. */
  getWell(): void {
    this.#failNext.clear();
    this.#loseNext.clear();
  }

  /** Everything below the syncpoints, by path. */
  held(): Held[] {
    const found: Held[] = [];
    const visit = (parent: FolderId, above: string): void => {
      for (const entry of this.entries(parent)) {
        const path = `${above}/${entry.name}`;
        found.push({ path, parent, entry });
        if (entry.kind === 'folder') visit(entry.id, path);
      }
    };
    for (const { name, rootFolderId } of this.syncpointList) visit(rootFolderId, name);
    return found.sort((one, other) => (one.path < other.path ? -1 : 1));
  }

  override addFile(...args: Parameters<MemoryDrive['addFile']>): RemoteFile {
    return this.#dated(args[0], super.addFile(...args));
  }

  override write(...args: Parameters<MemoryDrive['write']>): RemoteFile {
    return this.#dated(args[0], super.write(...args));
  }

  /** True for what has the id of something that was removed: nobody can tell it from what that became. */
  hasIdAgain({ id }: RemoteEntry): boolean {
    return this.#idsGivenAgain.has(id);
  }

  text(version: VersionId): string {
    return Buffer.from(this.content(version)).toString();
  }

  isTaken(parent: FolderId, name: string, except?: RemoteEntry): boolean {
    return this.entries(parent).some((entry) => entry !== except && this.isSame(entry.name, name));
  }

  /** Files and folders go with all that they hold. */
  removeAll({ parent, entry }: Held): void {
    const entries = this.entries(parent);
    entries.splice(entries.indexOf(entry), 1);
    if (entry.kind === 'folder') this.#drop(entry.id);
  }

  moveAll({ parent, entry }: Held, to: FolderId, name: string): void {
    const entries = this.entries(parent);
    entries.splice(entries.indexOf(entry), 1);
    this.entries(to).push({ ...entry, name: this.named(name) });
  }

  /** Something changed: to be called after what others do. */
  changed(by: 'here' | 'there'): void {
    this.#renumber();
    const now = Date.now();
    const present = this.#snapshot();
    for (const [folder, entries] of present) {
      for (const entry of entries) {
        if (entry.kind !== 'file') continue;
        const known = this.versionsStored.get(entry.versionId);
        if (known !== undefined) {
          // Where others put it nobody here has seen it yet.
          const isMoved =
            this.#last.get(folder)?.some(({ id, name }) => id === entry.id && name === entry.name) !== true;
          if (isMoved && by === 'there')
            this.versionsStored.set(entry.versionId, { ...known, storedAtMs: now, listedAtMs: undefined });
          continue;
        }
        const text = this.text(entry.versionId);
        // A move that makes a version stores nothing new.
        const former = [...this.versionsStored.values()].find((one) => one.text === text);
        const { listedAtMs, storedAtMs = now } = former ?? {};
        this.versionsStored.set(entry.versionId, { text, by: former?.by ?? by, storedAtMs, listedAtMs });
      }
    }
    this.#freeIdsOf(present);
    for (const [folder, before] of this.#last) {
      for (const entry of before) {
        if (entry.kind !== 'file' || by === 'there') continue;
        const gone = present.has(folder) ? undefined : this.versionsStored.get(entry.versionId);
        // That nothing happened, as the events tell, is as good as a look.
        const looks = [this.#shownAsOfMs.get(folder) ?? -Infinity, this.#eventsAsOfMs];
        const mayBeUnseen =
          gone !== undefined && looks.some((asOfMs) => gone.storedAtMs > asOfMs && now - asOfMs < LOOK_MS);
        if (gone !== undefined) gone.wentWithFolder = mayBeUnseen ? 'unseen' : 'unlooked';
        const successor = present.get(folder)?.find((one) => one.kind === 'file' && one.name === entry.name);
        if (successor?.kind !== 'file' || successor.versionId === entry.versionId) continue;
        const version = this.versionsStored.get(entry.versionId);
        if (version !== undefined) version.overwrittenAtMs = now;
      }
    }
    for (const { id, rootFolderId } of this.syncpointList) {
      if (isSame(below(rootFolderId, this.#last), below(rootFolderId, present))) continue;
      this.#events.set(id, [...(this.#events.get(id) ?? []), now]);
    }
    if (this.#dialect.lagMs > 0) this.#history.push({ atMs: now, before: this.#last });
    this.#last = present;
  }

  override async *list(syncpoint: SyncpointId, folder: FolderId, options?: CallOptions): AsyncGenerator<RemoteEntry[]> {
    this.calls.push(`list ${folder}`);
    await waitFor(this.gate(`list ${folder}`), options?.signal);
    const listed = [...this.#shown(folder)];
    const shown = this.#dialect.tellsLengths
      ? listed
      : await waitFor(this.#measure(syncpoint, listed), options?.signal);
    const present = new Map(this.held().map(({ parent, entry }) => [entry.id as string, `${parent}/${entry.name}`]));
    for (const entry of shown) {
      const version = entry.kind === 'file' ? this.versionsStored.get(entry.versionId) : undefined;
      // One that lags shows it where it was.
      if (version !== undefined && present.get(entry.id) === `${folder}/${entry.name}`)
        version.listedAtMs ??= Date.now();
    }
    yield shown;
  }

  override async upload(...args: Parameters<MemoryDrive['upload']>): Promise<UploadOutcome> {
    const outcome = await super.upload(...args);
    if (outcome.state !== 'stored' || outcome.versionId === undefined) return outcome;
    if (!this.#dialect.tellsIds) return { ...outcome, fileId: undefined, versionId: undefined };
    return { ...outcome, fileId: this.#numbered.get(outcome.versionId) ?? outcome.fileId };
  }

  protected override idFor(kind: RemoteEntry['kind'], parent: FolderId, name: string): string {
    const { idsAgain } = this.#dialect;
    const isFree = (free: FreeId): boolean =>
      free.kind === kind &&
      (idsAgain === 'for the next' ||
        (idsAgain === 'for the name' && free.parent === parent && this.isSame(free.name, name)));
    const at = this.#freeIds.findLastIndex(isFree);
    const [again] = at < 0 ? [] : this.#freeIds.splice(at, 1);
    if (again === undefined) return super.idFor(kind, parent, name);
    this.#idsGivenAgain.add(again.id);
    return again.id;
  }

  #freeIdsOf(present: Snapshot): void {
    const ids = new Set([...present.values()].flat().map(({ id }) => id as string));
    for (const [parent, before] of this.#last) {
      for (const { kind, id, name } of before)
        if (!ids.has(id) && !this.#formerIds.has(id)) this.#freeIds.push({ kind, id, parent, name });
    }
  }

  /** Each version is what it is when its length is asked for: perhaps one later than that which was listed. */
  async #measure(syncpoint: SyncpointId, listed: readonly RemoteEntry[]): Promise<RemoteEntry[]> {
    const found: RemoteEntry[] = [];
    for (const entry of listed) {
      if (entry.kind === 'folder' || this.#measured.has(entry.versionId)) {
        found.push(entry);
        continue;
      }
      try {
        const { versionId, lengthBytes, modified, created } = await this.file(syncpoint, entry.id);
        this.#measured.add(versionId);
        found.push({ ...entry, versionId, lengthBytes, modified, created });
      } catch (error) {
        if (!(error instanceof RemoteError) || error.kind !== 'not-found') throw error;
        throw new RemoteError('protocol', `file ${entry.id} is listed without a length: ${error.message}`);
      }
    }
    return found;
  }

  /** Half of what a call takes: there, or back. */
  async #travels(): Promise<void> {
    const { latencyMs } = this.#dialect;
    if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs / 2));
  }

  /** No two versions of others are of one time. */
  #dated(parent: FolderId, file: RemoteFile): RemoteFile {
    this.#times += 1;
    const entries = this.entries(parent);
    const dated = { ...file, modified: { seconds: 1_500_000_000 + this.#times, nanoseconds: 0 } };
    entries[entries.indexOf(file)] = dated;
    return dated;
  }

  #shown(folder: FolderId): readonly RemoteEntry[] {
    const asOfMs = Date.now() - this.#dialect.lagMs;
    // A change later than that is not shown yet: what was before the first of them is.
    const later = this.#history.find(({ atMs }) => atMs > asOfMs);
    this.#shownAsOfMs.set(folder, asOfMs);
    const entries = later === undefined ? this.entries(folder) : later.before.get(folder);
    if (entries === undefined) throw new RemoteError('not-found', `folder ${folder}: Invalid Folder ID`);
    return entries;
  }

  #snapshot(): Snapshot {
    const folders = new Map<string, readonly RemoteEntry[]>();
    const visit = (folder: FolderId): void => {
      const entries = [...this.entries(folder)];
      folders.set(folder, entries);
      for (const entry of entries) if (entry.kind === 'folder') visit(entry.id);
    };
    for (const { rootFolderId } of this.syncpointList) visit(rootFolderId);
    return folders;
  }

  /** New versions get new ids where the dialect has it so. */
  #renumber(): void {
    if (this.#dialect.versions !== 'change ids') return;
    const known = new Set([...this.#last.values()].flat().map(({ id }) => id as string));
    for (const { parent, entry } of this.held()) {
      if (entry.kind !== 'file' || this.versionsStored.has(entry.versionId) || !known.has(entry.id)) continue;
      const entries = this.entries(parent);
      this.#ids += 1;
      const numbered: RemoteFile = { ...entry, id: `changed ${this.#ids}` as FileId };
      entries[entries.indexOf(entry)] = numbered;
      this.#numbered.set(entry.versionId, numbered.id);
      this.#formerIds.add(entry.id);
    }
  }

  #drop(folder: FolderId): void {
    for (const entry of this.entries(folder)) if (entry.kind === 'folder') this.#drop(entry.id);
    this.dropFolder(folder);
  }
}

/** What lies below a folder, told as text. */
function below(folder: string, folders: Snapshot): string[] {
  return (folders.get(folder) ?? []).flatMap((entry) => [
    `${folder} ${entry.name} ${entry.id} ${entry.kind === 'file' ? entry.versionId : ''}`,
    ...(entry.kind === 'folder' ? below(entry.id, folders) : []),
  ]);
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((line, at) => line === other[at]);
}

function kindOf(call: string): string {
  return call.split(' ', 1)[0] ?? '';
}
