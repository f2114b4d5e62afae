// Paths of an account that is not mounted: names as a mount shows them, as the service has them, and as somebody blind to case types them.
import { beforeEach, describe, expect, it } from 'vitest';
import { findRemote } from '../../src/mount/remote-path.ts';
import type { RemoteSyncpoint } from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';

let drive: MemoryDrive;
let projects: RemoteSyncpoint;

beforeEach(() => {
  drive = new MemoryDrive();
  projects = drive.addSyncpoint('Projects');
});

const find = (path: string): ReturnType<typeof findRemote> => findRemote(drive, path, {});

describe('a path', () => {
  it('leads to the root, a syncpoint, a folder and a file', async () => {
    const folder = drive.addFolder(projects.rootFolderId, '2017');
    const file = drive.addFile(folder, 'a.zip', 'hello');
    const placed = { syncpointId: projects.id, syncpointName: 'Projects' };
    expect(await find('/')).toEqual({ kind: 'root' });
    expect(await find('/Projects')).toEqual({
      ...placed,
      kind: 'syncpoint',
      folderId: projects.rootFolderId,
      names: [],
    });
    expect(await find('/Projects/2017/')).toEqual({ ...placed, kind: 'folder', folderId: folder, names: ['2017'] });
    expect(await find('/Projects/2017/a.zip')).toEqual({
      ...placed,
      kind: 'file',
      folderId: folder,
      fileId: file.id,
      versionId: file.versionId,
      names: ['2017', 'a.zip'],
      isPending: false,
    });
  });

  it('takes the exact name first, then the only one that folds to it', async () => {
    drive.addFile(projects.rootFolderId, 'Plan.txt', '1');
    const exact = drive.addFile(projects.rootFolderId, 'plan.txt', '2');
    const accented = drive.addFile(projects.rootFolderId, 'Cafe\u0301', '3');
    expect(await find('/projects/plan.txt')).toMatchObject({ fileId: exact.id });
    expect(await find('/Projects/CAF\u00c9')).toMatchObject({ fileId: accented.id, names: ['Cafe\u0301'] });
    await expect(find('/Projects/PLAN.TXT')).rejects.toThrow(
      '"PLAN.TXT" in /Projects may be any of "Plan.txt", "plan.txt": write one of these',
    );
  });

  it('knows names as a mount shows them', async () => {
    const odd = drive.addFile(projects.rootFolderId, 'a/b', '1');
    expect(await find('/Projects/a%2Fb')).toMatchObject({ fileId: odd.id, names: ['a/b'] });
    const other = drive.addSyncpoint('Projects', { owner: 'al@example.com' });
    expect(await find('/Projects (al@example.com)')).toMatchObject({ syncpointId: other.id });
    expect(await find(`/Projects #${projects.id}`)).toMatchObject({ syncpointId: projects.id });
    await expect(find('/Projects')).rejects.toThrow('"Projects" in / may be any of');
  });

  it.each([
    ['/Nothing', 'there is no syncpoint "Nothing"'],
    ['/Projects/no', 'there is nothing at /Projects/no'],
    ['/Projects/file/no', '/Projects/file is a file: nothing can be at /Projects/file/no'],
  ])('%s is refused', async (path, message) => {
    drive.addFile(projects.rootFolderId, 'file', '1');
    await expect(find(path)).rejects.toThrow(message);
  });
});
