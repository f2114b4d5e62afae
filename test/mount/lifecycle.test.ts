// How a mount begins, ends, dies and comes back, as its user sees it.
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drive, fuseExists, pattern, run } from './drive.ts';
import { kernelTransportOnly } from '../cli/program.ts';
import { everybodyMayRead, lacks } from '../machine.ts';

let drive: Drive;

beforeEach(() => {
  drive = new Drive();
});

afterEach(async () => {
  await drive.stop();
});

/** 10 folders of 10 files below one syncpoint. */
async function serveTree(): Promise<{ id: number; rootFolderId: number }> {
  const syncpoint = drive.store.addSyncpoint('Projects');
  for (let i = 0; i < 10; i += 1) {
    const folder = drive.store.addFolder(syncpoint.id, syncpoint.rootFolderId, `folder${i}`);
    for (let j = 0; j < 10; j += 1)
      drive.store.addFile(syncpoint.id, folder.id, `file${j}`, pattern(3_000, 10 * i + j));
  }
  await drive.serve();
  return syncpoint;
}

function calls(): number {
  const { byEndpoint } = drive.emulator.calls();
  const vault = (byEndpoint['retrieveFile'] ?? 0) + (byEndpoint['v2files'] ?? 0);
  return Object.values(byEndpoint).reduce((sum, count) => sum + count, 0) - vault;
}

describe.skipIf(!fuseExists)('a mount', () => {
  it('costs 3 calls for ls /, one more for each folder, none again, and two after a remount', async () => {
    await serveTree();
    drive.emulator.resetCalls();
    await drive.mount();
    await readdir(drive.mountpoint);
    await expect.poll(calls).toBe(3);
    const found = await run('find', [drive.mountpoint, '-ls']);
    expect(found.stdout.trimEnd().split('\n')).toHaveLength(1 + 1 + 10 + 100);
    expect(calls()).toBe(3 + 11);
    await run('find', [drive.mountpoint, '-ls']);
    expect(calls()).toBe(3 + 11);
    await drive.unmount();
    drive.emulator.resetCalls();
    await drive.mount();
    const again = await run('find', [drive.mountpoint, '-ls']);
    expect(again.stdout).toBe(found.stdout);
    expect(drive.emulator.calls().byEndpoint).toEqual({ token: 1, syncpoints: 1 });
  });

  it('reads each byte once from the service, also over a remount', async () => {
    await serveTree();
    await drive.mount();
    await run('cp', ['-r', join(drive.mountpoint, 'Projects'), drive.user.directory('copy')]);
    expect(drive.emulator.calls().vaultBytes).toBe(300_000);
    await drive.unmount();
    await drive.mount();
    const diff = await run('diff', [
      '-r',
      join(drive.mountpoint, 'Projects'),
      join(drive.user.home, 'copy', 'Projects'),
    ]);
    expect(diff).toMatchObject({ code: 0, stdout: '' });
    expect(drive.emulator.calls().vaultBytes).toBe(300_000);
  });

  it('keeps inode numbers over a kill -9 and a remount, on the same directory, without a hand', async () => {
    await serveTree();
    await drive.mount();
    const file = join(drive.mountpoint, 'Projects', 'folder3', 'file7');
    const before = await stat(file);
    const bytes = await readFile(file);
    process.kill(await drive.pid(), 'SIGKILL');
    await expect
      .poll(() => run('stat', [file]).then(({ stderr }) => stderr))
      .toContain('Transport endpoint is not connected');
    await drive.mount();
    expect((await stat(file)).ino).toBe(before.ino);
    expect((await readFile(file)).equals(bytes)).toBe(true);
  });

  it('starts while the service is out of reach and shows what it knows', async () => {
    await serveTree();
    await drive.mount();
    const file = join(drive.mountpoint, 'Projects', 'folder1', 'file1');
    await readFile(file);
    await drive.unmount();
    await drive.interruptService(async () => {
      await drive.mount();
      expect((await readFile(file)).equals(pattern(3_000, 11))).toBe(true);
      expect(await readdir(join(drive.mountpoint, 'Projects', 'folder1'))).toHaveLength(10);
      expect((await drive.status()).online).toBe(false);
    });
    expect((await readFile(join(drive.mountpoint, 'Projects', 'folder2', 'file2'))).equals(pattern(3_000, 22))).toBe(
      true,
    );
  });

  it('refuses credentials that do not work with one line and leaves nothing mounted', async () => {
    await serveTree();
    const auth = { client_id: 'x', client_secret: 'wrong-secret', app_token: 'y', api_url: drive.emulator.gatewayUrl };
    await drive.succeed(
      ['connections', 'add', '-p', 'syncplicity', '--name', 'bad', '--auth-input', '--no-verify'],
      JSON.stringify(auth),
    );
    const outcome = await drive.user.run(['mount', 'bad', drive.mountpoint]);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/credentials|refused|authenticat/i);
    expect(outcome.stderr).not.toContain('wrong-secret');
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(drive.mountpoint);
  });

  it('is refused a second time for one account, naming who has it, and allowed with --instance', async () => {
    await serveTree();
    await drive.mount();
    const other = drive.user.directory('other');
    const refused = await drive.user.run(['mount', 'test', other]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`mounted already on ${drive.mountpoint} by process ${await drive.pid()}`);
    await drive.succeed(['mount', 'test', other, '--instance', 'second']);
    expect(await readdir(other)).toEqual(['Projects']);
    await drive.succeed(['unmount', other]);
  });

  it('shows one folder of a connection as its root', async () => {
    await serveTree();
    await drive.succeed(['mount', 'test:/Projects/folder4', drive.mountpoint]);
    expect((await readdir(drive.mountpoint)).sort()).toEqual(Array.from({ length: 10 }, (_, i) => `file${i}`));
    expect((await readFile(join(drive.mountpoint, 'file2'))).equals(pattern(3_000, 42))).toBe(true);
    await drive.unmount();
    const missing = await drive.user.run(['mount', 'test:/Projects/nothing', drive.mountpoint]);
    expect(missing.stderr).toContain('/Projects/nothing');
    expect(missing.code).toBe(1);
  });

  it.skipIf(kernelTransportOnly('by libfuse a name shows one version, that which is open'))(
    'shows a remote change once it is told of one, and keeps what is open at its version',
    async () => {
      const syncpoint = drive.store.addSyncpoint('Projects');
      const record = drive.store.addFile(syncpoint.id, syncpoint.rootFolderId, 'a.txt', Buffer.from('first'));
      await drive.serve();
      await drive.mount({ mount: ['--poll-interval', '1s'] });
      const path = join(drive.mountpoint, 'Projects', 'a.txt');
      const reader = spawn('sh', ['-c', 'exec 3<"$0"; echo opened; read line; cat <&3', path], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      const said = reader.stdout.setEncoding('utf8')[Symbol.asyncIterator]();
      expect((await said.next()).value).toBe('opened\n');
      drive.store.writeFile(syncpoint.id, record.id, Buffer.from('the second version'));
      await expect.poll(() => readFile(path, 'utf8'), { timeout: 10_000 }).toBe('the second version');
      expect((await stat(path)).size).toBe(18);
      reader.stdin.end('go\n');
      expect((await said.next()).value).toBe('first');
      drive.store.remove(syncpoint.id, record.id);
      await expect
        .poll(() => stat(path).catch((error: unknown) => (error as NodeJS.ErrnoException).code), { timeout: 10_000 })
        .toBe('ENOENT');
    },
  );

  it('ends on SIGTERM, and without leaving a process behind', async () => {
    await serveTree();
    await drive.mount();
    const pid = await drive.pid();
    process.kill(pid, 'SIGTERM');
    await expect.poll(() => existsSync(`/proc/${pid}/exe`), { timeout: 20_000 }).toBe(false);
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(drive.mountpoint);
  });

  it('shows a directory of this machine through platform fs, links left out, and survives the death of its emulator', async () => {
    const data = drive.user.directory('data', 'docs');
    writeFileSync(join(data, 'a.txt'), 'hello');
    mkdirSync(join(data, 'sub'));
    writeFileSync(join(data, 'sub', 'b.bin'), pattern(200_000, 5));
    execFileSync('ln', ['-s', 'a.txt', join(data, 'link')]);
    await drive.succeed(
      ['connections', 'add', '-p', 'fs', '--name', 'local', '--auth-input'],
      JSON.stringify({ uri: data }),
    );
    await drive.succeed(['mount', 'local', drive.mountpoint]);
    const diff = await run('diff', ['-r', '--no-dereference', data, join(drive.mountpoint, 'docs')]);
    expect(diff.stdout.trim()).toBe(`Only in ${data}: link`);
    const daemon = await drive.pid();
    const [child] = readFileSync(`/proc/${daemon}/task/${daemon}/children`, 'utf8').trim().split(' ');
    process.kill(Number(child), 'SIGKILL');
    writeFileSync(join(data, 'sub', 'c.txt'), 'new');
    writeFileSync(join(data, 'later.txt'), 'x');
    await drive.unmount();
    await drive.succeed(['mount', 'local', drive.mountpoint]);
    const again = await run('diff', ['-r', '--no-dereference', data, join(drive.mountpoint, 'docs')]);
    expect(again.stdout.trim()).toBe(`Only in ${data}: link`);
    await drive.unmount();
  });

  it('shows within a poll what another program changes in a directory of this machine, in every folder of a walk', async () => {
    const data = drive.user.directory('data', 'docs');
    const names = Array.from({ length: 30 }, (_, index) => `folder${index}`);
    for (const name of names) mkdirSync(join(data, name));
    await drive.succeed(
      ['connections', 'add', '-p', 'fs', '--name', 'local', '--auth-input'],
      JSON.stringify({ uri: data }),
    );
    await drive.succeed(['mount', 'local', drive.mountpoint, '--poll-interval', '1s']);
    const shown = join(drive.mountpoint, 'docs');
    const differences = async (): Promise<string> => (await run('diff', ['-r', data, shown])).stdout;
    expect(await differences()).toBe('');
    for (const name of names) writeFileSync(join(data, name, 'new'), name);
    await expect.poll(() => readdirSync(join(shown, 'folder7')), { timeout: 15_000 }).toEqual(['new']);
    expect(await differences()).toBe('');
    writeFileSync(join(data, 'folder3', 'new'), 'FOLDER3');
    await expect.poll(() => readFileSync(join(shown, 'folder3', 'new'), 'utf8'), { timeout: 15_000 }).toBe('FOLDER3');
    await drive.unmount();
  });

  it('opens what another program just stored in a file of a directory of this machine: its former version is nowhere', async () => {
    const data = drive.user.directory('data', 'docs');
    for (const name of ['read', 'appended', 'removed']) writeFileSync(join(data, name), 'before');
    await drive.succeed(
      ['connections', 'add', '-p', 'fs', '--name', 'local', '--auth-input'],
      JSON.stringify({ uri: data }),
    );
    await drive.succeed(['mount', 'local', drive.mountpoint, '--poll-interval', '1h']);
    const shown = join(drive.mountpoint, 'docs');
    expect(readdirSync(shown).toSorted()).toEqual(['appended', 'read', 'removed']);
    for (const name of ['read', 'appended']) writeFileSync(join(data, name), 'after, and longer');
    rmSync(join(data, 'removed'));
    expect(readFileSync(join(shown, 'read'), 'utf8')).toBe('after, and longer');
    expect(() => readFileSync(join(shown, 'removed'))).toThrow('ENOENT');
    appendFileSync(join(shown, 'appended'), '!');
    expect(readFileSync(join(shown, 'appended'), 'utf8')).toBe('after, and longer!');
    await drive.succeed(['flush', drive.mountpoint]);
    expect(readFileSync(join(data, 'appended'), 'utf8')).toBe('after, and longer!');
    await drive.unmount();
  });

  it('waits for a directory of this machine that is taken away, as for a service', async () => {
    const data = drive.user.directory('data', 'docs');
    writeFileSync(join(data, 'kept.txt'), 'kept');
    await drive.succeed(
      ['connections', 'add', '-p', 'fs', '--name', 'local', '--auth-input'],
      JSON.stringify({ uri: data }),
    );
    await drive.succeed(['mount', 'local', drive.mountpoint, '--poll-interval', '1s']);
    const shown = join(drive.mountpoint, 'docs');
    expect(readFileSync(join(shown, 'kept.txt'), 'utf8')).toBe('kept');
    renameSync(data, `${data}.away`);
    const status = async (): Promise<string> => (await drive.succeed(['status', drive.mountpoint])).stdout;
    await expect.poll(status, { timeout: 15_000, interval: 500 }).toContain(`no such directory: ${data}`);
    expect(readFileSync(join(shown, 'kept.txt'), 'utf8')).toBe('kept');
    writeFileSync(join(shown, 'new.txt'), 'new');
    renameSync(`${data}.away`, data);
    await drive.succeed(['flush', drive.mountpoint]);
    expect(readFileSync(join(data, 'new.txt'), 'utf8')).toBe('new');
    expect(readdirSync(shown).toSorted()).toEqual(['kept.txt', 'new.txt']);
    await drive.unmount();
  });

  it('takes part in a directory of this machine as one program of several: nothing of another one is overwritten, nothing gone stays', async () => {
    const data = drive.user.directory('data', 'docs');
    for (const name of ['changed.txt', 'same.txt']) writeFileSync(join(data, name), 'before');
    mkdirSync(join(data, 'folder'));
    writeFileSync(join(data, 'folder', 'known.txt'), 'before');
    await drive.succeed(
      ['connections', 'add', '-p', 'fs', '--name', 'local', '--auth-input'],
      JSON.stringify({ uri: data }),
    );
    await drive.succeed(['mount', 'local', drive.mountpoint, '--poll-interval', '1s']);
    const shown = join(drive.mountpoint, 'docs');
    expect(readdirSync(join(shown, 'folder'))).toEqual(['known.txt']);
    // All within the second that a change waits: no look at the directory, nor at its events, is due before it is sent.
    for (const name of ['changed.txt', 'new.txt']) {
      writeFileSync(join(shown, name), 'ours');
      writeFileSync(join(data, name), 'theirs');
    }
    rmSync(join(shown, 'folder'), { recursive: true });
    writeFileSync(join(data, 'folder', 'new.txt'), 'theirs');
    await drive.succeed(['flush', drive.mountpoint]);
    for (const name of ['changed', 'new']) {
      const ours = readdirSync(data).filter((other) => other.startsWith(`${name} (`));
      expect(ours.map((other) => readFileSync(join(data, other), 'utf8'))).toEqual(['ours']);
      expect(readFileSync(join(data, `${name}.txt`), 'utf8')).toBe('theirs');
    }
    expect(readFileSync(join(data, 'folder', 'new.txt'), 'utf8')).toBe('theirs');
    for (const name of readdirSync(data).filter((one) => one.includes('('))) rmSync(join(data, name));
    const differences = async (): Promise<string> => (await run('diff', ['-r', data, shown])).stdout;
    await expect.poll(differences, { timeout: 15_000, interval: 500 }).toBe('');
    await drive.unmount();
  });

  it.skipIf(!everybodyMayRead || lacks('fusermount3'))('works for an ordinary user with fuse3 alone', async () => {
    // As udev has it on every installed system; a bare machine may lack the rule.
    chmodSync('/dev/fuse', 0o666);
    await serveTree();
    const nobody = 65_534;
    execFileSync('chown', ['-R', String(nobody), drive.user.home]);
    const program = join(import.meta.dirname, '../../dist/bin/syncplicityfs.js');
    const asNobody = (args: readonly string[]): ReturnType<typeof run> =>
      run('setpriv', [
        `--reuid=${nobody}`,
        `--regid=${nobody}`,
        '--clear-groups',
        'env',
        `HOME=${drive.user.home}`,
        ...args,
      ]);
    const mounted = await asNobody([process.execPath, program, 'mount', 'test', drive.mountpoint]);
    expect(mounted).toMatchObject({ code: 0, stderr: '' });
    const listed = await asNobody(['find', drive.mountpoint]);
    expect(listed.stdout.trimEnd().split('\n')).toHaveLength(112);
    const read = await asNobody(['sh', '-c', `sha256sum < '${drive.mountpoint}/Projects/folder0/file0'`]);
    expect(read.code).toBe(0);
    const owner = await asNobody(['stat', '-c', '%u', join(drive.mountpoint, 'Projects')]);
    expect(owner.stdout.trim()).toBe(String(nobody));
    // Without allow_other nobody else gets in, root included.
    expect((await run('ls', [drive.mountpoint])).code).not.toBe(0);
    const unmounted = await asNobody([process.execPath, program, 'unmount', drive.mountpoint]);
    expect(unmounted).toMatchObject({ code: 0, stderr: '' });
  });
});
