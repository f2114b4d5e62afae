// Programs that copy, pack and move whole trees, on a drive that is written to.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { testTransport } from '../cli/program.ts';
import { fuseExists } from '../mount/drive.ts';
import { Desk } from './desk.ts';
import { lacks } from '../machine.ts';

let desk: Desk;
let number = 0;
let timesMatter = true;

/** A tree with what copies get wrong: empty files, old and fine times, bits, names. Made anew as $L/source for each test. */
const source = `
  cd $L; rm -rf source; mkdir -p source/a/b source/empty
  for i in 1 2 3 4 5; do head -c $((i * 7001)) /dev/urandom > source/a/file$i; done
  : > source/a/b/zero
  printf x > "source/a/b/Übung 会議 \\$x'q%20.txt"
  touch -d '2001-02-03 04:05:06.123456789' source/a/file1
  touch -d '1980-01-01 00:00:01' source/a/file2
  chmod 755 source/a/file3; chmod 600 source/a/file4
`;
/** The transport fuse-native knows milliseconds only. */
const TIME = testTransport === 'kernel' ? '' : ` | sed -E 's/(\\.[0-9]{3})[0-9]*$/\\1/'`;
const attributes = (directory: string): string =>
  `(cd ${directory} && find . -type f -printf '%P %s %m %T@\\n' | sort${TIME})`;

beforeAll(async () => {
  desk = await Desk.set();
});
beforeEach(async () => {
  number += 1;
  timesMatter = true;
  await desk.script(`${source}\nmkdir $P/${number} $A/${number}`);
});
afterEach(async () => {
  // Content that comes back to what is stored is not sent again, so its new time stays here: git does that.
  await desk.same({ below: [`Projects/${number}`, `Archive/${number}`], times: timesMatter });
});
afterAll(async () => {
  await desk.clear();
});

/** A script with $D and $E as directories of this test in both syncpoints. */
const script = (text: string): Promise<string> => desk.script(`D=$P/${number} E=$A/${number}\n${text}`);

describe.skipIf(!fuseExists)('copying', () => {
  it('cp -a brings bytes, bits and times', async () => {
    await script(`
      cp -a source $D/copy
      diff -r source $D/copy
      diff <${attributes('source')} <${attributes('$D/copy')}
      cp -a $D/copy back
      diff -r source back
      diff <${attributes('source')} <${attributes('back')}
      rm -rf back
    `);
  });

  it.skipIf(lacks('rsync'))(
    'rsync -a sends nothing the second time, nor after a remount, nor from a machine that knows nothing',
    async () => {
      await script(`chmod 644 source/a/*[0-9]; rsync -a source/ $D/sync; test -z "$(rsync -ai source/ $D/sync)"`);
      await desk.flush();
      expect(await script('rsync -ai source/ $D/sync')).toBe('');
      await desk.remount();
      expect(await script('rsync -ai source/ $D/sync')).toBe('');
      await desk.remount('wiped');
      // The service keeps no times of folders.
      expect(await script('rsync -ai --omit-dir-times source/ $D/sync')).toBe('');
    },
  );

  it.skipIf(lacks('rsync', 'getfattr'))('rsync -X bears the attributes of a drive, into it and within it', async () => {
    await script(`
      rsync -aX source/ $D/x; rsync -aX source/ $D/x
      rsync -aX $D/x/ $D/y; diff -r source $D/y
    `);
  });

  it.skipIf(lacks('rsync'))('rsync --delete and --inplace', async () => {
    await script(`
      rsync -a source/ $D/sync
      rm source/a/file1; echo more >> source/a/file2; mkdir source/new; mv source/a/file5 source/new
      printf XX | dd of=source/a/file4 bs=1 seek=9000 conv=notrunc status=none; touch -d 2020-01-01 source/a/file4
      rsync -a --delete --inplace --no-whole-file source/ $D/sync
      diff -r source $D/sync
      rm -r source/a
      rsync -a --delete source/ $D/sync
      diff -r source $D/sync
    `);
  });

  it('mv within a folder, across folders, over what exists, and across syncpoints', async () => {
    await script(`
      cp -r source $D/copy; cp -r source $D/other
      mv $D/copy/a/file1 $D/copy/a/renamed
      mv $D/copy/a/renamed $D/copy/a/b/
      mv $D/copy/a/b/renamed $D/other/a/file5
      cmp $D/other/a/file5 source/a/file1
      mv $D/copy/a/b $D/other/empty/
      (! mv -T $D/copy/empty $D/other/empty 2>&1) | grep -q 'not empty'
      mv $D/other/empty/b $E/b
      diff -r source/a/b $E/b
      mv $E/b $D/copy/a/
      mv $D/copy $E/
      test ! -e $D/copy; diff -r source/a/b $E/copy/a/b; cmp source/a/file2 $E/copy/a/file2
    `);
  });

  it('mv of what is stored already', async () => {
    await script('cp -r source $D/copy');
    await desk.flush();
    await script(`
      mv $D/copy $D/renamed; mv $D/renamed/a $D/moved; mv $D/moved/file1 $D/moved/file2; mv $D/moved/b $E/
      test ! -e $D/copy; diff -r source/a/b $E/b; cmp source/a/file1 $D/moved/file2
    `);
    await desk.flush();
    await script('mv $D/moved $E/; mv $E/b/zero $D/; diff -r source/empty $D/renamed/empty');
  });

  it('mv of a stored file over another one, across syncpoints, shows what was moved while it is sent', async () => {
    await script('echo moved > $D/file; echo replaced > $E/file');
    await desk.flush();
    await desk.remount('wiped');
    const attempts = (): number => desk.drive.emulator.calls().byEndpoint['saveFile'] ?? 0;
    const before = attempts();
    desk.drive.emulator.setFaults([{ kind: 'throttle', endpoint: 'saveFile', count: 3, retryAfterSeconds: 1 }]);
    await script('mv $D/file $E/file');
    await expect.poll(attempts, { timeout: 20_000, interval: 20 }).toBeGreaterThan(before);
    expect(await script('cat $E/file')).toBe('moved\n');
    desk.drive.emulator.setFaults([]);
    await desk.flush();
    expect(await script('cat $E/file; stat -c %s $E/file')).toBe('moved\n6\n');
  });

  it('rm -rf, before and after it is stored', async () => {
    await script('cp -r source $D/copy; rm -rf $D/copy; test ! -e $D/copy; cp -r source $D/copy');
    await desk.flush();
    await script('rm -rf $D/copy; test ! -e $D/copy; test -z "$(ls -A $D)"');
  });

  it('rm -r of what was sent a moment ago, before the service told its ids, is one removal', async () => {
    await script('mkdir $D/folder; echo x > $D/folder/file');
    const before = desk.drive.emulator.calls().byEndpoint;
    const since = (endpoint: string): number =>
      (desk.drive.emulator.calls().byEndpoint[endpoint] ?? 0) - (before[endpoint] ?? 0);
    await expect.poll(() => since('saveFile'), { interval: 20, timeout: 20_000 }).toBe(1);
    await script('rm -r $D/folder');
    await desk.flush();
    expect(await script('ls $D')).toBe('');
    expect([since('fileDelete'), since('folderDelete')]).toEqual([0, 1]);
  });

  it('tar, with and without attributes', async () => {
    await script(`
      tar --format=pax -cf $D/packed.tar source
      tar xf $D/packed.tar -C $D; diff -r source $D/source; diff <${attributes('source')} <${attributes('$D/source')}
      tar --xattrs --xattrs-include='*' -cf attributes.tar -C $D source
      mkdir $E/again; tar --xattrs --xattrs-include='*' -xf attributes.tar -C $E/again
      diff -r source $E/again/source
    `);
  });

  it('tar of what was just written sees no file change, while it is sent and after', async () => {
    await script(
      'for i in $(seq 30); do cp -r source $D/copy$i; done; tar cf packed.tar -C $D . 2>said; cat said; test ! -s said',
    );
    await script(`
      for i in $(seq 4); do tar cf packed.tar -C $D . 2>said; test ! -s said; done
    `);
    const before = await script(`find $D -type f -printf '%p %i %s %T@ %C@\\n' | sort`);
    await desk.flush();
    expect(await script(`find $D -type f -printf '%p %i %s %T@ %C@\\n' | sort`)).toBe(before);
    await script('tar df packed.tar -C $D');
  });

  it.skipIf(lacks('zip', 'unzip'))('zip and unzip', async () => {
    await script(`
      zip -qr $D/packed.zip source; unzip -q $D/packed.zip -d $D/unpacked; diff -r source $D/unpacked/source
      (cd $D/unpacked && zip -qr ../packed.zip source/a/file1 && unzip -tq ../packed.zip)
    `);
  });

  it.skipIf(lacks('git'))('git clone, commit, gc and fsck', async () => {
    timesMatter = false;
    await script(`
      git config --global user.name n; git config --global user.email e@example.com; git config --global init.defaultBranch main
      git config --global --add safe.directory '*'
      git init -q repository; cd repository; cp -r ../source .; git add .; git commit -qm one
      git clone -q . $D/clone; cd $D/clone; diff -r $L/source/a source/a
      for i in 1 2 3 4 5; do echo $i > new$i; git add new$i; git commit -qm "commit $i"; done
      git branch side; git checkout -q side; git mv new1 moved; git commit -qam moved; git checkout -q main; git merge -q side
      git fsck --strict; git gc -q; git fsck --strict
      test -z "$(git status --porcelain)"; test $(git log --oneline | wc -l) = 7
      git push -q origin side
      rm -rf $L/repository
    `);
    await desk.remount();
    await script('cd $D/clone; git fsck --strict; test -z "$(git status --porcelain)"');
  });

  it('npm install --no-bin-links', async () => {
    await script(`
      mkdir package; cd package; echo '{"name": "part", "version": "1.0.0", "main": "part.js"}' > package.json
      echo 'module.exports = 42;' > part.js; npm pack --silent > /dev/null
      mkdir $D/app; cd $D/app; echo '{"name": "app", "version": "1.0.0"}' > package.json
      npm install --silent --no-bin-links --offline --no-audit --no-fund $L/package/part-1.0.0.tgz
      test "$(node -p 'require("part")')" = 42
      rm -rf node_modules; npm ci --silent --no-bin-links --offline --no-audit --no-fund
      test "$(node -p 'require("part")')" = 42
    `);
  });
});
