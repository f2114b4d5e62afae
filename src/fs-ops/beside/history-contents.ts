// What the directories of the history hold: asked for by whoever looks into one, once for all who do so at a time, and known for a moment
// after, so that a listing and the lookups that follow it are one call. Knows no nodes.
import type { RemoteDrive, RemoteEntry, RemoteVersion, TrashFolder, VersionedFile } from '../../remote-drive.ts';
import { Answers } from './answers.ts';
import { CONTENTS_LIFETIME_MS } from './attributes.ts';

/** Versions and removals as the service tells them. */
export class HistoryContents {
  readonly #drive: Pick<RemoteDrive, 'versions' | 'deleted'>;
  readonly #versions = new Answers<readonly RemoteVersion[]>(CONTENTS_LIFETIME_MS);
  readonly #removed = new Answers<readonly RemoteEntry[]>(CONTENTS_LIFETIME_MS);

  constructor(drive: Pick<RemoteDrive, 'versions' | 'deleted'>) {
    this.#drive = drive;
  }

  /** Of a file with that latest version: another one has other versions. */
  versions(file: VersionedFile, signal: AbortSignal): Promise<readonly RemoteVersion[]> {
    const key = `${file.syncpointId}/${file.fileId}/${file.versionId}`;
    return this.#versions.get(key, signal, () => this.#drive.versions(file));
  }

  removed(folder: TrashFolder, signal: AbortSignal): Promise<readonly RemoteEntry[]> {
    return this.#removed.get(`${folder.syncpointId}/${folder.folderId}`, signal, async () => {
      const entries: RemoteEntry[] = [];
      for await (const batch of this.#drive.deleted(folder)) entries.push(...batch);
      return entries;
    });
  }
}
