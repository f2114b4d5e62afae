import { appendFileSync, copyFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LoggedStore, type Table } from '../../src/cache/tree/logged-store.ts';
import { WriteAheadLog, type SyncLog } from '../../src/cache/tree/write-ahead-log.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

interface Opened {
  readonly store: LoggedStore;
  readonly first: Table<{ readonly value: number }>;
  readonly second: Table<Buffer>;
}

let directory: ReturnType<typeof temporaryDirectory>;
let opened: Opened[];

beforeEach(() => {
  directory = temporaryDirectory();
  opened = [];
});

afterEach(async () => {
  for (const { store } of opened) await store.close();
  directory.remove();
});

function openStore(name: string, syncLog?: SyncLog): Opened {
  const path = join(directory.path, name);
  mkdirSync(path, { recursive: true });
  const store = new LoggedStore(path, 4, syncLog);
  const first = store.table<{ readonly value: number }>({ name: 'first', keyEncoding: 'binary', encoding: 'msgpack' });
  const second = store.table<Buffer>({ name: 'second', keyEncoding: 'binary', encoding: 'binary' });
  store.recover();
  const all = { store, first, second };
  opened.push(all);
  return all;
}

/** What a process killed now leaves: its files as they are, its memory gone. */
function killed(name: string, as: string): string {
  mkdirSync(join(directory.path, as));
  for (const file of ['data.mdb', 'log'])
    copyFileSync(join(directory.path, name, file), join(directory.path, as, file));
  return as;
}

async function closed({ store }: Opened): Promise<void> {
  await store.close();
  opened = opened.filter((one) => one.store !== store);
}

const key = (number: number): Buffer => Buffer.from([0, number]);
const rows = ({ first }: Opened): [number, number][] =>
  [...first.range()].map(({ key: found, value }) => [found[1] as number, value.value]);

describe('the store with a log', () => {
  it('W1: a transaction outlives the process that was told it is done', () => {
    const store = openStore('one');
    store.store.transaction(() => {
      store.first.put(key(1), { value: 10 });
      store.second.put(key(1), Buffer.from('bytes'));
    });
    const after = openStore(killed('one', 'two'));
    expect(after.first.get(key(1))).toEqual({ value: 10 });
    expect(after.second.get(key(1))?.toString()).toBe('bytes');
  });

  it('W1: what may be lost is in the log with what comes after it, and only its last state', () => {
    const store = openStore('one');
    const loggable = (): 'loggable' => 'loggable';
    store.store.transaction(() => {
      store.first.put(key(1), { value: 1 });
      store.first.put(key(2), { value: 2 });
    }, loggable);
    store.store.transaction(() => store.first.put(key(1), { value: 10 }), loggable);
    expect(rows(store)).toEqual([
      [1, 10],
      [2, 2],
    ]);
    expect(rows(openStore(killed('one', 'lost')))).toEqual([]);
    store.store.transaction(() => store.first.remove(key(2)));
    expect(rows(openStore(killed('one', 'kept')))).toEqual([[1, 10]]);
    const atOnce = openStore('at-once');
    atOnce.store.transaction(() => {
      atOnce.first.put(key(1), { value: 10 });
      atOnce.first.remove(key(2));
    });
    expect(statSync(join(directory.path, 'one', 'log')).size).toBe(
      statSync(join(directory.path, 'at-once', 'log')).size,
    );
    store.store.transaction(() => store.first.put(key(3), { value: 3 }), loggable);
    store.store.commit();
    expect(rows(openStore(killed('one', 'committed')))).toEqual([
      [1, 10],
      [3, 3],
    ]);
  });

  it('keeps what may be lost apart from a transaction that throws after it', () => {
    const store = openStore('one');
    store.store.transaction(
      () => store.first.put(key(1), { value: 1 }),
      () => 'loggable',
    );
    expect(() =>
      store.store.transaction(() => {
        store.first.put(key(1), { value: 2 });
        throw new Error('no');
      }),
    ).toThrow('no');
    store.first.put(key(2), { value: 2 });
    expect(rows(openStore(killed('one', 'two')))).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  it('leaves nothing of a transaction that throws, for readers and after a crash', () => {
    const store = openStore('one');
    store.first.put(key(1), { value: 1 });
    expect(() =>
      store.store.transaction(() => {
        store.first.put(key(1), { value: 2 });
        store.first.remove(key(1));
        store.first.put(key(2), { value: 2 });
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(rows(store)).toEqual([[1, 1]]);
    expect(rows(openStore(killed('one', 'two')))).toEqual([[1, 1]]);
  });

  it('W2: a crash between the commit and the emptying of the log changes nothing', () => {
    const store = openStore('one');
    store.first.put(key(1), { value: 1 });
    store.first.put(key(1), { value: 2 });
    store.first.remove(key(3));
    const log = readFileSync(join(directory.path, 'one', 'log'));
    store.store.commit();
    const as = killed('one', 'two');
    writeFileSync(join(directory.path, as, 'log'), log);
    expect(rows(openStore(as))).toEqual([[1, 2]]);
  });

  it('W2: a log that is back after the power was lost undoes nothing that was committed after it', () => {
    const store = openStore('one');
    const path = join(directory.path, 'one', 'log');
    store.first.put(key(1), { value: 1 });
    store.first.put(key(2), { value: 1 });
    const old = readFileSync(path);
    store.store.commit();
    store.first.put(key(1), { value: 2 });
    store.first.remove(key(2));
    store.store.commit();
    const restarted = openStore(killed('one', 'two'));
    restarted.store.bulk(() => {
      restarted.first.put(key(3), { value: 3 });
    });
    restarted.first.put(key(1), { value: 4 });
    const unheard = readFileSync(join(directory.path, 'two', 'log'));
    const as = killed('two', 'three');
    writeFileSync(join(directory.path, as, 'log'), old);
    expect(rows(openStore(as))).toEqual([
      [1, 2],
      [3, 3],
    ]);
    const both = killed('two', 'four');
    writeFileSync(join(directory.path, both, 'log'), Buffer.concat([old, unheard]));
    expect(rows(openStore(both))).toEqual([
      [1, 4],
      [3, 3],
    ]);
  });

  it('is safe against power loss by one sync of the log, with what may be lost, and without a commit', async () => {
    const synced: number[] = [];
    const logOf = (name: string): string => join(directory.path, name, 'log');
    const store = openStore('one', () => Promise.resolve(void synced.push(statSync(logOf('one')).size)));
    await store.store.flushed();
    expect(synced).toEqual([]);
    store.first.put(key(1), { value: 1 });
    store.store.transaction(
      () => store.first.put(key(2), { value: 2 }),
      () => 'loggable',
    );
    await store.store.flushed();
    expect(synced).toEqual([statSync(logOf('one')).size]);
    const as = killed('one', 'two');
    expect(rows(openStore(as))).toEqual([
      [1, 1],
      [2, 2],
    ]);
    truncateSync(logOf('one'), 0);
    expect(rows(openStore(killed('one', 'without-log')))).toEqual([]);
  });

  it('is safe against power loss by a commit where the log cannot be synced', async () => {
    const store = openStore('one', () => Promise.reject(new Error('EIO: i/o error, fdatasync')));
    store.first.put(key(1), { value: 1 });
    await store.store.flushed();
    expect(statSync(join(directory.path, 'one', 'log')).size).toBe(0);
    expect(rows(openStore(killed('one', 'two')))).toEqual([[1, 1]]);
  });

  it('believes no sync of the log after one that failed, until the log was emptied', async () => {
    let failing = true;
    const log = new WriteAheadLog(join(directory.path, 'log'), () =>
      failing ? Promise.reject(new Error('EIO: i/o error, fdatasync')) : Promise.resolve(),
    );
    log.append(1, [[0, key(1), 1]]);
    await expect(log.sync()).rejects.toThrow('EIO');
    failing = false;
    await expect(log.sync()).rejects.toThrow('an earlier sync of the log failed');
    log.clear();
    log.append(2, [[0, key(1), 2]]);
    await log.sync();
    await log.close();
  });

  it.each(['cut', 'garbage', 'a byte flipped'] as const)('goes on with what is whole before a torn end: %s', (how) => {
    const store = openStore('one');
    store.first.put(key(1), { value: 1 });
    const whole = readFileSync(join(directory.path, 'one', 'log')).length;
    store.first.put(key(2), { value: 2 });
    const as = killed('one', 'two');
    const log = join(directory.path, as, 'log');
    const { length } = readFileSync(log);
    if (how === 'cut') truncateSync(log, length - 3);
    else if (how === 'garbage') {
      truncateSync(log, whole);
      appendFileSync(log, Buffer.alloc(100, 0xff));
    } else {
      const bytes = readFileSync(log);
      bytes[whole + 20] = (bytes[whole + 20] ?? 0) ^ 1;
      writeFileSync(log, bytes);
    }
    expect(rows(openStore(as))).toEqual([[1, 1]]);
  });

  it('commits by itself after a while, and empties the log', async () => {
    const store = openStore('one');
    store.first.put(key(1), { value: 1 });
    await expect.poll(() => readFileSync(join(directory.path, 'one', 'log')).length).toBe(0);
    expect(rows(openStore(killed('one', 'two')))).toEqual([[1, 1]]);
  });

  it('tries a commit that failed again every five seconds, until it succeeds', () => {
    vi.useFakeTimers();
    try {
      const store = openStore('one');
      const commit = vi.spyOn(store.store, 'commit').mockImplementation(() => {
        throw new Error('No space left on device');
      });
      store.store.transaction(() => store.first.put(key(1), { value: 10 }));
      vi.advanceTimersByTime(60_000);
      expect(commit.mock.calls.length).toBeLessThanOrEqual(13);
      commit.mockRestore();
      vi.advanceTimersByTime(5_000);
      expect(statSync(join(directory.path, 'one', 'log')).size).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('commits before the log grows without end', () => {
    const store = openStore('one');
    for (let turn = 0; turn < 10_000; turn += 1) store.first.put(key(turn % 200), { value: turn });
    expect(readFileSync(join(directory.path, 'one', 'log')).length).toBeLessThan(9 * 2 ** 20);
    expect(rows(store)).toHaveLength(200);
  });

  it('reads what a model has, whatever is written, committed, taken back, killed or closed', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('put' as const), number: fc.nat(30), value: fc.nat() }),
      fc.record({ kind: fc.constant('remove' as const), number: fc.nat(30) }),
      fc.record({ kind: fc.constant('loggable' as const), number: fc.nat(30), value: fc.nat() }),
      fc.record({ kind: fc.constant('bulk' as const), number: fc.nat(30), value: fc.nat() }),
      fc.record({ kind: fc.constantFrom('commit' as const, 'kill' as const, 'reopen' as const, 'throw' as const) }),
    );
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(30), fc.nat(30), async (steps, from, to) => {
        run += 1;
        let generation = 0;
        let name = `${run}-0`;
        let store = openStore(name);
        let model = new Map<number, number>();
        /** What a kill leaves. */
        let safe = new Map(model);
        for (const one of steps) {
          if (one.kind === 'put' || one.kind === 'bulk' || one.kind === 'loggable') {
            const put = (): void => store.first.put(key(one.number), { value: one.value });
            if (one.kind === 'bulk') store.store.bulk(put);
            else store.store.transaction(put, () => (one.kind === 'loggable' ? 'loggable' : 'now'));
            model.set(one.number, one.value);
          } else if (one.kind === 'remove') {
            store.first.remove(key(one.number));
            model.delete(one.number);
          } else if (one.kind === 'commit') store.store.commit();
          else if (one.kind === 'throw') {
            expect(() =>
              store.store.transaction(() => {
                store.first.put(key(7), { value: -1 });
                throw new Error('no');
              }),
            ).toThrow();
          } else {
            generation += 1;
            const next = `${run}-${generation}`;
            if (one.kind === 'kill') {
              name = killed(name, next);
              model = new Map(safe);
            }
            await closed(store);
            store = openStore(name);
          }
          if (one.kind !== 'loggable' && one.kind !== 'throw') safe = new Map(model);
          const expected = [...model].sort(([a], [b]) => a - b);
          expect(rows(store)).toEqual(expected);
          const part = [...store.first.range({ start: key(from), end: key(to) })].map((row) => row.key[1]);
          expect(part).toEqual(expected.map(([number]) => number).filter((number) => number >= from && number < to));
        }
        await closed(store);
      }),
      { numRuns: 40 },
    );
  });
});
