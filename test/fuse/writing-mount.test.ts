// Writing through the real kernel, as root: what programs do, what arrives, and what the kernel shows afterwards.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { asRoot, counted, eventually, failure, requests, withFile, useMount } from './support/fixture.ts';
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  allocate,
  duplicate,
  map,
  setFlags,
  truncateTo,
  writeAt,
} from './support/libc.ts';
import { NOBODY, run } from './support/mounted.ts';
import { lacks } from '../machine.ts';

const fixture = useMount();
const { background, mountWritable: mount, path, text } = fixture;
let directory = '';
beforeEach(() => {
  ({ directory } = fixture);
});

describe.skipIf(!asRoot)('opening to write', () => {
  it('creates exclusively, truncates and appends as asked', async () => {
    const daemon = await mount({ files: { there: 'content' } });
    expect(failure(() => openSync(path('there'), 'wx'))).toBe('EEXIST');
    withFile(path('new'), 'wx', (fd) => writeSync(fd, 'x'));
    const before = (await requests(daemon))['SETATTR'] ?? 0;
    withFile(path('there'), 'w', (fd) => {
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
    withFile(path('there'), constants.O_RDONLY | constants.O_TRUNC, () => undefined);
    expect(statSync(path('there')).size).toBe(0);
    expect(failure(() => openSync(path('there'), constants.O_WRONLY | constants.O_RDWR))).toBe('EINVAL');
  });

  it('appends after fcntl(2) said so, and not before', async () => {
    await mount({ files: { a: '0123' } });
    withFile(path('a'), 'r+', (fd) => {
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
    withFile(path('a'), 'r', () => undefined);
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
    withFile(path('made-by-a-reader'), constants.O_CREAT | constants.O_RDONLY, () => undefined);
    withFile(path('a'), constants.O_TRUNC | constants.O_RDONLY, () => undefined);
    expect(await flushes()).toBe(5);
    await counted(daemon, 'RELEASE', 4);
    expect((await daemon.statistics()).handles).toBe(0);
  });

  it('gets FLUSH and RELEASE from a program that was killed', async () => {
    const daemon = await mount();
    const program = background('sh', ['-c', `exec 3>${path('file')}; echo content >&3; exec sleep 60`]);
    // The shell closes copies of the descriptor too, the last of them before it becomes `sleep`.
    await eventually(() => readFileSync(`/proc/${String(program.pid)}/comm`, 'utf8') === 'sleep\n');
    expect((await daemon.statistics()).writes).toHaveLength(1);
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
    withFile(path('big'), 'w', (fd) => {
      for (let index = 0; index < 256; index++) {
        block.writeUInt32LE(index);
        expect(writeSync(fd, block)).toBe(block.length);
      }
    });
    expect((await daemon.statistics()).writes).toEqual(Array<number>(256).fill(2 ** 20));
    writeFileSync('/proc/sys/vm/drop_caches', '1');
    withFile(path('big'), 'r', (fd) => {
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
    withFile(path('file'), 'w', (fd) => {
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
    withFile(path('a'), 'r+', (fd) => {
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
    withFile(path('sparse'), 'w+', (fd) => {
      writeSync(fd, 'end', 5 * 2 ** 30);
      expect(fstatSync(fd).size).toBe(5 * 2 ** 30 + 3);
      const bytes = Buffer.alloc(8, 1);
      readSync(fd, bytes, 0, 8, 5 * 2 ** 30 - 5);
      expect(bytes.toString('latin1')).toBe('\0\0\0\0\0end');
    });
  });

  it('says EFBIG for sizes no file has', async () => {
    await mount({ files: { a: 'x' } });
    withFile(path('a'), 'r+', (fd) => {
      expect(failure(() => truncateTo(fd, 2n ** 53n))).toBe('EFBIG');
      expect(failure(() => allocate(fd, 0, 2 ** 54, 10))).toBe('EFBIG');
      expect(failure(() => writeAt(fd, 'x', 2n ** 62n))).toBe('EFBIG');
      expect(fstatSync(fd).size).toBe(1);
    });
  });

  it('lets a file that was unlinked be written, read and measured', async () => {
    await mount();
    withFile(path('gone'), 'w+', (fd) => {
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
    withFile(path('a'), 'r+', (fd) => {
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
    withFile(path('a'), 'w', (fd) => {
      writeSync(fd, 'x');
      fsyncSync(fd);
    });
    const fd = openSync(directory, 'r');
    fsyncSync(fd);
    closeSync(fd);
    withFile(path('b'), constants.O_CREAT | constants.O_WRONLY | constants.O_DSYNC, (synced) => writeSync(synced, 'x'));
    expect(await requests(daemon)).toMatchObject({ FSYNC: 2, FSYNCDIR: 1 });
  });

  it.skipIf(lacks('getfattr'))(
    'keeps attributes in user. and says ENOTSUP for others, so that cp -a and tar go on',
    async () => {
      await mount({ files: { a: 'x' } });
      const set = await run('setfattr', ['-n', 'user.colour', '-v', 'blue', path('a')]);
      expect(set.code).toBe(0);
      const { stdout } = await run('getfattr', ['-n', 'user.colour', '--only-values', path('a')]);
      expect(stdout).toBe('blue');
      expect((await run('setfattr', ['-n', 'trusted.colour', '-v', 'blue', path('a')])).stderr).toMatch(
        /not supported/,
      );
      expect((await run('setfattr', ['-x', 'user.colour', path('a')])).code).toBe(0);
      expect((await run('getfattr', ['-n', 'user.colour', path('a')])).stderr).toMatch(/No such attribute/);
    },
  );
});
