// The transport through the real kernel, as root. The mount lives in a child process: a process that does synchronous I/O on
// its own mount waits for itself.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, opendirSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs';
import { open, readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { asRoot, eventually, requests, useMount } from './support/fixture.ts';
import { patternBytes } from './support/memory-file.ts';
import { isMounted, run } from './support/mounted.ts';
import { lacks } from '../machine.ts';

const fixture = useMount();
const { mount, background } = fixture;
let directory = '';
beforeEach(() => {
  ({ directory } = fixture);
});

const dropCaches = '/proc/sys/vm/drop_caches';

describe.skipIf(!asRoot)('a mount as root', () => {
  it.skipIf(lacks('getfattr'))('shows names, attributes, content, statfs and extended attributes', async () => {
    await mount({ files: { 'a.txt': 'hello', 'é ü.txt': 'x' }, directories: { sub: 2 } });
    expect((await readdir(directory)).sort()).toEqual(['a.txt', 'sub', 'é ü.txt']);
    expect(readFileSync(join(directory, 'a.txt'), 'utf8')).toBe('hello');
    const status = statSync(join(directory, 'a.txt'), { bigint: true });
    expect(status.size).toBe(5n);
    expect(status.mode).toBe(0o100644n);
    expect(status.mtimeNs).toBe(1_700_000_000_123_456_789n);
    const capacity = await statfs(directory);
    expect(capacity.blocks * capacity.bsize).toBe(5 * 2 ** 40);
    expect(capacity.bavail * capacity.bsize).toBe(3 * 2 ** 40);
    expect(existsSync(join(directory, 'none'))).toBe(false);
    const attributes = await run('getfattr', ['-n', 'user.test', '--only-values', join(directory, 'a.txt')]);
    if (attributes.code !== null) expect(attributes.stdout).toBe('value');
    const { stdout } = await run('grep', [directory, '/proc/self/mountinfo']);
    expect(stdout).toMatch(/ro,nosuid,nodev,.* - fuse\.syncplicityfs memory ro,.*default_permissions/);
  });

  it('lists 50,000 entries with attributes, and stays right while entries come and go', async () => {
    const daemon = await mount({ directories: { many: 50_000 } });
    const { stdout } = await run('ls', ['-lU', join(directory, 'many')]);
    expect(stdout.split('\n').length).toBe(50_002);
    const after = await requests(daemon);
    expect([after['LOOKUP'] ?? 0, after['GETATTR'] ?? 0].every((count) => count <= 3)).toBe(true);
    expect(after['GETXATTR'] ?? 0).toBeLessThan(20);

    const listing = opendirSync(join(directory, 'many'), { bufferSize: 1 });
    const seen: string[] = [];
    for (let index = 0; index < 40_000; index++) {
      const row = listing.readSync();
      if (row === null) break;
      seen.push(row.name);
      if (index % 1000 === 0) {
        const number = String(index / 1000).padStart(3, '0');
        await daemon.order({
          kind: 'replace-children',
          directory: 'many',
          remove: `file-${number}500.txt`,
          add: `new-${number}`,
        });
      }
    }
    for (let row = listing.readSync(); row !== null; row = listing.readSync()) seen.push(row.name);
    listing.closeSync();
    expect(new Set(seen).size, 'no name twice').toBe(seen.length);
    const stayed = Array.from({ length: 50_000 }, (_, index) => `file-${String(index).padStart(6, '0')}.txt`).filter(
      (name) => !(/500\.txt$/.test(name) && Number(name.slice(5, 8)) < 40),
    );
    const listed = new Set(seen);
    expect(stayed.filter((name) => !listed.has(name))).toEqual([]);
  });

  it('reads a gigabyte in order and anywhere past 4 GiB', async () => {
    const daemon = await mount({ files: { gigabyte: 2 ** 30, huge: 5 * 2 ** 30 + 12_345 } });
    const hash = createHash('sha256');
    const expected = createHash('sha256');
    const file = await open(join(directory, 'gigabyte'));
    const buffer = Buffer.alloc(2 ** 20);
    for (let at = 0; at < 2 ** 30; at += buffer.length) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      expect(bytesRead).toBe(buffer.length);
      hash.update(buffer);
      for (const piece of patternBytes(at, buffer.length)) expected.update(piece);
    }
    await file.close();
    expect(hash.digest('hex')).toBe(expected.digest('hex'));
    const reads = (await daemon.statistics()).byOpcode['READ'];
    // Once, but for what was read ahead when another test had the machine's caches dropped.
    expect(reads?.bytes).toBeGreaterThanOrEqual(2 ** 30);
    expect(reads?.bytes).toBeLessThan(1.1 * 2 ** 30);
    expect(reads?.requests).toBeLessThan(1200);

    const fd = openSync(join(directory, 'huge'), 'r');
    try {
      for (const at of [2 ** 32 - 10, 2 ** 32 + 65_530, 5 * 2 ** 30, 5 * 2 ** 30 + 12_300]) {
        const small = Buffer.alloc(100);
        const bytes = readSync(fd, small, 0, 100, at);
        expect(bytes).toBe(Math.min(100, 5 * 2 ** 30 + 12_345 - at));
        expect(small.subarray(0, bytes).equals(Buffer.concat(patternBytes(at, bytes)))).toBe(true);
      }
      expect(readSync(fd, Buffer.alloc(10), 0, 10, 6 * 2 ** 30)).toBe(0);
    } finally {
      closeSync(fd);
    }
  });

  it('asks nothing twice: repeated stat, cat and missing names cost no request', async () => {
    const daemon = await mount({ files: { 'a.txt': 'hello' } });
    const path = join(directory, 'a.txt');
    const all = (): void => {
      statSync(path);
      readFileSync(path);
      existsSync(join(directory, 'none'));
    };
    all();
    const before = await requests(daemon);
    for (let index = 0; index < 20; index++) all();
    // RELEASE is not waited for by close(2): those may still trickle in.
    const after = await requests(daemon);
    const costly = Object.keys(after).filter((name) => !['OPEN', 'RELEASE'].includes(name));
    for (const name of costly) expect([name, after[name]]).toEqual([name, before[name]]);
    expect(after['OPEN']).toBe((before['OPEN'] ?? 0) + 20);
    expect(after['FLUSH']).toBeUndefined();
  });

  it('shows a change at once when told, however long the lifetimes', async () => {
    const daemon = await mount({ files: { 'a.txt': 'old', gone: 'x', from: 'moved' } });
    const path = (name: string): string => join(directory, name);
    expect(readFileSync(path('a.txt'), 'utf8')).toBe('old');
    expect(existsSync(path('new'))).toBe(false);
    expect([existsSync(path('gone')), existsSync(path('from')), existsSync(path('to'))]).toEqual([true, true, false]);

    await daemon.order({ kind: 'set', name: 'a.txt', content: 'newer', tell: false });
    expect(readFileSync(path('a.txt'), 'utf8'), 'cached, as the test needs it').toBe('old');
    await daemon.order({ kind: 'set', name: 'a.txt', content: 'newest', tell: true });
    expect(statSync(path('a.txt')).size).toBe(6);
    expect(readFileSync(path('a.txt'), 'utf8')).toBe('newest');

    await daemon.order({ kind: 'set', name: 'new', content: 'here', tell: true });
    expect(readFileSync(path('new'), 'utf8')).toBe('here');
    await daemon.order({ kind: 'remove', name: 'gone', tell: true });
    expect(existsSync(path('gone'))).toBe(false);
    await daemon.order({ kind: 'rename', from: 'from', to: 'to', tell: true });
    expect([existsSync(path('from')), readFileSync(path('to'), 'utf8')]).toEqual([false, 'moved']);
  });

  it('shows a changed listing although the kernel caches listings', async () => {
    const daemon = await mount({ files: { a: '1' }, cacheDirectories: true });
    for (let index = 0; index < 3; index++) expect(await readdir(directory)).toEqual(['a']);
    const before = (await requests(daemon))['READDIRPLUS'];
    expect(await readdir(directory)).toEqual(['a']);
    expect((await requests(daemon))['READDIRPLUS'], 'from the kernel').toBe(before);
    await daemon.order({ kind: 'set', name: 'b', content: '2', tell: true });
    expect((await readdir(directory)).sort()).toEqual(['a', 'b']);
  });

  it('expires a directory without tearing it from under a process inside', async () => {
    const daemon = await mount({ directories: { sub: 1 } });
    const shell = background('sleep', ['60'], join(directory, 'sub'));
    await daemon.order({ kind: 'rename', from: 'sub', to: 'sub', tell: true });
    const { stdout } = await run('readlink', [`/proc/${shell.pid}/cwd`]);
    expect(stdout.trim()).toBe(join(directory, 'sub'));
  });

  it('takes a hundred thousand notifications while it is read', async () => {
    const daemon = await mount({ directories: { many: 2000 } });
    const told = daemon.order({ kind: 'tell-names', count: 100_000 });
    for (let index = 0; index < 10; index++) expect((await readdir(join(directory, 'many'))).length).toBe(2000);
    await told;
    const { notifications } = await daemon.statistics();
    expect(notifications).toMatchObject({ waiting: 0, failed: 0 });
  });

  it.each([
    ['a file that hangs in READ', 'cat', 'hung'],
    ['a name that hangs in LOOKUP', 'stat', 'slow'],
  ])('lets Ctrl-C end a program waiting for %s', async (_, program, name) => {
    const daemon = await mount({ files: { hung: 'content', other: 'fine' }, hanging: ['hung'], hangingName: 'slow' });
    const waiting = background(program, [join(directory, name)]);
    await eventually(async () => (await daemon.statistics()).pending > 0);
    expect(readFileSync(join(directory, 'other'), 'utf8'), 'others go on').toBe('fine');
    const start = Date.now();
    waiting.kill('SIGINT');
    const [, signal] = (await once(waiting, 'exit')) as [number | null, string | null];
    expect(signal).toBe('SIGINT');
    expect(Date.now() - start).toBeLessThan(1000);
  });

  it('gets every lookup back when the kernel drops its caches, and every handle', async () => {
    const daemon = await mount({ files: { 'a.txt': 'hello' }, directories: { many: 3000 } });
    await run('ls', ['-l', join(directory, 'many')]);
    readFileSync(join(directory, 'a.txt'));
    statSync(join(directory, 'a.txt'));
    expect((await daemon.statistics()).lookups).toBeGreaterThan(3000);
    await eventually(async () => {
      writeFileSync(dropCaches, '2');
      const { lookups, handles } = await daemon.statistics();
      return lookups === 0 && handles === 0;
    });
  });

  it.skipIf(lacks('perl'))(
    'does not let Ctrl-Z or a timer fail what a program waits for, nor keep Ctrl-C from ending it',
    async () => {
      const daemon = await mount({ hangingName: 'slow' });
      const program = background('perl', [
        '-e',
        '$SIG{ALRM} = sub {}; exit(-e $ARGV[0] ? 0 : 1)',
        join(directory, 'slow'),
      ]);
      await eventually(async () => (await daemon.statistics()).pending > 0);
      for (let tick = 0; tick < 6; tick += 1) {
        program.kill('SIGALRM');
        await sleep(50);
      }
      program.kill('SIGTSTP');
      await sleep(300);
      program.kill('SIGCONT');
      await sleep(300);
      expect([program.exitCode, await daemon.statistics()]).toMatchObject([null, { pending: 1, interrupted: 0 }]);
      const ended = once(program, 'exit');
      program.kill('SIGINT');
      expect((await ended)[1]).toBe('SIGINT');
    },
  );

  it('keeps its counts through a storm of interrupted programs', async () => {
    const daemon = await mount({ files: { big: 2 ** 26 }, directories: { many: 2000 }, waits: true, lifetimeMs: 0 });
    for (let round = 0; round < 12; round++) {
      const storm = [
        background('ls', ['-lR', directory]),
        background('find', [directory, '-size', '+1']),
        background('cat', [join(directory, 'big')]),
        background('sh', ['-c', `for i in 1 2 3 4 5 6 7 8 9; do stat ${directory}/many/file-00000$i.txt; done`]),
      ];
      const ends = storm.map((child) => once(child, 'exit'));
      const before = (await daemon.statistics()).byOpcode['LOOKUP']?.requests ?? 0;
      await eventually(async () => {
        const { byOpcode } = await daemon.statistics();
        return (byOpcode['LOOKUP']?.requests ?? 0) > before + round * 4;
      });
      for (const child of storm) child.kill(round % 2 === 0 ? 'SIGINT' : 'SIGKILL');
      await Promise.all(ends);
    }
    expect((await readdir(join(directory, 'many'))).length).toBe(2000);
    await eventually(async () => {
      writeFileSync(dropCaches, '3');
      const { lookups, handles, pending } = await daemon.statistics();
      return lookups === 0 && handles === 0 && pending === 0;
    });
    const { interrupted, malformed } = await daemon.statistics();
    expect(interrupted).toBeGreaterThan(0);
    expect(malformed).toBe(0);
  });

  it('answers EIO for a bug in a verb, and goes on', async () => {
    await mount({ files: { a: 'x' } });
    await expect(stat(join(directory, 'bug'))).rejects.toMatchObject({ code: 'EIO' });
    expect(readFileSync(join(directory, 'a'), 'utf8')).toBe('x');
  });

  it.each([true, false])('refuses writing as a disk mounted read-only does (mounted so: %s)', async (readOnly) => {
    await mount({ files: { a: 'x' }, mount: { readOnly }, readOnly: true });
    const writing = async (flags: string, name: string): Promise<void> =>
      (await open(join(directory, name), flags)).close();
    await expect(writing('wx', 'b')).rejects.toMatchObject({ code: 'EROFS' });
    await expect(writing('r+', 'a')).rejects.toMatchObject({ code: 'EROFS' });
    expect((await run('mkdir', [join(directory, 'd')])).stderr).toMatch(/Read-only file system/);
  });
});

describe.skipIf(!asRoot)('the end of a mount', () => {
  it('says who keeps it busy, and detaches when asked to', async () => {
    const daemon = await mount({ directories: { sub: 1 } });
    const shell = background('sleep', ['60'], join(directory, 'sub'));
    const busy = daemon.order({ kind: 'unmount', lazy: false });
    await expect(busy).rejects.toThrow(new RegExp(`is busy: sleep \\(pid ${shell.pid}\\) uses .*/sub`));
    await daemon.order({ kind: 'unmount', lazy: true });
    expect(await isMounted(directory)).toBe(false);
    shell.kill('SIGKILL');
    expect(await daemon.finished).toMatchObject({ reason: 'unmounted', handles: 0 });
  });

  it('says what else keeps it busy: a mount in it, and a loop device', async () => {
    const daemon = await mount({ files: { image: 2 ** 20 }, directories: { sub: 0 } });
    const inside = join(directory, 'sub');
    expect((await run('mount', ['-t', 'tmpfs', 'scratch', inside])).code).toBe(0);
    await expect(daemon.order({ kind: 'unmount', lazy: false })).rejects.toThrow(
      `${directory} is busy: scratch is mounted on ${inside}`,
    );
    await run('umount', [inside]);
    const { code, stdout } = await run('losetup', ['-r', '-f', '--show', join(directory, 'image')]);
    if (code === 0) {
      const device = stdout.trim();
      await expect(daemon.order({ kind: 'unmount', lazy: false })).rejects.toThrow(`${device} uses ${directory}/image`);
      await run('losetup', ['-d', device]);
    }
    await daemon.order({ kind: 'unmount', lazy: false });
    expect(await isMounted(directory)).toBe(false);
  });

  it('is noticed when somebody else unmounts', async () => {
    const daemon = await mount({ files: { a: 'x' } });
    readFileSync(join(directory, 'a'));
    expect((await run('umount', [directory])).code).toBe(0);
    expect(await daemon.finished).toMatchObject({ reason: 'unmounted', handles: 0 });
  });

  it('is told apart when the connection is aborted', async () => {
    const daemon = await mount({ files: { a: 'x' } });
    const { dev } = statSync(directory);
    const control = `/sys/fs/fuse/connections/${dev & 0xff}/abort`;
    const ours = !existsSync(control);
    if (ours) await run('mount', ['-t', 'fusectl', 'fusectl', '/sys/fs/fuse/connections']);
    writeFileSync(control, '1');
    if (ours) await run('umount', ['/sys/fs/fuse/connections']);
    expect(await daemon.finished).toMatchObject({ reason: 'aborted' });
    await run('umount', [directory]);
  });

  it('clears away what a killed daemon left, and mounts again in its place', async () => {
    const first = await mount({ files: { a: 'first' } });
    expect(readFileSync(join(directory, 'a'), 'utf8')).toBe('first');
    const gone = once(first.child, 'exit');
    first.child.kill('SIGKILL');
    await gone;
    await expect(statfs(directory)).rejects.toMatchObject({ code: 'ENOTCONN' });
    await mount({ files: { a: 'second' } });
    expect(readFileSync(join(directory, 'a'), 'utf8')).toBe('second');
    await fixture.stop();
    expect(await isMounted(directory)).toBe(false);
  });
});
