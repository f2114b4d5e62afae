// Getting mounted: option strings, what is refused and with which words, strange paths and names, and ordinary users.
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findMount } from '../../src/base/mount-table.ts';
import { deviceMissing } from '../../src/fuse/mounting/device.ts';
import { rootOptions, userOptions } from '../../src/fuse/kernel/mounting/option-strings.ts';
import { checkKernelOptions, shownName } from '../../src/fuse/mounting/options.ts';
import {
  NOBODY,
  fuseExists,
  letEveryoneUseFuse,
  removeDirectory,
  run,
  startDaemon,
  temporaryDirectory,
  type Mounted,
} from './support/mounted.ts';
import { everybodyMayRead, isRoot, lacks } from '../machine.ts';

const plain = { deviceName: 'demo', readOnly: true, allowOther: false, kernelOptions: [] };

describe('mount options', () => {
  it('say what to do where there is no /dev/fuse', () => {
    expect(deviceMissing({ code: 'ENOENT' }).message).toMatch(/\/dev\/fuse is missing: .*modprobe fuse/);
    expect(deviceMissing({ code: 'EACCES', message: 'denied' }).errno).toBe(13);
  });

  it('always have nosuid, nodev and default_permissions', () => {
    const options = { ...plain, kernelOptions: ['noexec', 'nonempty', 'noatime'], allowOther: true };
    expect(rootOptions(options, 3, { uid: 5, gid: 6 })).toBe(
      'noexec,noatime,ro,nosuid,nodev,default_permissions,allow_other,max_read=1048576,fd=3,rootmode=40000,user_id=5,group_id=6',
    );
    expect(userOptions({ ...plain, readOnly: false })).toBe(
      'rw,nosuid,nodev,default_permissions,max_read=1048576,fsname=demo,subtype=syncplicityfs',
    );
  });

  it('escape the device name for fusermount3', () => {
    expect(userOptions({ ...plain, deviceName: 'a,b\\c' })).toContain('fsname=a\\,b\\\\c,');
  });

  it('show any device name as one line that mount(8) takes for a name', () => {
    expect(shownName('a\nb')).toBe('a?b');
    expect(shownName('LABEL=x')).toBe('LABEL:x');
    expect(shownName('')).toBe('syncplicityfs');
  });

  it.each(['suid', 'dev', 'fd=4', 'user_id=0', 'subtype=x', 'noexec,suid', 'a\\'])('refuse %s', (option) => {
    expect(() => checkKernelOptions([option])).toThrow(/mount option/);
  });
});

let directory: string;
let mountpoint: string;
const running: Mounted[] = [];

function prepare(owner?: number): void {
  directory = temporaryDirectory(owner);
  mountpoint = join(directory, 'mnt');
  mkdirSync(mountpoint);
  if (owner !== undefined) chownSync(mountpoint, owner, owner);
}

async function mount(path: string, options?: Parameters<typeof startDaemon>[1], uid?: number): Promise<Mounted> {
  const started = await startDaemon(path, options, uid);
  running.push(started);
  return started;
}

async function cleanUp(): Promise<void> {
  for (const each of running.splice(0)) await each.stop();
  removeDirectory(directory);
}

describe.skipIf(!fuseExists || !isRoot)('mounting as root', () => {
  beforeEach(() => prepare());
  afterEach(cleanUp);

  it('refuses what cannot be a mountpoint, in one line that says what to do', async () => {
    writeFileSync(join(directory, 'file'), '');
    await expect(mount(join(directory, 'none'))).rejects.toThrow(/none does not exist: create the directory/);
    await expect(mount(join(directory, 'file'))).rejects.toThrow(/file is not a directory/);
    await expect(mount(join(directory, 'file', 'below'))).rejects.toThrow(/is not a directory/);
    writeFileSync(join(mountpoint, 'something'), '');
    await expect(mount(mountpoint)).rejects.toThrow(/is not empty: .* -o nonempty/);
    await mount(mountpoint, { mount: { kernelOptions: ['nonempty'] }, files: { inside: 'x' } });
    expect(existsSync(join(mountpoint, 'inside'))).toBe(true);
    await expect(mount(mountpoint)).rejects.toThrow(/is already mounted: memory \(fuse\.syncplicityfs\)/);
  });

  it('leaves a mount alone that hangs, and does not hang itself', async () => {
    const first = await mount(mountpoint);
    first.child.kill('SIGSTOP');
    try {
      await expect(mount(mountpoint)).rejects.toThrow(/is already mounted/);
    } finally {
      first.child.kill('SIGCONT');
    }
  });

  it('refuses an option the kernel does not know, with its words, and leaves nothing behind', async () => {
    await expect(mount(mountpoint, { mount: { kernelOptions: ['no_such_option'] } })).rejects.toThrow(
      /could not be mounted: \S/,
    );
    expect(await findMount(mountpoint)).toBeUndefined();
  });

  it.each(['with space', 'a,b', 'line\nbreak', 'back\\slash', 'äöü ☃', '-o ro', '"quoted"'])(
    'takes the path %j',
    async (name) => {
      const path = join(directory, name);
      mkdirSync(path);
      const daemon = await mount(path, { mount: { deviceName: `my, "drive" ${name}` }, files: { a: 'x' } });
      expect(readFileSync(join(path, 'a'), 'utf8')).toBe('x');
      expect((await findMount(path))?.source).toBe(shownName(`my, "drive" ${name}`));
      await daemon.stop();
      expect(await findMount(path)).toBeUndefined();
    },
  );

  it('follows a symbolic link to the mountpoint', async () => {
    symlinkSync(mountpoint, join(directory, 'link'));
    await mount(join(directory, 'link'), { files: { a: 'x' } });
    expect((await findMount(mountpoint))?.type).toBe('fuse.syncplicityfs');
  });

  it('keeps others out unless allow_other', async () => {
    chmodSync(directory, 0o755);
    const asNobody = (): ReturnType<typeof run> =>
      run('setpriv', [
        '--reuid',
        String(NOBODY),
        '--regid',
        String(NOBODY),
        '--clear-groups',
        'cat',
        join(mountpoint, 'a'),
      ]);
    const first = await mount(mountpoint, { files: { a: 'x' } });
    expect((await asNobody()).stderr).toMatch(/Permission denied/);
    await first.stop();
    await mount(mountpoint, { files: { a: 'x' }, mount: { allowOther: true } });
    expect((await asNobody()).stdout).toBe('x');
  });
});

describe.skipIf(!fuseExists || !isRoot || !everybodyMayRead || lacks('fusermount3'))(
  'mounting as an ordinary user',
  () => {
    beforeAll(letEveryoneUseFuse);
    beforeEach(() => prepare(NOBODY));
    afterEach(cleanUp);

    const asUser = (...command: string[]): ReturnType<typeof run> =>
      run('setpriv', ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', ...command]);

    it('works through fusermount3, and unmounts', async () => {
      const daemon = await mount(mountpoint, { files: { a: 'mine' }, mount: { deviceName: 'my, drive' } }, NOBODY);
      expect((await asUser('cat', join(mountpoint, 'a'))).stdout).toBe('mine');
      expect(await findMount(mountpoint)).toMatchObject({ type: 'fuse.syncplicityfs', source: 'my, drive' });
      expect((await run('grep', [mountpoint, '/proc/self/mountinfo'])).stdout).toMatch(/nosuid,nodev/);
      expect((await daemon.statistics()).readAheadBytes).toBeGreaterThan(0);
      await daemon.order({ kind: 'unmount', lazy: false });
      expect(await daemon.finished).toMatchObject({ reason: 'unmounted' });
      expect(await findMount(mountpoint)).toBeUndefined();
    });

    it('writes', async () => {
      await mount(mountpoint, { mount: { readOnly: false } }, NOBODY);
      const script = `cd ${mountpoint} && mkdir d && echo text >f && mv f d/g && chmod 600 d/g && stat -c '%u %a %s' d/g`;
      expect(await asUser('sh', '-c', script)).toMatchObject({ stderr: '', stdout: `${NOBODY} 600 5\n` });
    });

    it('mounts again in the place of a killed daemon', async () => {
      const first = await mount(mountpoint, { files: { a: 'first' } }, NOBODY);
      first.child.kill('SIGKILL');
      await new Promise((resolve) => first.child.once('exit', resolve));
      await mount(mountpoint, { files: { a: 'second' } }, NOBODY);
      expect((await asUser('cat', join(mountpoint, 'a'))).stdout).toBe('second');
    });

    it('says what is missing', async () => {
      chownSync(mountpoint, 0, 0);
      await expect(mount(mountpoint, {}, NOBODY)).rejects.toThrow(/no permission to mount on/);
      chownSync(mountpoint, NOBODY, NOBODY);
      if (!/^user_allow_other/m.test(existsSync('/etc/fuse.conf') ? readFileSync('/etc/fuse.conf', 'utf8') : '')) {
        await expect(mount(mountpoint, { mount: { allowOther: true } }, NOBODY)).rejects.toThrow(
          /user_allow_other.*fuse\.conf/,
        );
      }
      expect(await findMount(mountpoint)).toBeUndefined();
    });
  },
);
