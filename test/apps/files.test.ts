// What other mounts of cloud storage get wrong, and what files may be like at their edges: each through the kernel, and then compared
// with what the service holds.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { kernelTransportOnly, testTransport } from '../cli/program.ts';
import { fuseExists } from '../mount/drive.ts';
import { Desk } from './desk.ts';
import { lacks } from '../machine.ts';

/** The largest content that goes to the service in one request. */
const ONE_REQUEST_BYTES = 5 * 2 ** 20;
/** 6 GiB take minutes and as much disk, twice. */
const fullScale = process.env['SYNCPLICITYFS_FULL_SCALE'] === '1';

/** Without fallocate(2) glibc writes into every block instead, of 2^62 bytes here. */
const emulatesFallocate = testTransport === 'fuse-native';

let desk: Desk;
let number = 0;

beforeAll(async () => {
  desk = await Desk.set();
});
beforeEach(async () => {
  number += 1;
  await desk.script(`mkdir $P/${number} $A/${number}`);
});
afterEach(
  async () => {
    await desk.same({ below: [`Projects/${number}`, `Archive/${number}`] });
  },
  fullScale ? 3_600_000 : 60_000,
);
afterAll(async () => {
  await desk.clear();
});

const script = (text: string): Promise<string> => desk.script(`D=$P/${number} E=$A/${number}\n${text}`);
const python = (text: string): Promise<string> =>
  desk.script(`cd $P/${number}; python3 - <<'END'
import errno, fcntl, mmap, os, stat
def errno_of(call, *args):
    try:
        call(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return 'no error'
${text}
END`);

describe.skipIf(!fuseExists)('a file', () => {
  it('dd conv=notrunc, append, truncate up and down, sparse', async () => {
    await script(`
      for at in $D local; do
        mkdir -p $at; seq 5000 > $at/a
        printf XX | dd of=$at/a bs=1 seek=5000 conv=notrunc status=none
        echo end >> $at/a; truncate -s 30000 $at/a; printf y >> $at/a; truncate -s 20000 $at/a; truncate -s +100000 $at/a
        truncate -s 3M $at/sparse; echo end >> $at/sparse; head -c 0 /dev/urandom >> $at/sparse
        : > $at/empty; echo x > $at/emptied; : > $at/emptied; truncate -s 10 $at/zeros
      done
      diff -r $D local
    `);
    await desk.remount();
    await script(
      'diff -r $D local; echo more | tee -a $D/a >> local/a; truncate -s 2 $D/sparse local/sparse; diff -r $D local; rm -r local',
    );
  });

  it('of sizes around those of one request comes back as it was', async () => {
    const sizes = [0, 1, ONE_REQUEST_BYTES - 1, ONE_REQUEST_BYTES, ONE_REQUEST_BYTES + 1, 2 * ONE_REQUEST_BYTES];
    await script(
      `mkdir sizes; for size in ${sizes.join(' ')}; do head -c $size /dev/urandom > sizes/$size; done; cp sizes/* $D`,
    );
    await desk.flush();
    await desk.remount('wiped');
    await script('diff -r sizes $D; rm -r sizes');
  });

  it.runIf(fullScale)('of 6 GiB', { timeout: 3_600_000 }, async () => {
    await script(
      'truncate -s 6G $D/a; for at in 0 3 5; do printf end | dd of=$D/a bs=1G seek=$at conv=notrunc status=none; done',
    );
  });

  it('keeps one inode number through renames, sending and a remount', async () => {
    await script(
      'echo x > $D/a; mkdir $D/folder; stat -c %i $D/a > before; mv $D/a $D/b; mv $D/b $D/folder/c; stat -c %i $D/folder/c | cmp - before',
    );
    await desk.flush();
    await script('stat -c %i $D/folder/c | cmp - before; mv $D/folder $D/moved; stat -c %i $D/moved/c | cmp - before');
    await desk.flush();
    await desk.remount();
    await script('stat -c %i $D/moved/c | cmp - before');
  });

  it('in a directory renamed and moved out before it was sent keeps every byte', async () => {
    await script(`
      mkdir -p $D/a/b local/a/b; for i in $(seq 20); do seq $i 3000 | tee $D/a/b/$i > local/a/b/$i; done
      mv $D/a/b $D/a/c; mv $D/a/c $D/out; mv $D/out $E/across; diff -r local/a/b $E/across
    `);
    await desk.flush();
    await script('diff -r local/a/b $E/across; test "$(ls $D)" = a; rm -r local/a');
  });

  it('in a directory renamed while it is open goes on', async () => {
    await script(`
      mkdir $D/a; exec 3<> $D/a/file; echo one >&3; mv $D/a $D/b; echo two >&3; mkdir $D/c; mv $D/b $D/c/d; echo three >&3; exec 3>&-
      test "$(cat $D/c/d/file)" = "$(printf 'one\\ntwo\\nthree')"
    `);
  });

  it.skipIf(lacks('python3'))('can be truncated by path right after it was closed, and while it is sent', async () => {
    await python(`
for i in range(40):
    with open('a', 'wb') as file:
        file.write(b'x' * 100000)
    os.truncate('a', 1000 + i)
    assert os.stat('a').st_size == 1000 + i
    assert open('a', 'rb').read() == b'x' * (1000 + i)
`);
  });

  it.skipIf(lacks('python3'))('that was unlinked while open is read, written, cut and statted on', async () => {
    await python(`
file = os.open('a', os.O_RDWR | os.O_CREAT, 0o644)
os.write(file, b'hello world')
os.unlink('a')
assert errno_of(os.stat, 'a') == 'ENOENT'
assert os.pread(file, 100, 0) == b'hello world'
os.pwrite(file, b'W', 6)
os.ftruncate(file, 20)
found = os.fstat(file)
assert (found.st_size, found.st_nlink) == (20, 0), found
assert os.pread(file, 100, 0) == b'hello World' + bytes(9)
os.fchmod(file, 0o600)
os.utime(file, ns=(1, 1))
with open('a', 'w') as other:
    other.write('another')
os.close(file)
assert open('a').read() == 'another'
`);
  });

  it.skipIf(lacks('python3'))('renamed over one that is open leaves that one as it was', async () => {
    await python(`
for stored in range(2):
    open('new', 'w').write('new content')
    open('old', 'w').write('old')
    reader = open('old', 'rb', buffering=0)
    writer = os.open('new', os.O_RDWR)
    os.rename('new', 'old')
    os.write(writer, b'NEW')
    os.close(writer)
    assert reader.read() == b'old'
    assert os.fstat(reader.fileno()).st_size == 3
    assert open('old').read() == 'NEW content'
    reader.close()
`);
  });

  it.skipIf(lacks('python3'))('says what POSIX says of names, sizes and flags', async () => {
    await python(`
assert errno_of(open, 'x' * 256, 'w') == 'ENAMETOOLONG'
assert errno_of(open, 'ü' * 128, 'w') == 'ENAMETOOLONG'
open('ü' * 127, 'w').close()
assert errno_of(os.mkdir, 'x' * 256) == 'ENAMETOOLONG'
file = os.open('a', os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
assert errno_of(os.open, 'a', os.O_RDWR | os.O_CREAT | os.O_EXCL) == 'EEXIST'
assert errno_of(os.ftruncate, file, 2 ** 62) == 'EFBIG'
assert errno_of(os.truncate, 'a', 2 ** 62) == 'EFBIG'
assert errno_of(os.pwrite, file, b'x', 2 ** 62) == 'EFBIG'
${emulatesFallocate ? '' : "assert errno_of(os.posix_fallocate, file, 0, 2 ** 62) == 'EFBIG'"}
# As on a local disk: opened, and neither read nor written.
neither = errno_of(os.open, 'a', os.O_WRONLY | os.O_RDWR)
assert neither == 'EINVAL', neither
assert os.fstat(file).st_size == 0
os.write(file, b'content')
end = os.open('a', os.O_WRONLY | os.O_APPEND)
os.lseek(end, 0, os.SEEK_SET)
os.write(end, b'+end')
os.close(end)
assert os.pread(file, 100, 0) == b'content+end'
os.close(os.open('a', os.O_RDWR | os.O_TRUNC))
assert os.fstat(file).st_size == 0
assert errno_of(os.mkdir, 'a') == 'EEXIST'
assert errno_of(os.rmdir, 'a') == 'ENOTDIR'
assert errno_of(os.listdir, 'a/b') == 'ENOTDIR'
os.mkdir('folder')
open('folder/x', 'w').close()
assert errno_of(os.unlink, 'folder') == 'EISDIR'
assert errno_of(os.rmdir, 'folder') == 'ENOTEMPTY'
assert errno_of(os.rename, 'folder', 'folder/inside') == 'EINVAL'
assert errno_of(os.rename, 'a', 'folder') == 'EISDIR'
assert errno_of(os.rename, 'folder', 'a') == 'ENOTDIR'
`);
  });

  it.skipIf(lacks('python3'))(
    'that the service would refuse is refused at once, with the reason in status',
    async () => {
      await python(`
for name in ['a<b', 'a>b', 'a\\\\b', ' leading', 'trailing ']:
    assert errno_of(open, name, 'w') == 'EINVAL', name
    assert errno_of(os.mkdir, name) == 'EINVAL', name
    open('fine', 'w').close()
    assert errno_of(os.rename, 'fine', name) == 'EINVAL', name
`);
      const { waiting } = await desk.drive.status();
      expect(waiting.map(({ reason }) => reason).join('\n')).toContain('the name "a<b" has a < in it');
      expect(await script('ls $D')).toBe('fine\n');
    },
  );

  it.skipIf(lacks('python3'))('may have any name in UTF-8, composed or not', async () => {
    await python(`
names = ['ä ö ü', 'e\\u0301', '日本語.md', '😀', 'a%20b', '100%', "it's", 'a"b', 'a:b', 'a|b', 'a?b', 'a*b', '#x', '-rf', '~', 'a\\tb', 'CON', '.hidden', 'x' * 255]
for name in names:
    os.mkdir(name)
    with open(os.path.join(name, name), 'w') as file:
        file.write(name)
assert sorted(os.listdir('.')) == sorted(names)
`);
    await desk.remount('wiped');
    await python(`
for name in os.listdir('.'):
    assert os.listdir(name) == [name]
    assert open(os.path.join(name, name)).read() == name
`);
  });

  it.skipIf(lacks('python3'))('links, fifos, sockets and devices are refused and leave nothing behind', async () => {
    await python(`
open('a', 'w').close()
assert errno_of(os.symlink, 'a', 'link') == 'EPERM'
assert errno_of(os.link, 'a', 'hard') == 'EPERM'
assert errno_of(os.mkfifo, 'fifo') == 'EPERM'
assert errno_of(os.mknod, 'device', stat.S_IFCHR | 0o600, os.makedev(1, 3)) == 'EPERM'
assert errno_of(os.mknod, 'socket', stat.S_IFSOCK | 0o600) == 'EPERM'
assert os.listdir('.') == ['a']
`);
  });

  it.skipIf(lacks('python3'))(
    'attributes that are not kept are ENOTSUP, which cp -a and tar --xattrs bear',
    async () => {
      await python(`
open('a', 'w').close()
for name in ['user.mine', 'security.selinux', 'trusted.x']:
    assert errno_of(os.setxattr, 'a', name, b'x') == 'ENOTSUP', name
`);
      await script(`
      echo x > marked; setfattr -n user.mine -v x marked || true
      cp -a marked $D/copy; tar --xattrs --xattrs-include='*' -cf marked.tar marked; tar --xattrs --xattrs-include='*' -xf marked.tar -C $D
      test "$(cat $D/copy $D/marked)" = "$(printf 'x\\nx')"; rm marked marked.tar
    `);
    },
  );

  it.skipIf(lacks('python3'))('is written through a shared mapping, also after its descriptor was closed', async () => {
    await python(`
file = os.open('a', os.O_RDWR | os.O_CREAT, 0o644)
os.ftruncate(file, 100000)
mapping = mmap.mmap(file, 100000)
mapping[5:10] = b'early'
mapping.flush()
assert os.pread(file, 5, 5) == b'early'
os.close(file)
mapping[70000:70004] = b'late'
mapping.close()
content = open('a', 'rb').read()
assert (content[5:10], content[70000:70004], len(content)) == (b'early', b'late', 100000)
`);
    await desk.remount();
    await python(`
file = os.open('a', os.O_RDWR)
mapping = mmap.mmap(file, 100000)
assert mapping[70000:70004] == b'late'
mapping[99999:100000] = b'!'
mapping.close()
os.close(file)
assert open('a', 'rb').read()[-1:] == b'!'
`);
  });

  it.skipIf(kernelTransportOnly('libfuse is told milliseconds'))(
    'keeps nanoseconds while it is here, and 100 of them at the service',
    async () => {
      await script('echo x > $D/a; touch -d "2021-02-03 04:05:06.123456789 UTC" $D/a');
      const time = 'TZ=UTC stat -c %y $D/a';
      expect(await script(time)).toBe('2021-02-03 04:05:06.123456789 +0000\n');
      await desk.flush();
      await desk.remount();
      expect(await script(time)).toBe('2021-02-03 04:05:06.123456789 +0000\n');
      await desk.remount('wiped');
      expect(await script(time)).toBe('2021-02-03 04:05:06.123456700 +0000\n');
    },
  );

  it.skipIf(lacks('gcc'))('is compiled, made executable and run', async () => {
    await script(`
      printf 'int main(void) { return 42; }' > $D/main.c; gcc -o $D/main $D/main.c
      code=0; $D/main || code=$?; test $code = 42
      printf '#!/bin/sh\\necho "$0" ran\\n' > $D/run.sh; ! $D/run.sh 2> /dev/null; chmod +x $D/run.sh; test "$($D/run.sh)" = "$D/run.sh ran"
    `);
    await desk.remount();
    await script('code=0; $D/main || code=$?; test $code = 42; $D/run.sh > /dev/null');
  });

  it.skipIf(lacks('python3'))('locks keep programs of this machine apart', async () => {
    await python(`
one, other = open('a', 'w'), open('a', 'w')
fcntl.flock(one, fcntl.LOCK_EX)
assert errno_of(fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB) == 'EAGAIN'
fcntl.flock(one, fcntl.LOCK_UN)
fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
`);
  });
});
