// Contents that no longer have a place in a store's directory: older versions and what was removed, below the state directory.
// Promises: moving one here or back leaves it whole, across file systems too. Must not know: ids' meaning, records.
import { copyFileSync, cpSync, linkSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

export class KeptFiles {
  readonly #versions: string;
  readonly #removed: string;

  constructor(stateDirectory: string) {
    this.#versions = join(stateDirectory, 'versions');
    this.#removed = join(stateDirectory, 'trash');
    mkdirSync(this.#versions, { recursive: true, mode: 0o700 });
    mkdirSync(this.#removed, { recursive: true, mode: 0o700 });
  }

  versionPath(fileId: number, generation: number): string {
    return join(this.#versions, String(fileId), String(generation));
  }

  removedPath(id: number): string {
    return join(this.#removed, String(id));
  }

  /** Keeps a file's content as a version; the file stays where it is. */
  keepVersion(path: string, fileId: number, generation: number): void {
    const kept = this.versionPath(fileId, generation);
    mkdirSync(dirname(kept), { recursive: true, mode: 0o700 });
    // Left by a process that ended before it was through.
    rmSync(kept, { force: true });
    try {
      linkSync(path, kept);
    } catch (error) {
      if (!isAcrossFileSystems(error)) throw error;
      copyFileSync(path, kept);
    }
  }

  /** Takes a file or directory out of its place. */
  keepRemoved(path: string, id: number): void {
    const kept = this.removedPath(id);
    rmSync(kept, { force: true, recursive: true });
    try {
      renameSync(path, kept);
    } catch (error) {
      if (!isAcrossFileSystems(error)) throw error;
      cpSync(path, kept, { recursive: true, preserveTimestamps: true });
      rmSync(path, { recursive: true });
    }
  }

  forgetVersion(fileId: number, generation: number): void {
    rmSync(this.versionPath(fileId, generation), { force: true });
  }

  forgetVersions(fileId: number): void {
    rmSync(join(this.#versions, String(fileId)), { force: true, recursive: true });
  }

  forgetRemoved(id: number): void {
    rmSync(this.removedPath(id), { force: true, recursive: true });
  }
}

/** A link or rename that the host's file systems do not allow between these two places. */
function isAcrossFileSystems(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EXDEV' || code === 'EPERM';
}
