// What a directory store saw and cannot serve, by folder, so that listing a folder again does not count twice.
import type { LeftOut, LeftOutCause } from './store.ts';

// Reports are read by people: beyond this many, counts tell enough.
const EXAMPLES_MAX = 5000;
const EXAMPLES_PER_FOLDER = 200;

interface FolderReport {
  readonly counts: Readonly<Record<LeftOutCause, number>>;
  readonly examples: LeftOut['examples'];
}

export class LeftOutReport {
  readonly #folders = new Map<number, FolderReport>();

  /** Replaces what is known of one folder. */
  set(folderId: number, path: string, leftOut: readonly { name: string; cause: LeftOutCause }[]): void {
    this.#folders.delete(folderId);
    if (leftOut.length === 0) return;
    const counts = { 'symbolic link': 0, 'special file': 0, 'name is not UTF-8': 0, unreadable: 0 };
    for (const { cause } of leftOut) counts[cause]++;
    const examples = leftOut
      .slice(0, EXAMPLES_PER_FOLDER)
      .map(({ name, cause }) => ({ path: `${path}/${name}`, cause }));
    this.#folders.set(folderId, { counts, examples });
  }

  forget(folderId: number): void {
    this.#folders.delete(folderId);
  }

  report(): LeftOut {
    const total = { 'symbolic link': 0, 'special file': 0, 'name is not UTF-8': 0, unreadable: 0 };
    const examples: LeftOut['examples'][number][] = [];
    for (const folder of this.#folders.values()) {
      for (const cause of Object.keys(total) as LeftOutCause[]) total[cause] += folder.counts[cause];
      if (examples.length < EXAMPLES_MAX) examples.push(...folder.examples);
    }
    return {
      symbolicLinks: total['symbolic link'],
      specialFiles: total['special file'],
      namesNotUtf8: total['name is not UTF-8'],
      unreadable: total.unreadable,
      examples,
    };
  }
}

/** One line for people; undefined when nothing was left out. */
export function leftOutSummary(leftOut: LeftOut): string | undefined {
  const parts = [
    [leftOut.symbolicLinks, 'symbolic link', 'symbolic links'],
    [leftOut.specialFiles, 'special file', 'special files'],
    [leftOut.namesNotUtf8, 'name that is not UTF-8', 'names that are not UTF-8'],
    [leftOut.unreadable, 'unreadable entry', 'unreadable entries'],
  ] as const;
  const texts = parts
    .filter(([count]) => count > 0)
    .map(([count, one, many]) => `${count} ${count === 1 ? one : many}`);
  return texts.length === 0 ? undefined : `left out: ${texts.join(', ')}`;
}
