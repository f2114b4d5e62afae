// Making, removing and renaming through the real kernel, as root; and programs that do all of it at once.
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { asRoot, eventually, failure, requests, useMount } from './support/fixture.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, makeNode, renameWith } from './support/libc.ts';
import { run } from './support/mounted.ts';

const fixture = useMount();
const { background, mountWritable: mount, path, text } = fixture;
let directory = '';
beforeEach(() => {
  ({ directory } = fixture);
});

describe.skipIf(!asRoot)('making, removing and renaming', () => {
  it('makes what is asked for with the permissions left by the umask', async () => {
    await mount();
    const script =
      'umask 027; echo hi >file; mkdir directory; mkdir -m 1777 free; mknod plain p || mkfifo pipe; mknod x c 1 3; ls';
    const { stdout, stderr } = await run('sh', ['-c', script], { cwd: directory });
    expect(stdout.split('\n')).toEqual(['directory', 'file', 'free', '']);
    expect(stderr.match(/Operation not permitted/g)).toHaveLength(3);
    const modes = ['file', 'directory', 'free'].map((name) => (statSync(path(name)).mode & 0o7777).toString(8));
    expect(modes).toEqual(['640', '750', '1777']);
    expect(failure(() => linkSync(path('file'), path('hard')))).toBe('EPERM');
    expect(failure(() => symlinkSync('file', path('soft')))).toBe('EPERM');
  });

  it('makes regular files by mknod(2)', async () => {
    const daemon = await mount();
    makeNode(path('made'), 0o100640);
    makeNode(path('made-too'), 0o600);
    expect(['made', 'made-too'].map((name) => statSync(path(name)).mode)).toEqual([0o100640, 0o100600]);
    writeFileSync(path('made'), 'x');
    expect(text('made')).toBe('x');
    expect(await requests(daemon)).toMatchObject({ MKNOD: 2 });
    expect(failure(() => makeNode(path('made'), 0o100640))).toBe('EEXIST');
    expect(failure(() => makeNode(path('pipe'), 0o010640))).toBe('EPERM');
  });

  it('shows at once what a program made, removed and renamed, negative names included', async () => {
    await mount();
    const exist = (): string[] => ['a', 'b', 'd', 'e'].filter((name) => existsSync(path(name)));
    expect(exist()).toEqual([]);
    writeFileSync(path('a'), 'one');
    mkdirSync(path('d'));
    expect(exist()).toEqual(['a', 'd']);
    renameSync(path('a'), path('b'));
    renameSync(path('d'), path('e'));
    expect(exist()).toEqual(['b', 'e']);
    expect(readdirSync(directory).sort()).toEqual(['b', 'e']);
    unlinkSync(path('b'));
    rmdirSync(path('e'));
    expect(exist()).toEqual([]);
    writeFileSync(path('b'), 'two');
    expect(text('b')).toBe('two');
  });

  it('lists what was just made although the kernel caches listings', async () => {
    await mount({ cacheDirectories: true });
    expect(readdirSync(directory)).toEqual([]);
    for (const name of ['a', 'b', 'c']) {
      writeFileSync(path(name), name);
      expect(readdirSync(directory)).toContain(name);
    }
    renameSync(path('a'), path('d'));
    unlinkSync(path('b'));
    expect(readdirSync(directory).sort()).toEqual(['c', 'd']);
  });

  it('keeps the inode number over a rename, and replaces', async () => {
    await mount();
    writeFileSync(path('a'), 'new');
    writeFileSync(path('b'), 'old');
    const { ino } = statSync(path('a'));
    const held = openSync(path('b'), 'r');
    renameSync(path('a'), path('b'));
    expect([text('b'), statSync(path('b')).ino]).toEqual(['new', ino]);
    const bytes = Buffer.alloc(3);
    expect([readSync(held, bytes), bytes.toString(), fstatSync(held).nlink]).toEqual([3, 'old', 0]);
    closeSync(held);
  });

  it('renames with flags', async () => {
    await mount();
    writeFileSync(path('a'), 'A');
    writeFileSync(path('b'), 'B');
    expect(failure(() => renameWith(path('a'), path('b'), RENAME_NOREPLACE))).toBe('EEXIST');
    renameWith(path('a'), path('b'), RENAME_EXCHANGE);
    expect([text('a'), text('b')]).toEqual(['B', 'A']);
    renameWith(path('a'), path('c'), RENAME_NOREPLACE);
    expect(failure(() => renameWith(path('a'), path('c'), RENAME_EXCHANGE))).toBe('ENOENT');
    expect(failure(() => renameWith(path('b'), path('w'), RENAME_WHITEOUT))).toBe('EINVAL');
    expect(readdirSync(directory).sort()).toEqual(['b', 'c']);
  });

  it('moves directories with open files below, and refuses loops', async () => {
    await mount();
    mkdirSync(path('a/b').slice(0, -2));
    mkdirSync(path('a/b'));
    const fd = openSync(path('a/b/file'), 'w');
    expect(failure(() => renameSync(path('a'), path('a/b/c')))).toBe('EINVAL');
    renameSync(path('a'), path('z'));
    writeSync(fd, 'after');
    closeSync(fd);
    expect(readFileSync(path('z/b/file'), 'utf8')).toBe('after');
    expect(failure(() => rmdirSync(path('z')))).toBe('ENOTEMPTY');
  });

  it('refuses names: too long, not UTF-8, taken', async () => {
    await mount();
    for (const bytes of [256, 1024, 1025]) {
      expect(failure(() => mkdirSync(path('x'.repeat(bytes))))).toBe('ENAMETOOLONG');
      expect(failure(() => writeFileSync(path('x'.repeat(bytes)), ''))).toBe('ENAMETOOLONG');
    }
    writeFileSync(path('é'.repeat(127)), '');
    const bad = Buffer.concat([Buffer.from(`${directory}/a`), Buffer.of(0xff)]);
    expect(failure(() => writeFileSync(bad, ''))).toBe('EINVAL');
    expect(failure(() => mkdirSync(bad))).toBe('EINVAL');
    expect(failure(() => statSync(bad))).toBe('ENOENT');
    expect(failure(() => unlinkSync(bad))).toBe('ENOENT');
    expect(failure(() => renameSync(path('é'.repeat(127)), bad))).toBe('EINVAL');
    mkdirSync(path('d'));
    expect(failure(() => mkdirSync(path('d')))).toBe('EEXIST');
    expect(failure(() => writeFileSync(path('d'), ''))).toBe('EISDIR');
    expect(failure(() => unlinkSync(path('d')))).toBe('EISDIR');
    expect(failure(() => rmdirSync(path('é'.repeat(127))))).toBe('ENOTDIR');
  });

  it('says so when unnamed files are asked for, as a disk that has none', async () => {
    await mount();
    const O_TMPFILE = 0o20200000;
    expect(failure(() => openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600))).toBe('ENOTSUP');
    expect(
      failure(() => openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600)),
      'again',
    ).toBe('ENOTSUP');
  });
});

describe.skipIf(!asRoot)('programs', () => {
  it('copy, move and remove trees', async () => {
    await mount();
    const script = `
      set -e
      mkdir tree tree/sub
      head -c 3000000 /dev/urandom >tree/sub/random
      echo '#!/bin/sh' >tree/run; chmod 755 tree/run; touch -d 2001-02-03T04:05:06.789 tree/run
      cp -a tree copy
      diff -r tree copy
      test tree/run -nt copy/run && exit 1
      mv tree moved; mv copy/sub moved/other; mv copy/run moved/run
      cmp moved/sub/random moved/other/random
      rmdir copy; tar --format=pax -cf archive moved; rm -rf moved; tar xf archive; rm archive
      cmp moved/sub/random moved/other/random
      stat -c '%n %A %y' moved/run
      rm -rf moved
      ls -A`;
    const { stdout, stderr, code } = await run('sh', ['-c', script], { cwd: directory });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^moved\/run -rwxr-xr-x 2001-02-03 04:05:06\.789000000 [+-]\d+\n$/);
  });

  it('run from the mount, and cannot be written while they do', async () => {
    await mount();
    copyFileSync('/bin/sleep', path('program'));
    chmodSync(path('program'), 0o755);
    const program = background(path('program'), ['60']);
    await once(program, 'spawn');
    await eventually(() => failure(() => openSync(path('program'), 'r+')) === 'ETXTBSY');
    program.kill('SIGKILL');
    expect((await run(path('program'), ['0'])).code).toBe(0);
  });

  it('work in a mount whose file system answers late', async () => {
    const daemon = await mount({ waits: true });
    const script =
      'for i in 1 2 3 4 5; do mkdir d$i && head -c 300000 /dev/zero | tr "\\0" $i >d$i/f && mv d$i/f f$i && rmdir d$i; done; cat f*';
    const { stdout, stderr } = await run('sh', ['-c', script], { cwd: directory });
    expect([stderr, stdout]).toEqual(['', [1, 2, 3, 4, 5].map((digit) => String(digit).repeat(300_000)).join('')]);
    await eventually(async () => (await daemon.statistics()).handles === 0);
  });
});
