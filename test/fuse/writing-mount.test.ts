// Writing through the real kernel, as root: what programs do, what arrives, and what the kernel shows afterwards.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
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
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { asRoot, eventually, requests, useMount } from './support/fixture.ts';
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  allocate,
  duplicate,
  makeNode,
  map,
  renameWith,
  setFlags,
} from './support/libc.ts';
import { NOBODY, run, type Mounted } from './support/mounted.ts';

const fixture = useMount();
const { background } = fixture;
let directory = '';
beforeEach(() => {
  ({ directory } = fixture);
});

type MountOptions = Parameters<typeof fixture.mount>[0];

function mount(options: MountOptions = {}): Promise<Mounted> {
  return fixture.mount({ ...options, mount: { readOnly: false, ...options.mount } });
}

function path(name: string): string {
  return join(directory, name);
}

function text(name: string): string {
  return readFileSync(path(name), 'utf8');
}

/** The name of the errno a call ends with, or undefined. */
function failure(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

function withFile<T>(name: string, flags: string | number, use: (fd: number) => T): T {
  const fd = openSync(path(name), flags);
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** Asks until a count is there: close(2) does not wait for RELEASE. */
function counted(daemon: Mounted, opcode: string, count: number): Promise<void> {
  return eventually(async () => ((await requests(daemon))[opcode] ?? 0) === count);
}

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

describe.skipIf(!asRoot)('opening to write', () => {
  it('creates exclusively, truncates and appends as asked', async () => {
    const daemon = await mount({ files: { there: 'content' } });
    expect(failure(() => openSync(path('there'), 'wx'))).toBe('EEXIST');
    withFile('new', 'wx', (fd) => writeSync(fd, 'x'));
    const before = (await requests(daemon))['SETATTR'] ?? 0;
    withFile('there', 'w', (fd) => {
      expect(fstatSync(fd).size).toBe(0);
      writeSync(fd, 'abc');
    });
    expect((await requests(daemon))['SETATTR'] ?? 0, 'O_TRUNC comes with OPEN').toBe(before);
    appendFileSync(path('there'), 'def');
    const one = openSync(path('there'), 'a');
    const other = openSync(path('there'), 'a');
    writeSync(one, 'g');
    writeSync(other, 'h');
    writeSync(one, 'i');
    closeSync(one);
    closeSync(other);
    expect(text('there')).toBe('abcdefghi');
    withFile('there', constants.O_RDONLY | constants.O_TRUNC, () => undefined);
    expect(statSync(path('there')).size).toBe(0);
    expect(failure(() => openSync(path('there'), constants.O_WRONLY | constants.O_RDWR))).toBe('EINVAL');
  });

  it('appends after fcntl(2) said so, and not before', async () => {
    await mount({ files: { a: '0123' } });
    withFile('a', 'r+', (fd) => {
      writeSync(fd, 'X');
      setFlags(fd, constants.O_APPEND);
      writeSync(fd, 'Y');
    });
    expect(text('a')).toBe('X123Y');
  });

  it('keeps or drops cached pages as OPEN and CREATE say', async () => {
    const daemon = await mount({ files: { a: 'cached' }, keepCache: false });
    expect([text('a'), text('a')]).toEqual(['cached', 'cached']);
    expect((await requests(daemon))['READ']).toBe(2);
  });

  it('asks for a FLUSH at each close of a descriptor that can write, and at none that cannot', async () => {
    const daemon = await mount({ files: { a: 'content' } });
    const flushes = async (): Promise<number> => (await requests(daemon))['FLUSH'] ?? 0;
    withFile('a', 'r', () => undefined);
    expect(await flushes()).toBe(0);
    const fd = openSync(path('a'), 'r+');
    const copy = duplicate(fd);
    const unlinkedCopy = duplicate(fd);
    writeSync(copy, 'x');
    closeSync(copy);
    expect(await flushes()).toBe(1);
    closeSync(unlinkedCopy);
    closeSync(fd);
    expect(await flushes()).toBe(3);
    withFile('made-by-a-reader', constants.O_CREAT | constants.O_RDONLY, () => undefined);
    withFile('a', constants.O_TRUNC | constants.O_RDONLY, () => undefined);
    expect(await flushes()).toBe(5);
    await counted(daemon, 'RELEASE', 4);
    expect((await daemon.statistics()).handles).toBe(0);
  });

  it('gets FLUSH and RELEASE from a program that was killed', async () => {
    const daemon = await mount();
    const program = background('sh', ['-c', `exec 3>${path('file')}; echo content >&3; exec sleep 60`]);
    await eventually(async () => (await daemon.statistics()).writes.length === 1);
    const before = (await requests(daemon))['FLUSH'] ?? 0;
    program.kill('SIGKILL');
    await once(program, 'exit');
    await counted(daemon, 'FLUSH', before + 1);
    await eventually(async () => (await daemon.statistics()).handles === 0);
    expect(text('file')).toBe('content\n');
  });

  it.each([
    ['fails', 'hung', false],
    ['succeeds all the same', 'late', true],
  ])('keeps its counts when a program is interrupted in a CREATE that %s', async (_, name, made) => {
    const daemon = await mount({ hangingCreate: 'hung', lateCreate: 'late' });
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const program = background('sh', ['-c', `exec 3>${path(name)}; exec sleep 60`]);
      await eventually(async () => (await daemon.statistics()).pending > 0);
      program.kill(signal);
      await once(program, 'exit');
      await eventually(async () => (await daemon.statistics()).handles === 0);
      expect(existsSync(path(name))).toBe(made);
      if (made) unlinkSync(path(name));
    }
    expect((await daemon.statistics()).interrupted).toBe(2);
    await eventually(async () => {
      writeFileSync('/proc/sys/vm/drop_caches', '2');
      return (await daemon.statistics()).lookups === 0;
    });
  });
});

describe.skipIf(!asRoot)('writing', () => {
  it('takes 256 MiB in the largest requests there are, and gives the same back', async () => {
    const daemon = await mount();
    const block = randomBytes(2 ** 20);
    withFile('big', 'w', (fd) => {
      for (let index = 0; index < 256; index++) {
        block.writeUInt32LE(index);
        expect(writeSync(fd, block)).toBe(block.length);
      }
    });
    expect((await daemon.statistics()).writes).toEqual(Array<number>(256).fill(2 ** 20));
    writeFileSync('/proc/sys/vm/drop_caches', '1');
    withFile('big', 'r', (fd) => {
      const bytes = Buffer.alloc(2 ** 20);
      for (let index = 0; index < 256; index++) {
        block.writeUInt32LE(index);
        readSync(fd, bytes);
        expect(bytes.equals(block)).toBe(true);
      }
    });
  });

  it('takes an unaligned write of megabytes in pieces no smaller than they must be', async () => {
    const daemon = await mount();
    const bytes = randomBytes(5 * 2 ** 20 + 12_345);
    withFile('file', 'w', (fd) => {
      writeSync(fd, bytes, 0, 100);
      writeSync(fd, bytes, 100, bytes.length - 100);
    });
    const { writes } = await daemon.statistics();

    // The first write, the rest of its page, and then whole pages up to the last.
    expect(writes.slice(2, -1).every((length) => length >= 2 ** 20 - 4096)).toBe(true);
    expect(writes.reduce((sum, length) => sum + length)).toBe(bytes.length);
    expect(readFileSync(path('file')).equals(bytes)).toBe(true);
  });

  it('shows size and time of what was written at once, by descriptor and by name', async () => {
    await mount({ files: { a: 'old' } });
    const before = statSync(path('a'), { bigint: true });
    withFile('a', 'r+', (fd) => {
      writeSync(fd, 'longer than before');
      expect([fstatSync(fd).size, statSync(path('a')).size]).toEqual([18, 18]);
      expect(fstatSync(fd, { bigint: true }).mtimeNs).toBeGreaterThan(before.mtimeNs);
      ftruncateSync(fd, 6);
      expect([fstatSync(fd).size, statSync(path('a')).size, text('a')]).toEqual([6, 6, 'longer']);
      ftruncateSync(fd, 10_000);
    });
    expect(readFileSync(path('a')).equals(Buffer.concat([Buffer.from('longer'), Buffer.alloc(9994)]))).toBe(true);
    truncateSync(path('a'), 3);
    truncateSync(path('a'), 8);
    expect(text('a')).toBe('lon\0\0\0\0\0');
  });

  it('writes past 4 GiB, sparse', async () => {
    await mount();
    withFile('sparse', 'w+', (fd) => {
      writeSync(fd, 'end', 5 * 2 ** 30);
      expect(fstatSync(fd).size).toBe(5 * 2 ** 30 + 3);
      const bytes = Buffer.alloc(8, 1);
      readSync(fd, bytes, 0, 8, 5 * 2 ** 30 - 5);
      expect(bytes.toString('latin1')).toBe('\0\0\0\0\0end');
    });
  });

  it('lets a file that was unlinked be written, read and measured', async () => {
    await mount();
    withFile('gone', 'w+', (fd) => {
      writeSync(fd, 'content');
      unlinkSync(path('gone'));
      writeSync(fd, ' more');
      const bytes = Buffer.alloc(20);
      expect(bytes.toString('utf8', 0, readSync(fd, bytes, 0, 20, 0))).toBe('content more');
      expect([fstatSync(fd).size, fstatSync(fd).nlink]).toEqual([12, 0]);
      ftruncateSync(fd, 2);
      expect(fstatSync(fd).size).toBe(2);
    });
    expect(existsSync(path('gone'))).toBe(false);
  });

  it('takes stores through shared memory, at msync and after close', async () => {
    const daemon = await mount({ files: { mapped: 'x'.repeat(10_000) } });
    const fd = openSync(path('mapped'), 'r+');
    const mapping = map(fd, 10_000);
    mapping.bytes.set(Buffer.from('START'), 0);
    mapping.sync();
    expect((await daemon.statistics()).writes).toEqual([4096]);
    closeSync(fd);
    mapping.bytes.set(Buffer.from('END'), 9997);
    mapping.unmap();
    await counted(daemon, 'RELEASE', 1);
    expect((await daemon.statistics()).writes, 'cut at the end of the file').toEqual([4096, 10_000 - 8192]);
    writeFileSync('/proc/sys/vm/drop_caches', '1');
    expect(text('mapped')).toBe(`START${'x'.repeat(9992)}END`);
  });

  it('allocates, and cuts holes', async () => {
    await mount({ files: { a: 'x'.repeat(3 * 4096) } });
    withFile('a', 'r+', (fd) => {
      allocate(fd, 0, 0, 5 * 4096);
      expect(fstatSync(fd).size).toBe(5 * 4096);
      allocate(fd, FALLOC_FL_KEEP_SIZE, 0, 9 * 4096);
      expect(fstatSync(fd).size).toBe(5 * 4096);
      allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096);
      allocate(fd, FALLOC_FL_ZERO_RANGE, 10, 5);
      expect(failure(() => allocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096))).toBe('ENOTSUP');
    });
    const expected = Buffer.alloc(5 * 4096);
    expected
      .fill('x', 0, 3 * 4096)
      .fill(0, 10, 15)
      .fill(0, 4096, 8192);
    expect(readFileSync(path('a')).equals(expected)).toBe(true);
  });

  it('sets times to the nanosecond, permissions and owners', async () => {
    await mount();
    const { code } = await run(
      'sh',
      [
        '-c',
        `echo x >file && touch -m -d '1999-12-31 23:59:59.123456789Z' file && touch -a -d '@-1.5' file && chmod 4751 file && chown ${NOBODY}:${NOBODY} file`,
      ],
      { cwd: directory },
    );
    expect(code).toBe(0);
    const status = statSync(path('file'), { bigint: true });
    expect([status.mtimeNs, status.atimeNs]).toEqual([946_684_799_123_456_789n, -1_500_000_000n]);
    expect([status.uid, status.gid]).toEqual([BigInt(NOBODY), BigInt(NOBODY)]);
    expect(status.mode & 0o7777n, 'a change of owner takes set-user-id away').toBe(0o751n);
  });

  it('has privileges cleared when somebody else than root writes or truncates', async () => {
    const daemon = await mount({ mount: { allowOther: true } });
    const mode = (name: string): number => statSync(path(name)).mode & 0o7777;
    for (const name of ['written', 'truncated', 'reopened', 'by-root']) {
      writeFileSync(path(name), 'content');
      chmodSync(path(name), 0o6777);
    }
    writeFileSync(path('by-root'), 'root');
    expect(mode('by-root')).toBe(0o6777);
    expect((await daemon.statistics()).killingWrites).toBe(0);
    const script = 'echo x >>written; truncate -s 2 truncated; : >reopened';
    const asNobody = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', 'sh', '-c', script];
    expect((await run('setpriv', asNobody, { cwd: directory })).stderr).toBe('');
    expect((await daemon.statistics()).killingWrites).toBe(1);
    expect(['written', 'truncated', 'reopened'].map(mode)).toEqual([0o777, 0o777, 0o777]);
  });

  it('syncs files and directories when asked', async () => {
    const daemon = await mount();
    withFile('a', 'w', (fd) => {
      writeSync(fd, 'x');
      fsyncSync(fd);
    });
    const fd = openSync(directory, 'r');
    fsyncSync(fd);
    closeSync(fd);
    withFile('b', constants.O_CREAT | constants.O_WRONLY | constants.O_DSYNC, (synced) => writeSync(synced, 'x'));
    expect(await requests(daemon)).toMatchObject({ FSYNC: 2, FSYNCDIR: 1 });
  });

  it('keeps attributes in user. and says ENOTSUP for others, so that cp -a and tar go on', async () => {
    await mount({ files: { a: 'x' } });
    const set = await run('setfattr', ['-n', 'user.colour', '-v', 'blue', path('a')]);
    expect(set.code).toBe(0);
    const { stdout } = await run('getfattr', ['-n', 'user.colour', '--only-values', path('a')]);
    expect(stdout).toBe('blue');
    expect((await run('setfattr', ['-n', 'trusted.colour', '-v', 'blue', path('a')])).stderr).toMatch(/not supported/);
    expect((await run('setfattr', ['-x', 'user.colour', path('a')])).code).toBe(0);
    expect((await run('getfattr', ['-n', 'user.colour', path('a')])).stderr).toMatch(/No such attribute/);
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
