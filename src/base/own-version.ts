// The version of this program: that of package.json, which lies above the sources and the built program alike.
import { readFile } from 'node:fs/promises';

/** As in package.json; "unknown" where that cannot be found. */
export async function ownVersion(): Promise<string> {
  let directory = new URL('.', import.meta.url);
  while (directory.pathname !== '/') {
    try {
      const text = await readFile(new URL('package.json', directory), 'utf8');
      const { name, version } = JSON.parse(text) as { name?: unknown; version?: unknown };
      if (name === 'syncplicityfs' && typeof version === 'string') return version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    directory = new URL('..', directory);
  }
  return 'unknown';
}
