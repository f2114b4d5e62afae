// The whole drive, read through the kernel, against each dialect the documents allow: the same tree, the same bytes.
import { open, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../src/emulator/dialect.ts';
import { Drive, fuseExists, pattern } from './drive.ts';

const big = pattern(3_000_000, 1);
let drive: Drive;

beforeEach(() => {
  drive = new Drive();
});

afterEach(async () => {
  await drive.stop();
});

describe.skipIf(!fuseExists)('a drive over each dialect', () => {
  it.each(Object.keys(dialects) as DialectName[])('%s', async (name) => {
    const { id, rootFolderId } = drive.store.addSyncpoint('Projects');
    const readOnly = drive.store.addSyncpoint('Handbook', { permission: 3 });
    drive.store.addSyncpoint('My drive', { type: 8 });
    const when = 14_735_762_719_000_001n;
    drive.store.addFile(id, rootFolderId, 'big.bin', big, { modified: when });
    drive.store.addFile(id, rootFolderId, 'empty', Buffer.alloc(0));
    drive.store.addFile(readOnly.id, readOnly.rootFolderId, 'rules.txt', Buffer.from('be kind'));
    const names = ['ä ö.txt', '日本語.md', 'a%20b', '.hidden', 'UPPER', 'upper', 'e\u0301'];
    const folder = drive.store.addFolder(id, rootFolderId, 'names');
    for (const each of names) drive.store.addFile(id, folder.id, each, Buffer.from(each));
    const many = drive.store.addFolder(id, rootFolderId, 'many');
    for (let i = 0; i < 2300; i += 1) drive.store.addFile(id, many.id, `file${i}`, Buffer.from(String(i)));
    for (let i = 0; i < 1200; i += 1) drive.store.addFolder(id, many.id, `sub${i}`);
    await drive.serve({ dialect: dialects[name] });
    await drive.mount();

    const at = (...path: string[]): string => join(drive.mountpoint, ...path);
    expect((await readdir(drive.mountpoint)).sort()).toEqual(['Handbook', 'My drive', 'Projects']);
    expect((await readdir(at('Projects'))).sort()).toEqual(['big.bin', 'empty', 'many', 'names']);
    expect((await readdir(at('Projects', 'names'))).sort()).toEqual([...names].sort());
    for (const each of names) expect(await readFile(at('Projects', 'names', each), 'utf8')).toBe(each);
    const listed = await readdir(at('Projects', 'many'), { withFileTypes: true });
    expect(listed.filter((entry) => entry.isFile())).toHaveLength(2300);
    expect(listed.filter((entry) => entry.isDirectory())).toHaveLength(1200);
    expect(await readFile(at('Projects', 'many', 'file2299'), 'utf8')).toBe('2299');

    // From the middle first, as a program that reads a trailer does, then all of it.
    const file = await open(at('Projects', 'big.bin'));
    const tail = Buffer.alloc(1000);
    await file.read(tail, 0, 1000, 2_900_001);
    await file.close();
    expect(tail.equals(big.subarray(2_900_001, 2_901_001))).toBe(true);
    expect((await readFile(at('Projects', 'big.bin'))).equals(big)).toBe(true);
    expect(await readFile(at('Projects', 'empty'))).toHaveLength(0);

    const attributes = await stat(at('Projects', 'big.bin'), { bigint: true });
    const wholeMs = 1_473_576_271_900n * 1_000_000n;
    expect([wholeMs, wholeMs + 100n]).toContain(attributes.mtimeNs);
    expect(attributes.size).toBe(3_000_000n);
    expect((await stat(at('Handbook', 'rules.txt'))).mode & 0o777).toBe(0o444);
  });
});
