// A tree that was damaged while nobody had it open: refused in words, left as it is; one closed in order opens at once.
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lmdbState } from '../../src/base/lmdb-state.ts';
import { ROOT_INODE, type TreeNode } from '../../src/cache/tree.ts';
import { openTree } from '../../src/cache/tree/open-tree.ts';
import { treeDatabases } from '../../src/cache/tree/tables.ts';
import type { FolderId, SyncpointId } from '../../src/remote-drive.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let file: string;

beforeEach(async () => {
  directory = temporaryDirectory();
  file = join(directory.path, 'data.mdb');
  const tree = await openTree(directory.path);
  for (let slice = 0; slice < 10; slice += 1) {
    tree.apply(
      Array.from({ length: 200 }, (_, at) => folder(`folder ${200 * slice + at}`)),
      [],
      true,
    );
  }
  await tree.close();
});

afterEach(() => directory.remove());

function folder(name: string): TreeNode {
  return {
    kind: 'directory',
    inode: 0,
    parent: ROOT_INODE,
    name,
    remoteName: name,
    remote: { syncpointId: '1' as SyncpointId, folderId: '2' as FolderId },
    syncpoint: undefined,
    modified: { seconds: 0, nanoseconds: 0 },
    local: undefined,
  };
}

function state(): Promise<string> {
  return lmdbState(directory.path, { databases: treeDatabases, timeoutMs: 20_000 });
}

function noiseIn(bytes: Buffer, offset: number): Buffer {
  return Buffer.concat([bytes.subarray(0, offset), randomBytes(32_768), bytes.subarray(offset + 32_768)]);
}

describe('a tree', () => {
  it.each<[string, (bytes: Buffer) => Buffer]>([
    ['cut to 100 bytes', (bytes) => bytes.subarray(0, 100)],
    ['cut to a page', (bytes) => bytes.subarray(0, 4096)],
    ['cut to its headers', (bytes) => bytes.subarray(0, 8192)],
    ['cut in half', (bytes) => bytes.subarray(0, bytes.length / 2)],
    ['of noise', (bytes) => randomBytes(bytes.length)],
    ['with noise after its headers', (bytes) => noiseIn(bytes, 8192)],
  ])('%s is refused, naming it and what to do, and left as it is', async (_, damage) => {
    const damaged = damage(readFileSync(file));
    writeFileSync(file, damaged);
    for (let round = 0; round < 2; round += 1) {
      await expect(openTree(directory.path)).rejects.toThrow(
        `the tree in ${directory.path} is damaged (what the program knows of the service's folders); move it away to start anew (nothing that is stored at Syncplicity is lost)`,
      );
      expect(readFileSync(file).equals(damaged)).toBe(true);
    }
  });

  it('closed in order is not read through; one that was not is, and opens, unchanged', async () => {
    const bytes = readFileSync(file);
    expect(await state()).toBe('closed');
    // The mark is good for one start.
    expect(await state()).toBe('sound');
    expect(readFileSync(file).equals(bytes)).toBe(true);
    const tree = await openTree(directory.path);
    expect([...tree.children(ROOT_INODE)]).toHaveLength(2000);
    await tree.close();
    expect(await state()).toBe('closed');
  });

  it('that a start left empty, having no more room, begins anew', async () => {
    writeFileSync(file, '');
    const tree = await openTree(directory.path);
    expect([...tree.children(ROOT_INODE)]).toEqual([]);
    await tree.close();
  });
});
