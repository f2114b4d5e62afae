// `.sh_thumbnails/` of each folder: the shared repository of the freedesktop thumbnail specification, made of the pictures that the service has
// of the folder's files. One listing tells of all of them, when somebody looks in; a picture is fetched when its own name is looked up.
import { errno } from '../../base/errno.ts';
import type { ContentReader } from '../../cache/blocks.ts';
import type { Journal } from '../../cache/journal.ts';
import type { TreeDirectory, TreeFile } from '../../cache/tree.ts';
import type { RemoteThumbnail, RemoteThumbnails, ThumbnailFolder, VaultId } from '../../remote-drive.ts';
import { thumbnailName, THUMBNAIL_SIZES, type ThumbnailSize } from '../../thumbnails/thumbnail.ts';
import type { FileSystem } from '../file-system.ts';
import { FsError, type Answer, type Caller } from '../operations.ts';
import { serviceAttributes } from './attributes.ts';
import { Answers } from './answers.ts';
import type { BesideDirectory, Contents, Item, Unplaced } from './nodes.ts';
import { Pictures, type WantedThumbnail } from './pictures.ts';
import type { Shelf, ShelvedFolder } from './shelf.ts';
import { ThumbnailNames, urisOf, type NamedFile } from './thumbnail-names.ts';

export const THUMBNAILS_NAME = '.sh_thumbnails';
const SIZES = Object.keys(THUMBNAIL_SIZES) as ThumbnailSize[];

/** As long as somebody looks through a folder. Addresses of pictures are good for a while only. */
const LISTING_LIFETIME_MS = 60_000;

/** What thumbnails are made with. */
export interface ThumbnailsOptions {
  readonly fileSystem: FileSystem;
  readonly journal: Journal;
  readonly thumbnails: RemoteThumbnails;
}

/** A file whose picture shows what it holds now. */
interface Pictured {
  readonly file: TreeFile;
  readonly picture: RemoteThumbnail;
}

export class Thumbnails implements Shelf {
  readonly names = [THUMBNAILS_NAME];
  readonly #options: ThumbnailsOptions;
  readonly #hashed: ThumbnailNames;
  readonly #pictures: Pictures;
  readonly #listings = new Answers<ReadonlyMap<string, RemoteThumbnail>>(LISTING_LIFETIME_MS);

  constructor(options: ThumbnailsOptions) {
    this.#options = options;
    this.#hashed = new ThumbnailNames(options.journal.tree);
    this.#pictures = new Pictures(options.thumbnails);
  }

  enter(name: string, { directory, ...remote }: ShelvedFolder): Unplaced {
    const { inode, modified } = directory;
    const path = `${this.#options.journal.tree.path(directory)}/${name}`;
    const common = {
      kind: 'directory',
      folder: inode,
      modified,
      extendedAttributes: serviceAttributes(remote.syncpointId),
    } as const;
    const items = (of: BesideDirectory): readonly Item[] =>
      SIZES.map((size) => ({
        name: size,
        key: `${THUMBNAILS_NAME}/${inode}/${size}`,
        value: { ...common, path: `${path}/${size}`, parentInode: of.node, contents: this.#ofSize(size, remote) },
      }));
    return { ...common, path, parentInode: inode, contents: { items } };
  }

  #ofSize(size: ThumbnailSize, remote: ThumbnailFolder): Contents {
    return {
      items: (of, caller) =>
        this.#listed(of, caller, async (folder, signal) => {
          const pictures = await this.#list(folder, remote, signal);
          return this.#pictured(folder, pictures).map(({ file, picture }) => {
            const [uri] = urisOf(file.name);
            return this.#item(of, { file, uri }, picture, remote, wantedOf(size, file, uri));
          });
        }),
      item: (of, name, caller) =>
        this.#listed(of, caller, async (folder, signal) => {
          const named = this.#hashed.find(folder.inode, name);
          if (named === undefined || !this.#isStored(named.file)) return undefined;
          const picture = pictureOf(named.file, await this.#list(folder, remote, signal));
          if (picture === undefined) return undefined;
          const wanted = wantedOf(size, named.file, named.uri);
          const bytes = await this.#pictures.file(picture, this.#vaultOf(remote), wanted, signal);
          return bytes === undefined ? undefined : this.#item(of, named, picture, remote, wanted);
        }),
    };
  }

  /** The files of a folder that have pictures of what they hold. */
  #pictured(folder: TreeDirectory, pictures: ReadonlyMap<string, RemoteThumbnail>): readonly Pictured[] {
    if (pictures.size === 0) return [];
    return [...this.#options.journal.tree.children(folder.inode)].flatMap((file) => {
      if (file.kind !== 'file' || !this.#isStored(file)) return [];
      const picture = pictureOf(file, pictures);
      return picture === undefined ? [] : [{ file, picture }];
    });
  }

  /** Its content is that of a version at the service. */
  #isStored({ inode, fileId }: TreeFile): boolean {
    return fileId !== undefined && this.#options.journal.get(inode)?.content !== true;
  }

  /** Asked for anew too when the folder was listed anew: files may have changed. */
  #list(
    { inode }: TreeDirectory,
    remote: ThumbnailFolder,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, RemoteThumbnail>> {
    const { journal, thumbnails } = this.#options;
    const key = `${remote.syncpointId}/${remote.folderId}/${journal.tree.listing(inode)?.listedAtMs ?? 0}`;
    return this.#listings.get(key, signal, async () => {
      const listed = await thumbnails.list(remote);
      return new Map(listed.map((picture) => [picture.fileId, picture]));
    });
  }

  #item(
    { path, folder }: BesideDirectory,
    { file, uri }: NamedFile,
    picture: RemoteThumbnail,
    remote: ThumbnailFolder,
    wanted: WantedThumbnail,
  ): Item {
    const name = thumbnailName(uri);
    const { size, facts } = wanted;
    const key = `${THUMBNAILS_NAME}/${size}/${file.inode}/${picture.versionId}/${facts.modifiedSeconds}/${uri}`;
    const value: Unplaced = {
      kind: 'file',
      path: `${path}/${name}`,
      folder,
      modified: file.modified,
      lengthBytes: this.#pictures.known(picture.versionId, wanted)?.length,
      extendedAttributes: serviceAttributes(
        remote.syncpointId,
        ['file_id', picture.fileId],
        ['version_id', picture.versionId],
      ),
      open: () => this.#reader(`${path}/${name}`, picture, remote, wanted),
    };
    return { name, key, value };
  }

  /** Reads a thumbnail, which is fetched again where it had to make room. */
  #reader(path: string, picture: RemoteThumbnail, remote: ThumbnailFolder, wanted: WantedThumbnail): ContentReader {
    let held = this.#pictures.known(picture.versionId, wanted);
    return {
      read: async (offsetBytes, lengthBytes, signal = new AbortController().signal) => {
        held ??= await this.#pictures.file(picture, this.#vaultOf(remote), wanted, signal);
        if (held === undefined) throw new FsError(errno.EIO, `${path}: its picture is gone`);
        return [held.subarray(offsetBytes, offsetBytes + lengthBytes)];
      },
      close: () => {
        held = undefined;
      },
    };
  }

  #vaultOf({ syncpointId }: ThumbnailFolder): VaultId | undefined {
    return this.#options.journal.vaultOf(syncpointId);
  }

  /** Runs `work` once it is known what the folder holds. */
  #listed<T>(
    { folder, path }: BesideDirectory,
    caller: Caller,
    work: (folder: TreeDirectory, signal: AbortSignal) => Promise<T>,
  ): Answer<T> {
    const { fileSystem, journal } = this.#options;
    const found = journal.tree.node(folder);
    if (found?.kind !== 'directory') throw new FsError(errno.ENOENT, `the folder of ${path} is gone`);
    return fileSystem.view.listed('lookup', found, caller, () =>
      fileSystem.waits.run(
        'lookup',
        () => path,
        caller,
        (signal) => work(found, signal),
      ),
    );
  }
}

function pictureOf(
  { fileId, versionId }: TreeFile,
  pictures: ReadonlyMap<string, RemoteThumbnail>,
): RemoteThumbnail | undefined {
  const picture = fileId === undefined ? undefined : pictures.get(fileId);
  return picture?.versionId === versionId ? picture : undefined;
}

function wantedOf(size: ThumbnailSize, { modified, lengthBytes }: TreeFile, uri: string): WantedThumbnail {
  return { size, facts: { uri, modifiedSeconds: modified.seconds, lengthBytes } };
}
