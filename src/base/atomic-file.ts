// A file replaced as a whole: after a crash it holds what it held before or all of what is new, never a part.
import { randomBytes } from 'node:crypto';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Replaces what `path` holds, with the given permission bits. Durable when it resolves; on failure nothing is left behind. */
export async function replaceFile(path: string, content: string | Uint8Array, permissions: number): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
  const file = await open(temporary, 'wx', permissions);
  try {
    try {
      // open() passes the bits through the umask, which may only have taken some away; a later rename keeps them.
      await file.chmod(permissions);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch((cause: unknown) => {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    });
    throw error;
  }
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
