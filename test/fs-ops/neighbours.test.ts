// Files read one after another: which ones are asked for before they are opened, and which never are.
import { beforeEach, describe, expect, it } from 'vitest';
import type { TreeFile, TreeNode } from '../../src/cache/tree.ts';
import { Neighbours } from '../../src/fs-ops/neighbours.ts';

const time = { seconds: 0, nanoseconds: 0 };

function file(inode: number, name: string, more: Partial<TreeFile> = {}): TreeFile {
  const ids = { fileId: undefined, versionId: undefined } as const;
  const times = { modified: time, created: time };
  const rest = { sha256: undefined, staged: undefined, local: undefined };
  return {
    kind: 'file',
    inode,
    parent: 1,
    name,
    remoteName: name,
    ...ids,
    lengthBytes: 4096,
    ...times,
    ...rest,
    ...more,
  };
}

let nodes: TreeNode[];
/** Names asked for, and those of which that was ended. */
let asked: string[];
let ended: string[];
let neighbours: Neighbours<TreeFile>;
let nowMs: number;

beforeEach(() => {
  asked = [];
  ended = [];
  nodes = [];
  nowMs = 0;
  const tree = {
    *children(parent: number, after = 0) {
      yield* nodes.filter((node) => node.parent === parent && node.inode > after).sort((a, b) => a.inode - b.inode);
    },
    *childrenByName(parent: number, after = '') {
      const here = nodes.filter((node) => node.parent === parent && node.name > after);
      yield* here.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    // Directories 1 to 8 lie beside each other, 9 above them.
    node: (inode: number) => ({ parent: inode < 9 ? 9 : 0 }) as TreeNode,
  };
  const fetch = ({ name }: TreeFile) => {
    asked.push(name);
    return () => ended.push(name);
  };
  neighbours = new Neighbours<TreeFile>({
    tree,
    kind: 'file',
    weightOf: ({ lengthBytes }) => (lengthBytes === 0 ? undefined : lengthBytes),
    fetch,
    aheadMax: 64,
    weightMax: 1_000_000,
    nowMs: () => nowMs,
  });
});

/** Files f000, f001, ... of inode numbers in that order, or turned round. */
function fill(count: number, order: 'same' | 'reversed' = 'same', parent = 1): TreeFile[] {
  const made = Array.from({ length: count }, (_, index) =>
    file(parent * 1000 + (order === 'same' ? index : count - index), `f${String(index).padStart(3, '0')}`, { parent }),
  );
  nodes.push(...made);
  return made;
}

describe('files read one after another', () => {
  it.each(['same', 'reversed'] as const)(
    'are asked for ahead, more with each, each once: inode numbers %s',
    (order) => {
      const files = fill(200, order);
      files.slice(0, 1).forEach((each) => neighbours.taken(each));
      expect(asked).toEqual([]);
      files.slice(1, 2).forEach((each) => neighbours.taken(each));
      expect(asked).toEqual(['f002', 'f003', 'f004', 'f005']);
      for (const each of files.slice(2)) neighbours.taken(each);
      expect(asked).toEqual(files.slice(2).map(({ name }) => name));
      expect(ended).toEqual(asked);
    },
  );

  it('are never more than 64 ahead', () => {
    const files = fill(200);
    let most = 0;
    for (const each of files) {
      neighbours.taken(each);
      most = Math.max(most, asked.length - ended.length);
    }
    expect(most).toBe(64);
  });

  it('are neither what counts for nothing, nor directories, and no more than their weights allow', () => {
    const files = fill(3);
    const directory = { ...file(1010, 'g'), kind: 'directory' } as unknown as TreeNode;
    nodes.push(
      directory,
      file(1011, 'h', { lengthBytes: 0 }),
      file(1012, 'i', { lengthBytes: 2_000_000 }),
      file(1013, 'j'),
    );
    for (const each of files) neighbours.taken(each);
    expect(asked).toEqual(['f002', 'i']);
  });

  it('by people, who take their time, are not', () => {
    const files = fill(20);
    for (const each of files) {
      neighbours.taken(each);
      nowMs += 3_000;
    }
    expect(asked).toEqual([]);
  });

  it('in another order than that of the directory or of names are not', () => {
    const files = fill(200);
    for (let at = 0; at < 200; at += 1) neighbours.taken(files[(at * 67) % 200] as TreeFile);
    expect(asked).toEqual([]);
  });

  it('by several readers out of order are', () => {
    const files = fill(40);
    for (const at of [0, 2, 1, 4, 3, 6, 5]) neighbours.taken(files[at] as TreeFile);
    expect(asked).toContain('f010');
  });

  it('go on in the directory beside it at once, but neither in the one above nor much later', () => {
    const files = fill(5);
    const next = fill(5, 'same', 2);
    for (const each of files) neighbours.taken(each);
    neighbours.taken(next[0] as TreeFile);
    expect(asked.slice(3)).toEqual(['f001', 'f002', 'f003', 'f004']);
    const above = fill(5, 'same', 9);
    neighbours.taken(above[0] as TreeFile);
    expect(asked).toHaveLength(7);
    const later = fill(5, 'same', 3);
    nowMs = 10_000;
    neighbours.taken(later[0] as TreeFile);
    expect(asked).toHaveLength(7);
  });

  it('are not fetched any more once the reader went elsewhere, or the drive is stopped', () => {
    const files = fill(200);
    neighbours.taken(files[0] as TreeFile);
    neighbours.taken(files[1] as TreeFile);
    neighbours.taken(files[150] as TreeFile);
    expect(ended).toEqual(asked);
    neighbours.taken(files[151] as TreeFile);
    expect(asked.length).toBeGreaterThan(ended.length);
    neighbours.stop();
    expect(ended).toEqual(asked);
  });
});
