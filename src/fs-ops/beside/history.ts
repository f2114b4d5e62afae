// What files were and what folders held: `.versions/FILE/` in each folder has the versions of a file, `.deleted/` what was removed from the
// folder. No verb changes anything in them.
import { errno } from '../../base/errno.ts';
import type { ContentReader } from '../../cache/blocks.ts';
import type { Journal } from '../../cache/journal.ts';
import type { TreeDirectory, TreeFile } from '../../cache/tree.ts';
import type {
  ContentReference,
  FileId,
  RemoteDrive,
  RemoteEntry,
  SyncpointId,
  Timestamp,
  TrashFolder,
} from '../../remote-drive.ts';
import type { FileSystem } from '../file-system.ts';
import { FsError, type Answer, type Caller } from '../operations.ts';
import { serviceAttributes } from './attributes.ts';
import { HistoryContents } from './history-contents.ts';
import { namedRemovals, namedVersions } from './history-names.ts';
import type { BesideDirectory, Contents, Item, Unplaced } from './nodes.ts';
import { notOfTheName, type Shelf, type ShelvedFolder } from './shelf.ts';

export const VERSIONS_NAME = '.versions';
export const DELETED_NAME = '.deleted';

/** What the history works with. */
export interface HistoryOptions {
  readonly fileSystem: FileSystem;
  readonly journal: Journal;
  readonly drive: Pick<RemoteDrive, 'versions' | 'deleted'>;
  readonly reader: (content: ContentReference) => ContentReader;
}

export class History implements Shelf {
  readonly names = [VERSIONS_NAME, DELETED_NAME];
  readonly #options: HistoryOptions;
  readonly #contents: HistoryContents;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#contents = new HistoryContents(options.drive);
  }

  enter(name: string, { directory, syncpointId, folderId }: ShelvedFolder): Unplaced {
    const { inode, modified } = directory;
    const path = `${this.#options.journal.tree.path(directory)}/${name}`;
    const common = { kind: 'directory', parentInode: inode, path, folder: inode, modified } as const;
    return name === VERSIONS_NAME
      ? { ...common, extendedAttributes: serviceAttributes(syncpointId), contents: this.#versionsOfAll(syncpointId) }
      : { ...common, ...this.#removed({ syncpointId, folderId, isRemoved: false }) };
  }

  /** A directory for each file of a folder. */
  #versionsOfAll(syncpointId: SyncpointId): Contents {
    const { journal, fileSystem } = this.#options;
    const listed = <T>(of: BesideDirectory, caller: Caller, work: (folder: TreeDirectory) => Answer<T>): Answer<T> => {
      const folder = this.#folder(of);
      return fileSystem.view.listed('lookup', folder, caller, () => work(folder));
    };
    return {
      items: (of, caller) =>
        listed(of, caller, ({ inode }) => {
          const children = [...journal.tree.children(inode)];
          return children.flatMap((child) =>
            child.kind === 'file' ? (this.#fileVersions(of, syncpointId, child) ?? []) : [],
          );
        }),
      item: (of, name, caller) =>
        listed(of, caller, ({ inode }) => {
          const file = journal.tree.child(inode, name);
          return file?.kind === 'file' ? this.#fileVersions(of, syncpointId, file) : undefined;
        }),
    };
  }

  /** The directory of a file's versions; undefined where the service has no version of it. Costs no call. */
  #fileVersions(above: BesideDirectory, syncpointId: SyncpointId, file: TreeFile): Item | undefined {
    const { fileId, inode, name, modified } = file;
    if (fileId === undefined || file.versionId === undefined) return undefined;
    const { folder, node } = above;
    const contents: Contents = {
      items: (of, caller) =>
        this.#asked(of, caller, (signal) => this.#versions(of, { syncpointId, fileId, inode }, signal)),
    };
    const value = { kind: 'directory', parentInode: node, path: `${above.path}/${name}`, folder, modified } as const;
    const extendedAttributes = serviceAttributes(syncpointId, ['file_id', fileId]);
    return { name, key: `${VERSIONS_NAME}/${folder}/${inode}`, value: { ...value, extendedAttributes, contents } };
  }

  async #versions(
    of: BesideDirectory,
    {
      syncpointId,
      fileId,
      inode,
    }: { readonly syncpointId: SyncpointId; readonly fileId: FileId; readonly inode: number },
    signal: AbortSignal,
  ): Promise<readonly Item[]> {
    const present = this.#options.journal.tree.node(inode);
    if (present?.kind !== 'file' || present.versionId === undefined) {
      throw new FsError(errno.ENOENT, `the file of ${of.path} is gone`);
    }
    const versions = await this.#contents.versions({ syncpointId, fileId, versionId: present.versionId }, signal);
    return [...namedVersions(present.name, versions)].map(([name, { id, lengthBytes, added }]) =>
      this.#file(of, name, { syncpointId, versionId: id, lengthBytes }, added ?? present.modified),
    );
  }

  /** What was removed from a folder. */
  #removed(trash: TrashFolder): Pick<BesideDirectory, 'extendedAttributes' | 'contents'> {
    const { waits } = this.#options.fileSystem;
    const contents: Contents = {
      items: (of, caller) =>
        this.#asked(of, caller, async (signal) => {
          try {
            const entries = await this.#contents.removed(trash, signal);
            return [...namedRemovals(entries)].map(([name, entry]) => this.#removal(of, trash, name, entry));
          } catch (error) {
            // The service does not tell of what is in the trash: the name is there all the same.
            const failure = waits.failed('readdir', of.path, error);
            throw trash.isRemoved ? notOfTheName(failure, errno.EACCES) : failure;
          }
        }),
    };
    return { extendedAttributes: serviceAttributes(trash.syncpointId, ['folder_id', trash.folderId]), contents };
  }

  #removal(above: BesideDirectory, { syncpointId }: TrashFolder, name: string, entry: RemoteEntry): Item {
    if (entry.kind === 'file') return this.#file(above, name, { syncpointId, ...entry }, entry.modified);
    const { folder, node, modified } = above;
    const value = { kind: 'directory', parentInode: node, path: `${above.path}/${name}`, folder, modified } as const;
    const below = this.#removed({ syncpointId, folderId: entry.id, isRemoved: true });
    return { name, key: `removed/${folder}/${entry.id}`, value: { ...value, ...below } };
  }

  #file(
    { path, folder }: BesideDirectory,
    name: string,
    { syncpointId, versionId, lengthBytes }: Omit<ContentReference, 'vaultId'>,
    modified: Timestamp,
  ): Item {
    const { journal, reader } = this.#options;
    const content = { syncpointId, versionId, vaultId: journal.vaultOf(syncpointId), lengthBytes };
    return {
      name,
      key: `version/${folder}/${versionId}`,
      value: {
        kind: 'file',
        path: `${path}/${name}`,
        folder,
        modified,
        lengthBytes,
        extendedAttributes: serviceAttributes(syncpointId, ['version_id', versionId]),
        open: () => reader(content),
      },
    };
  }

  #asked<T>({ path }: BesideDirectory, caller: Caller, work: (signal: AbortSignal) => Promise<T>): Answer<T> {
    return this.#options.fileSystem.waits.run('readdir', () => path, caller, work);
  }

  /** The folder of the tree that a directory hangs on. */
  #folder({ folder, path }: BesideDirectory): TreeDirectory {
    const found = this.#options.journal.tree.node(folder);
    if (found?.kind !== 'directory') throw new FsError(errno.ENOENT, `the folder of ${path} is gone`);
    return found;
  }
}
