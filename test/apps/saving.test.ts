// Editors and databases: the ways in which programs save, against a drive, and what the service has of them meanwhile.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fuseExists } from '../mount/drive.ts';
import { Desk } from './desk.ts';
import { lacks } from '../machine.ts';

let desk: Desk;
let number = 0;
/** False where content that comes back to what is stored is not sent again, so that its new time stays here. */
let timesMatter = true;

beforeAll(async () => {
  desk = await Desk.set();
});
beforeEach(async () => {
  number += 1;
  timesMatter = true;
  await desk.script(`mkdir $P/${number}`);
});
afterEach(async () => {
  await desk.same({ below: [`Projects/${number}`], times: timesMatter });
});
afterAll(async () => {
  await desk.clear();
});

const script = (text: string): Promise<string> => desk.script(`D=$P/${number}\n${text}`);

/** Names and lengths that the service has in this test's directory. */
async function atService(): Promise<string[]> {
  const lines = await desk.heldByService();
  const prefix = `Projects/${number}/`;
  return lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length).replace(/ \w+$/, ''));
}

function uploads(): number {
  return desk.drive.emulator.calls().byEndpoint['saveFile'] ?? 0;
}

describe.skipIf(!fuseExists)('saving', () => {
  it.skipIf(lacks('python3')).each([
    ['libreoffice', []],
    ['gnome', ['a.odt~: 22']],
    ['qt', []],
    ['word', []],
    ['emacs', ['a.odt~: 22']],
    ['in_place', []],
    ['overwrite', []],
  ])('as %s does', async (pattern, besides) => {
    const save = (text: string): string => `python3 $T/save-patterns.py ${pattern} $D/a.odt '${text}'`;
    await script(save('the first, longer text'));
    await desk.flush();
    const before = uploads();
    await script(`${save('the second, as long it')}\n${save('the third')}`);
    await desk.flush();
    expect((await atService()).sort()).toEqual(['a.odt: 9', ...besides]);
    expect(await script('cat $D/a.odt')).toBe('the third');
    expect(uploads() - before).toBeLessThanOrEqual(1 + besides.length);
  });

  it('50 times in a row by temporary file and rename costs 3 uploads at most, and the last one wins', async () => {
    const before = uploads();
    await script('for i in $(seq 50); do echo "text $i" > $D/a.tmp; mv $D/a.tmp $D/a.txt; done');
    await desk.flush();
    expect(uploads() - before).toBeLessThanOrEqual(3);
    expect(await script('cat $D/a.txt')).toBe('text 50\n');
    expect(await atService()).toEqual(['a.txt: 8']);
  });

  it('by rename over a stored file leaves the service without it at no moment, and keeps its versions', async () => {
    await script('echo one > $D/a.txt');
    await desk.flush();
    const before = desk.drive.emulator.calls().byEndpoint;
    let missing = 0;
    let done = false;
    const watched = (async () => {
      while (!done) {
        if (!(await atService()).includes('a.txt: 4')) missing += 1;
        await nextTurn();
      }
    })();
    for (const text of ['two', 'six', 'ten']) {
      await script(`echo ${text} > $D/.a.new; mv $D/.a.new $D/a.txt`);
      await desk.flush();
    }
    done = true;
    await watched;
    expect(missing).toBe(0);
    const after = desk.drive.emulator.calls().byEndpoint;
    expect([after['fileDelete'], after['saveFile']]).toEqual([before['fileDelete'], (before['saveFile'] ?? 0) + 3]);
  });

  it('nothing where something was, after removing it or by rename, is nothing', async () => {
    await script('for name in removed renamed cut; do seq 100 > $D/$name; done');
    await desk.flush();
    await script('rm $D/removed; : > $D/removed; : > $D/empty; mv $D/empty $D/renamed; : > $D/cut');
    await desk.flush();
    expect(await script('cat $D/*')).toBe('');
    expect(await atService()).toEqual(['cut: 0', 'removed: 0', 'renamed: 0']);
  });

  it('over a file that was sent a moment ago, before the service told its ids, waits for nothing', async () => {
    const before = uploads();
    await script('seq 1000 > $D/a.txt');
    await expect.poll(() => uploads() - before, { interval: 20, timeout: 20_000 }).toBe(1);
    await script('seq 2000 > $D/.a.new; mv $D/.a.new $D/a.txt');
    const begun = performance.now();
    await desk.flush();
    // Looking in vain for what was sent takes 15 s.
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(await atService()).toEqual(['a.txt: 8893']);
  });

  it('what is there already, by a rename over it, is found to be so', async () => {
    await script('echo main > $D/HEAD');
    await desk.flush();
    await script('echo main > $D/HEAD.lock; mv $D/HEAD.lock $D/HEAD');
    const begun = performance.now();
    await desk.flush();
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(await atService()).toEqual(['HEAD: 5']);
    timesMatter = false;
  });

  it.skipIf(lacks('vim.tiny', 'nano', 'script'))('with vim, with swap and backup files, and with nano', async () => {
    await script(`
      printf 'one\\ntwo\\n' > $D/a.txt
      for how in yes no auto; do
        vim.tiny -u NONE -N -es -c "set swapfile directory=. backup backupskip= writebackup backupcopy=$how" -c '%s/$/x/' -c wq $D/a.txt < /dev/null
      done
      test "$(cat $D/a.txt)" = "$(printf 'onexxx\\ntwoxxx')"
      printf 'a\\n' > $D/nano.txt
      # Ctrl-O, Enter and Ctrl-X, once it shows its screen.
      { sleep 1; printf 'new \\017'; sleep 0.5; printf '\\r'; sleep 0.5; printf '\\030'; } |
        TERM=xterm script -qec "nano -I $D/nano.txt" /dev/null > /dev/null
      test "$(cat $D/nano.txt)" = 'new a'
    `);
    await desk.flush();
    expect(await atService()).toEqual(['a.txt: 14', 'a.txt~: 12', 'nano.txt: 6']);
  });

  it.skipIf(lacks('perl'))('sed -i, perl -i, sort -o, tee -a and split', async () => {
    await script(`
      seq 1000 > $D/a; seq 1000 > local
      for file in $D/a local; do
        sed -i 's/7/x/' $file; perl -pi -e 's/3/y/' $file; sort -ro $file $file; echo end | tee -a $file > /dev/null
      done
      cmp $D/a local; split -l 100 local $D/part-; cat $D/part-* | cmp - local
    `);
  });

  it.skipIf(lacks('sqlite3'))('sqlite with a rollback journal and with a write-ahead log', async () => {
    await script(`
      for mode in delete truncate persist wal; do
        sqlite3 $D/$mode.db "pragma journal_mode=$mode; create table t(x integer primary key, y text);" > /dev/null
        for i in 1 2 3; do
          sqlite3 $D/$mode.db "begin; with recursive n(i) as (select 1 union all select i + 1 from n where i < 500)
            insert into t(y) select hex(randomblob(50)) from n; commit; delete from t where x % 7 = $i;"
        done
        sqlite3 $D/$mode.db 'begin; delete from t; rollback; vacuum;'
        test "$(sqlite3 $D/$mode.db 'pragma integrity_check; select count(*) > 900 from t')" = "$(printf 'ok\\n1')"
      done
    `);
    await desk.remount();
    expect(await script('for db in $D/*.db; do sqlite3 $db "pragma integrity_check"; done')).toBe('ok\nok\nok\nok\n');
  });

  it.skipIf(lacks('sqlite3'))('sqlite from two processes at once', async () => {
    await script(`
      sqlite3 $D/a.db 'create table t(x)'
      for i in 1 2; do
        (for j in $(seq 20); do sqlite3 -cmd '.timeout 20000' $D/a.db 'insert into t values(1)'; done) & pids[$i]=$!
      done
      for pid in "\${pids[@]}"; do wait $pid; done
      test "$(sqlite3 $D/a.db 'select count(*) from t; pragma integrity_check')" = "$(printf '40\\nok')"
    `);
  });
});
