// Changes a host directory as another user of it would: for tests of a directory store.
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreRefusal } from './store.ts';
import type { StoreChange } from './store.ts';

/** Makes one change below `root`; paths cannot leave it. */
export async function mutateDirectory(root: string, change: StoreChange): Promise<void> {
  const path = below(root, change.path);
  try {
    switch (change.change) {
      case 'write': {
        await writeFile(path, change.text);
        return;
      }
      case 'make-folder':
        await mkdir(path);
        return;
      case 'move': {
        await rename(path, below(root, change.to));
        return;
      }
      case 'remove': {
        await rm(path, { recursive: true });
        return;
      }
    }
  } catch (error) {
    throw new StoreRefusal(`${change.change} ${change.path}: ${(error as Error).message}`);
  }
}

function below(root: string, path: string): string {
  const names = path.split('/').filter((name) => name !== '');
  if (names.length === 0 || names.some((name) => name === '..' || name === '.' || name.includes('\0'))) {
    throw new StoreRefusal(`not a path below the root: ${path}`);
  }
  return join(root, ...names);
}
