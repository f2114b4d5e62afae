// Names of thumbnails to files: both kinds of names, files that come, go and change their names, and that not every name is a new look.
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { TreeFile, TreeNode } from '../../../src/cache/tree.ts';
import { ThumbnailNames } from '../../../src/fs-ops/beside/thumbnail-names.ts';

const hash = (text: string): string => `${createHash('md5').update(text).digest('hex')}.png`;

let files: Map<number, TreeFile>;
let looks: number;
let names: ThumbnailNames;

function file(inode: number, name: string): void {
  // What else a file has does not matter here.
  files.set(inode, { kind: 'file', inode, name, parent: 1 } as TreeFile);
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  files = new Map();
  looks = 0;
  names = new ThumbnailNames({
    children: function* (parent: number): Generator<TreeNode> {
      looks += 1;
      for (const one of files.values()) if (one.parent === parent) yield one;
    },
    node: (inode: number) => files.get(inode),
  });
  file(10, 'ü b.png');
});

afterEach(() => {
  vi.useRealTimers();
});

it('are found by the URI in the folder, and by the name alone', () => {
  expect(names.find(1, hash('./%C3%BC%20b.png'))).toMatchObject({ file: { inode: 10 }, uri: './%C3%BC%20b.png' });
  expect(names.find(1, hash('ü b.png'))).toMatchObject({ file: { inode: 10 }, uri: 'ü b.png' });
  expect(names.find(2, hash('ü b.png'))).toBeUndefined();
  expect(names.find(1, 'normal')).toBeUndefined();
});

it('are hashed once for many lookups, and anew for what came since', () => {
  expect(names.find(1, hash('new.png'))).toBeUndefined();
  file(11, 'new.png');
  for (let index = 0; index < 50; index += 1) names.find(1, hash(`${index}`));
  expect(looks).toBe(1);
  vi.advanceTimersByTime(1_001);
  expect(names.find(1, hash('new.png'))).toMatchObject({ file: { inode: 11 } });
  expect(looks).toBe(2);
});

it('are not those of files that are gone, or called otherwise now', () => {
  expect(names.find(1, hash('ü b.png'))).toBeDefined();
  file(10, 'other.png');
  expect(names.find(1, hash('ü b.png'))).toBeUndefined();
  vi.advanceTimersByTime(1_001);
  expect(names.find(1, hash('other.png'))).toBeDefined();
  files.clear();
  expect(names.find(1, hash('other.png'))).toBeUndefined();
});
