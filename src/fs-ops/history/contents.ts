// What the directories beside the tree hold: asked for by whoever looks into one, once for all who do so at a time, and known for a moment
// after, so that a listing and the lookups that follow it are one call. Knows no nodes.
import { waitFor } from '../../base/abort.ts';
import type { RemoteDrive, RemoteEntry, RemoteVersion, TrashFolder, VersionedFile } from '../../remote-drive.ts';

/** As long as a program that lists a directory takes to look at what it saw. */
export const CONTENTS_LIFETIME_MS = 10_000;
const KEPT_MAX = 256;

interface Kept<T> {
  readonly value: Promise<T>;
  /** Monotonic ms; undefined while it is under way. */
  untilMs: number | undefined;
}

/** Answers of the service, each for a moment. */
class Answers<T> {
  readonly #kept = new Map<string, Kept<T>>();

  get(key: string, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    const known = this.#kept.get(key);
    if (known !== undefined && (known.untilMs === undefined || performance.now() < known.untilMs)) {
      return waitFor(known.value, signal);
    }
    // Shared with all who ask meanwhile: it does not end with the patience of one of them.
    const kept: Kept<T> = { value: ask(), untilMs: undefined };
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    kept.value.then(
      () => {
        kept.untilMs = performance.now() + CONTENTS_LIFETIME_MS;
      },
      () => {
        if (this.#kept.get(key) === kept) this.#kept.delete(key);
      },
    );
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest);
    return waitFor(kept.value, signal);
  }
}

/** Versions and removals as the service tells them. */
export class HistoryContents {
  readonly #drive: Pick<RemoteDrive, 'versions' | 'deleted'>;
  readonly #versions = new Answers<readonly RemoteVersion[]>();
  readonly #removed = new Answers<readonly RemoteEntry[]>();

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
