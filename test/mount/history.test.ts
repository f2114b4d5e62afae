// `.versions` and `.deleted` through the real kernel: what programs see of earlier versions and of what was removed, what it costs, and
// that nothing of it can be changed or is met by those who do not ask.
import { execFile } from 'node:child_process';
import {
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialects } from '../../src/emulator/dialect.ts';
import { Drive, fuseExists, pattern } from './drive.ts';
import { kernelTransportOnly } from '../cli/program.ts';

const run = promisify(execFile);
let drive: Drive;
let id: number;
let root: number;
let fileId: number;
let project: string;

beforeEach(() => {
  drive = new Drive();
  ({ id, rootFolderId: root } = drive.store.addSyncpoint('Projects'));
  ({ id: fileId } = drive.store.addFile(id, root, 'plan.docx', Buffer.from('first')));
  drive.store.writeFile(id, fileId, Buffer.from('second one'));
  drive.store.writeFile(id, fileId, Buffer.from('the third'));
  project = join(drive.mountpoint, 'Projects');
});

afterEach(async () => {
  await drive.stop();
});

const versionsOf = (name = 'plan.docx'): string => join(project, '.versions', name);

/** Contents of a directory's files, in the order of their names. */
async function contents(directory: string): Promise<string[]> {
  const names = (await readdir(directory)).sort();
  return Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')));
}

function calls(): Readonly<Record<string, number>> {
  return { ...drive.emulator.calls().byEndpoint };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'done',
    (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error),
  );
}

describe.skipIf(!fuseExists)('.versions', () => {
  it('has the versions of a file, named by time, number and user, with their bytes', async () => {
    await drive.serve();
    await drive.mount();
    const names = (await readdir(versionsOf())).sort();
    expect(names).toHaveLength(3);
    names.forEach((name, index) => {
      expect(name).toMatch(new RegExp(`^\\d{4}-\\d\\d-\\d\\dT\\d\\d\\.\\d\\d\\.\\d\\dZ v${index + 1} [^/]+\\.docx$`));
    });
    expect(await contents(versionsOf())).toEqual(['first', 'second one', 'the third']);
    const { size, nlink, mode, mtime } = await stat(join(versionsOf(), names[1] ?? ''));
    expect([size, nlink, mode & 0o777]).toEqual([10, 1, 0o644]);
    expect(names[1]).toContain(mtime.toISOString().slice(0, 19).replaceAll(':', '.'));
  });

  it('is reached by name alone, and costs one call for all that look within a moment', async () => {
    await drive.serve();
    await drive.mount();
    expect(await readdir(project)).toEqual(['plan.docx']);
    const { stdout } = await run('find', [drive.mountpoint, '-ls']);
    expect(stdout).not.toContain('.versions');
    await run('du', ['-a', drive.mountpoint]);
    expect(calls()['versions']).toBeUndefined();
    expect(await readdir(join(project, '.versions'))).toEqual(['plan.docx']);
    await lstat(versionsOf());
    expect(calls()['versions']).toBeUndefined();
    await run('ls', ['-la', versionsOf()]);
    await contents(versionsOf());
    expect(calls()['versions']).toBe(1);
  });

  it('keeps old bytes on this machine: after a remount only the list is asked for', async () => {
    const bytes = pattern(3 << 20, 5);
    drive.store.writeFile(id, fileId, bytes);
    drive.store.writeFile(id, fileId, Buffer.from('short'));
    await drive.serve();
    await drive.mount();
    const name = (await readdir(versionsOf())).sort()[3] ?? '';
    expect((await readFile(join(versionsOf(), name))).equals(bytes)).toBe(true);
    await drive.unmount();
    const before = calls();
    await drive.mount();
    expect((await readFile(join(versionsOf(), name))).equals(bytes)).toBe(true);
    expect(calls()['retrieveFile']).toBe(before['retrieveFile']);
  });

  it('shows what was stored through the drive, version by version', async () => {
    await drive.serve();
    await drive.mount();
    const file = join(project, 'new.txt');
    for (const text of ['one', 'two!', 'three']) {
      await writeFile(file, text);
      await drive.succeed(['flush', drive.mountpoint]);
    }
    expect(await contents(versionsOf('new.txt'))).toEqual(['one', 'two!', 'three']);
    await writeFile(file, 'not stored yet');
    expect(await contents(versionsOf('new.txt'))).toEqual(['one', 'two!', 'three']);
  });

  it('gives an old version back to cp, as a file that can be written to', async () => {
    await drive.serve();
    await drive.mount();
    const [first = ''] = (await readdir(versionsOf())).sort();
    const file = join(project, 'plan.docx');
    await run('cp', [join(versionsOf(), first), file]);
    expect(await readFile(file, 'utf8')).toBe('first');
    const to = drive.user.directory('copies');
    await run('cp', ['-a', versionsOf(), to]);
    expect(await contents(join(to, 'plan.docx'))).toEqual(['first', 'second one', 'the third']);
    const copy = join(to, 'plan.docx', first);
    expect((await stat(copy)).mtimeMs).toBe((await stat(join(versionsOf(), first))).mtimeMs);
    await writeFile(copy, 'changed');
    await drive.succeed(['flush', drive.mountpoint]);
    expect((await drive.store.file(id, fileId))?.lengthBytes).toBe(5);
  });

  it('refuses every change with EROFS', async () => {
    await drive.serve();
    await drive.mount();
    const [first = ''] = (await readdir(versionsOf())).sort();
    const version = join(versionsOf(), first);
    const top = join(project, '.versions');
    const refused = [
      unlink(version),
      rename(version, join(project, 'other')),
      rename(version, join(versionsOf(), 'other')),
      rename(join(project, 'plan.docx'), join(versionsOf(), 'moved')),
      writeFile(join(versionsOf(), 'new'), ''),
      writeFile(version, ''),
      open(version, 'a'),
      mkdir(join(top, 'sub')),
      utimes(version, 1, 1),
      rmdir(versionsOf()),
      rmdir(top),
      rename(top, join(project, 'else')),
    ];
    expect(await Promise.all(refused.map(codeOf))).toEqual(refused.map(() => 'EROFS'));
    expect(await codeOf(mkdir(top))).toBe('EEXIST');
    await expect(run('rm', ['-rf', top])).rejects.toThrow('Read-only file system');
    expect(await contents(versionsOf())).toEqual(['first', 'second one', 'the third']);
    expect((await drive.status()).pending.files).toBe(0);
  });

  it('knows nothing of what has no versions, and is not above the syncpoints', async () => {
    await drive.serve();
    await drive.mount();
    await drive.succeed(['pause', drive.mountpoint]);
    await writeFile(join(project, 'unsent'), 'x');
    await mkdir(join(project, 'folder'));
    const missing = [
      versionsOf('no'),
      versionsOf('unsent'),
      versionsOf('folder'),
      join(drive.mountpoint, '.versions'),
      join(project, 'folder', '.versions'),
      join(project, 'folder', '.deleted'),
      join(project, '.versions', '.versions'),
    ];
    expect(await Promise.all(missing.map((path) => codeOf(stat(path))))).toEqual(missing.map(() => 'ENOENT'));
    await drive.succeed(['resume', drive.mountpoint]);
  });

  it('gives way to an entry of that name', async () => {
    const { id: folder } = drive.store.addFolder(id, root, '.versions');
    drive.store.addFile(id, folder, 'own', Buffer.from('own'));
    await drive.serve();
    await drive.mount();
    expect(await contents(join(project, '.versions'))).toEqual(['own']);
    await unlink(join(project, '.versions', 'own'));
    await rmdir(join(project, '.versions'));
    expect(await contents(versionsOf())).toEqual(['first', 'second one', 'the third']);
  });

  it.skipIf(kernelTransportOnly('libfuse has no path for what is open in a removed directory'))(
    'can be removed with its folder, and shows the room of the drive',
    async () => {
      const { id: folder } = drive.store.addFolder(id, root, 'folder');
      drive.store.addFile(id, folder, 'a', Buffer.from('a'));
      await drive.serve();
      await drive.mount();
      const path = join(project, 'folder');
      expect(await contents(join(path, '.versions', 'a'))).toEqual(['a']);
      const [inside, outside] = [await statfs(join(path, '.versions', 'a')), await statfs(path)];
      expect([inside.blocks, inside.bfree]).toEqual([outside.blocks, outside.bfree]);
      const handle = await open(join(path, '.versions', 'a', (await readdir(join(path, '.versions', 'a')))[0] ?? ''));
      try {
        await rm(path, { recursive: true });
        expect(await readdir(project)).toEqual(['plan.docx']);
        expect(await codeOf(stat(join(path, '.versions')))).toBe('ENOENT');
        expect((await handle.readFile()).toString()).toBe('a');
      } finally {
        await handle.close();
      }
    },
  );

  it('fails with an error that the log explains while the service cannot be reached', async () => {
    await drive.serve();
    await drive.mount({ mount: ['--op-timeout', '2s'] });
    await readdir(project);
    await drive.interruptService(async () => {
      expect(await codeOf(readdir(versionsOf()))).toBe('EIO');
    });
    const { waiting } = await drive.status();
    expect(waiting.map(({ path, operation }) => [path, operation])).toContainEqual([
      '/Projects/.versions/plan.docx',
      'readdir',
    ]);
    await expect.poll(() => codeOf(readdir(versionsOf())), { timeout: 20_000 }).toBe('done');
  });
});

describe.skipIf(!fuseExists)('.deleted', () => {
  const deleted = (...names: string[]): string => join(project, '.deleted', ...names);

  it('has what was removed from a folder, and from removed folders', async () => {
    await drive.serve();
    await drive.mount();
    await mkdir(join(project, 'folder', 'inner'), { recursive: true });
    await writeFile(join(project, 'folder', 'inner', 'a.txt'), 'a');
    await drive.succeed(['flush', drive.mountpoint]);
    await rm(join(project, 'folder'), { recursive: true });
    await unlink(join(project, 'plan.docx'));
    await drive.succeed(['flush', drive.mountpoint]);
    expect(await readdir(project)).toEqual([]);
    expect((await readdir(deleted())).sort()).toEqual(['folder', 'plan.docx']);
    expect(await readFile(deleted('plan.docx'), 'utf8')).toBe('the third');
    expect(await readFile(deleted('folder', 'inner', 'a.txt'), 'utf8')).toBe('a');
    const { stdout } = await run('find', [drive.mountpoint]);
    expect(stdout.trimEnd().split('\n')).toEqual([drive.mountpoint, project]);
    await run('cp', ['-r', deleted('folder'), project]);
    expect(await readFile(join(project, 'folder', 'inner', 'a.txt'), 'utf8')).toBe('a');
    expect(await codeOf(unlink(deleted('plan.docx')))).toBe('EROFS');
    expect(await codeOf(rename(deleted('plan.docx'), join(project, 'plan.docx')))).toBe('EROFS');
  });

  it('tells things of one name apart, the last one under its own', async () => {
    for (const text of ['older', 'younger']) {
      const { id: removed } = drive.store.addFile(id, root, 'same.txt', Buffer.from(text));
      await drive.store.removeFile(id, removed);
    }
    await drive.serve();
    await drive.mount();
    const [marked = '', own] = (await readdir(deleted())).sort();
    expect([marked, own]).toEqual([expect.stringMatching(/^same #\d+\.txt$/), 'same.txt']);
    expect(await contents(deleted())).toEqual(['older', 'younger']);
  });

  it('says that it may not be read where the service does not give it', async () => {
    const { id: folder } = drive.store.addFolder(id, root, 'folder');
    drive.store.addFile(id, folder, 'a', Buffer.from('a'));
    await drive.store.removeFile(id, fileId);
    await drive.store.removeFolder(id, folder);
    await drive.serve({ dialect: dialects['trash-closed'] });
    await drive.mount();
    expect((await readdir(deleted())).sort()).toEqual(['folder', 'plan.docx']);
    expect(await codeOf(readFile(deleted('plan.docx')))).toBe('EACCES');
    expect(await codeOf(readdir(deleted('folder')))).toBe('EACCES');
  });
});
