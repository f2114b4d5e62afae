import { describe, expect, it } from 'vitest';
import { MadeFolders } from '../../src/cache/tree/made-folders.ts';

const inFolder = (folders: MadeFolders, folder: number): [string, number][] | undefined => {
  const names = folders.namesIn(folder);
  return names === undefined ? undefined : [...names];
};

describe('names in folders made here', () => {
  it('knows all names of a folder that it saw begin, and nothing of any other', () => {
    const folders = new MadeFolders();
    folders.begin(16);
    folders.put(16, 'a', 17);
    folders.put(99, 'a', 18);
    expect(inFolder(folders, 16)).toEqual([['a', 17]]);
    expect(inFolder(folders, 99)).toBeUndefined();
    folders.remove(16, 'a', 17);
    expect(inFolder(folders, 16)).toEqual([]);
    folders.end(16);
    expect(inFolder(folders, 16)).toBeUndefined();
  });

  it('leaves a name to another entry that has it by now', () => {
    const folders = new MadeFolders();
    folders.begin(16);
    folders.put(16, 'a', 17);
    folders.put(16, 'a', 18);
    folders.remove(16, 'a', 17);
    expect(inFolder(folders, 16)).toEqual([['a', 18]]);
  });

  it('forgets rather than grow without end, and then says that it does not know', () => {
    const folders = new MadeFolders();
    folders.begin(16);
    let known = 0;
    for (let inode = 17; inode < 60_000; inode += 1) {
      folders.put(16, `name ${inode}`, inode);
      known = Math.max(known, folders.namesIn(16)?.size ?? 0);
    }
    expect(known).toBeGreaterThan(10_000);
    expect(known).toBeLessThan(40_000);
    expect(inFolder(folders, 16)).toBeUndefined();
    folders.begin(60_000);
    expect(inFolder(folders, 60_000)).toEqual([]);
  });
});
