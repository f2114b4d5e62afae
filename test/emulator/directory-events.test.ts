// What a directory store's events tell of changes made beside it: each one that a client may not know of, and no others.
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { DirectoryStore } from '../../src/emulator/directory-store.ts';
import { DirectoryWatch } from '../../src/emulator/directory-watch.ts';
import { HostDirectory, onlySyncpoint, walk } from './host-directory.ts';

let host: HostDirectory;
let data: string;
let store: DirectoryStore;

beforeEach(async () => {
  host = new HostDirectory({ 'a.txt': 'hello', 'sub/deep/': '', 'sub/b.txt': 'below' });
  ({ data } = host);
  store = await host.open();
});
afterEach(async () => {
  await store.close();
  host.remove();
});

async function event(): Promise<number | undefined> {
  return (await store.syncpoints({ lookForChanges: true }))[0]?.lastEventId;
}

describe('what others do in a folder that was listed is an event', () => {
  const changes: Readonly<Record<string, () => void>> = {
    'a new file': () => writeFileSync(join(data, 'sub', 'new'), ''),
    'a new file in an empty folder': () => writeFileSync(join(data, 'sub', 'deep', 'new'), ''),
    'a new folder': () => mkdirSync(join(data, 'sub', 'folder')),
    'content appended to': () => appendFileSync(join(data, 'sub', 'b.txt'), '!'),
    'content replaced by as much': () => writeFileSync(join(data, 'sub', 'b.txt'), 'BELOW'),
    'a removed file': () => rmSync(join(data, 'sub', 'b.txt')),
    'a removed folder': () => rmSync(join(data, 'sub', 'deep'), { recursive: true }),
    'a renamed file': () => renameSync(join(data, 'sub', 'b.txt'), join(data, 'sub', 'c.txt')),
    'a folder moved up': () => renameSync(join(data, 'sub', 'deep'), join(data, 'deep')),
    'a folder in place of a file': () => {
      rmSync(join(data, 'sub', 'b.txt'));
      mkdirSync(join(data, 'sub', 'b.txt'));
    },
  };
  test.each(Object.entries(changes))('%s', async (_name, change) => {
    await walk(store);
    const before = await event();
    expect(await event()).toBe(before);
    change();
    expect(await event()).toBeGreaterThan(before ?? 0);
    await walk(store);
    const after = await event();
    await walk(store);
    expect(await event()).toBe(after);
  });
});

test('what is found by a listing, or by name, before it was looked for is an event too: another client does not know it', async () => {
  await walk(store);
  const before = (await event()) ?? 0;
  writeFileSync(join(data, 'sub', 'new'), '');
  await walk(store);
  const found = (await store.syncpoints())[0]?.lastEventId ?? 0;
  expect(found).toBeGreaterThan(before);
  const { id, rootFolderId } = await onlySyncpoint(store);
  appendFileSync(join(data, 'a.txt'), '!');
  await store.child(id, rootFolderId, 'a.txt', { ignoreCase: false });
  const byName = (await store.syncpoints())[0]?.lastEventId ?? 0;
  expect(byName).toBeGreaterThan(found);
  writeFileSync(join(data, 'other'), '');
  await store.child(id, rootFolderId, 'other', { ignoreCase: false });
  expect((await store.syncpoints())[0]?.lastEventId).toBeGreaterThan(byName);
});

test('what a call removes is one event, however many folders below it were listed', async () => {
  const ids = await walk(store);
  const { id } = await onlySyncpoint(store);
  await event();
  await store.removeFolder(id, ids['\\sub\\'] ?? 0);
  const removed = (await store.syncpoints())[0]?.lastEventId;
  expect(await event()).toBe(removed);
});

test('while the directory is away nothing is told, and nothing taken for removed', async () => {
  const ids = await walk(store);
  const before = await event();
  renameSync(data, `${data}.away`);
  await expect(event()).rejects.toMatchObject({ reason: 'away', message: `no such directory: ${data}` });
  await expect(store.space()).rejects.toMatchObject({ reason: 'away' });
  renameSync(`${data}.away`, data);
  expect(await event()).toBe(before);
  expect(await walk(store)).toEqual(ids);
});

test('a folder that nobody has listed yet makes no events', async () => {
  const { id, rootFolderId } = await onlySyncpoint(store);
  await store.list(id, rootFolderId);
  const before = await event();
  writeFileSync(join(data, 'sub', 'new'), '');
  expect(Object.keys(await walk(store))).toContain('\\sub\\new');
  expect(await event()).toBe(before);
});

test('a start is an event: what was changed meanwhile nobody knows', async () => {
  await walk(store);
  const before = (await event()) ?? 0;
  await store.close();
  appendFileSync(join(data, 'a.txt'), '!');
  store = await host.open();
  expect(await event()).toBeGreaterThan(before);
});

test('a change made through a call is one event, and looking finds no other', async () => {
  await walk(store);
  const { id, rootFolderId } = await onlySyncpoint(store);
  const before = (await event()) ?? 0;
  const folder = await store.createFolder(id, rootFolderId, 'made');
  expect(await event()).toBe(before + 1);
  await store.moveFolder(id, folder.id, rootFolderId, 'moved');
  expect(await event()).toBe(before + 2);
  await walk(store);
  await store.removeFolder(id, folder.id);
  const after = await event();
  await walk(store);
  expect(await event()).toBe(after);
});

test('an event that was told is not told once more after the emulator is killed', async () => {
  const { id, rootFolderId } = await onlySyncpoint(store);
  await store.createFolder(id, rootFolderId, 'made');
  const told = (await event()) ?? 0;
  const state = join(host.path, 'state-at-the-kill');
  cpSync(host.state, state, { recursive: true });
  await store.close();
  store = await host.open({ stateDirectory: state });
  expect(await event()).toBeGreaterThan(told);
});

type Step = readonly [
  kind: 'write' | 'mkdir' | 'remove' | 'rename' | 'make by call' | 'list',
  where: number,
  name: string,
];

test(
  'a client that keeps its listings while the event is the same knows the directory as it is',
  { timeout: 120_000 },
  async () => {
    const step: fc.Arbitrary<Step> = fc.tuple(
      fc.constantFrom('write', 'mkdir', 'remove', 'rename', 'make by call', 'list'),
      fc.nat(3),
      fc.constantFrom('x', 'y'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 20 }), async (steps) => {
        const one = new HostDirectory({ 'one/two/': '' });
        const top = one.data;
        const places = [top, join(top, 'one'), join(top, 'one', 'two'), join(top, 'x')];
        const shared = await one.open();
        try {
          const clients = [new KeepingClient(shared), new KeepingClient(shared)];
          let count = 0;
          for (const [kind, where, name] of steps) {
            const place = places[where] ?? top;
            // What is not possible is not done.
            if (!isDirectory(place)) continue;
            const path = join(place, name);
            if (kind === 'write' && !isDirectory(path)) writeFileSync(path, 'x'.repeat(++count));
            if (kind === 'mkdir' && !readdirSync(place).includes(name)) mkdirSync(path);
            if (kind === 'remove') rmSync(path, { recursive: true, force: true });
            if (kind === 'rename' && isDirectory(path) && !readdirSync(top).includes('y'))
              renameSync(path, join(top, 'y'));
            if (kind === 'make by call') await clients[0]?.makeFolder(`made${++count}`);
            if (kind === 'list') await clients[where % 2]?.walk();
          }
          for (const client of clients) expect(await client.walk()).toEqual(onDisk(top));
        } finally {
          await shared.close();
          one.remove();
        }
      }),
      { numRuns: 150 },
    );
  },
);

/** Lists a folder again only where its syncpoint's event is another one. */
class KeepingClient {
  readonly #store: DirectoryStore;
  readonly #kept = new Map<number, NonNullable<Awaited<ReturnType<DirectoryStore['list']>>>>();
  #event: number | undefined;

  constructor(of: DirectoryStore) {
    this.#store = of;
  }

  async makeFolder(name: string): Promise<void> {
    const [syncpoint] = await this.#store.syncpoints();
    await this.#store.createFolder(syncpoint?.id ?? 0, syncpoint?.rootFolderId ?? 0, name);
  }

  async walk(): Promise<string[]> {
    const [syncpoint] = await this.#store.syncpoints({ lookForChanges: true });
    if (syncpoint === undefined) throw new Error('no syncpoint');
    if (syncpoint.lastEventId !== this.#event) this.#kept.clear();
    this.#event = syncpoint.lastEventId;
    const found: string[] = [];
    const folders = [syncpoint.rootFolderId];
    for (let folderId = folders.pop(); folderId !== undefined; folderId = folders.pop()) {
      const listing = this.#kept.get(folderId) ?? (await this.#store.list(syncpoint.id, folderId));
      if (listing === undefined) throw new Error(`folder ${folderId} is told, and is not there`);
      this.#kept.set(folderId, listing);
      for (const { name, lengthBytes } of listing.files)
        found.push(`${listing.folder.virtualPath}${name} ${lengthBytes}`);
      for (const folder of listing.folders) {
        found.push(folder.virtualPath);
        folders.push(folder.id);
      }
    }
    return found.sort();
  }
}

function onDisk(path: string, virtualPath = '\\'): string[] {
  const entries = readdirSync(path, { withFileTypes: true });
  return entries
    .flatMap((entry) => {
      const below = join(path, entry.name);
      if (!entry.isDirectory()) return [`${virtualPath}${entry.name} ${readFileSync(below).length}`];
      return [`${virtualPath}${entry.name}\\`, ...onDisk(below, `${virtualPath}${entry.name}\\`)];
    })
    .sort();
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

describe('looking', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test('takes a fiftieth of the time at most, and goes over what was told and not forgotten', async () => {
    let clockMs = 0;
    const looked: number[] = [];
    const watch = new DirectoryWatch({
      nowMs: () => clockMs,
      look: (_syncpointId, folderId) => {
        looked.push(folderId);
        clockMs += 100;
        return Promise.resolve();
      },
    });
    await watch.look();
    expect(looked).toEqual([]);
    watch.told(1, 10);
    watch.told(1, 11);
    watch.told(1, 12);
    watch.forget(11);
    await watch.look();
    expect(looked).toEqual([10, 12]);
    clockMs += 9_999;
    await watch.look();
    expect(looked).toHaveLength(2);
    clockMs += 1;
    await watch.look();
    expect(looked).toHaveLength(4);
  });

  test('a look that wrote down what it found does not put off the next one for that', async () => {
    let clockMs = 0;
    let looks = 0;
    let tookMs = 1;
    const watch = new DirectoryWatch({
      nowMs: () => clockMs,
      look: () => {
        looks++;
        clockMs += tookMs;
        return Promise.resolve();
      },
    });
    for (let folderId = 1; folderId <= 10; folderId++) watch.told(1, folderId);
    await watch.look();
    expect(looks).toBe(10);
    clockMs += 500;
    tookMs = 30;
    await watch.look();
    expect(looks).toBe(20);
    tookMs = 1;
    clockMs += 499;
    await watch.look();
    expect(looks).toBe(20);
    clockMs += 1;
    await watch.look();
    expect(looks).toBe(30);
    // A disk that has become slow is looked at less often.
    tookMs = 30;
    for (const pauseMs of [500, 500]) {
      clockMs += pauseMs;
      await watch.look();
    }
    expect(looks).toBe(50);
    clockMs += 14_999;
    await watch.look();
    expect(looks).toBe(50);
    clockMs += 1;
    await watch.look();
    expect(looks).toBe(60);
  });

  test('who asks during a long look waits a second for it, and it goes on', async () => {
    vi.useFakeTimers();
    let finish = (): void => undefined;
    let looks = 0;
    const watch = new DirectoryWatch({
      look: () => {
        looks++;
        return new Promise<void>((resolve) => (finish = resolve));
      },
    });
    watch.told(1, 10);
    const asked = watch.look();
    await vi.advanceTimersByTimeAsync(999);
    expect(await Promise.race([asked, Promise.resolve('waits')])).toBe('waits');
    await vi.advanceTimersByTimeAsync(1);
    await asked;
    const again = watch.look();
    finish();
    await again;
    expect(looks).toBe(1);
    await watch.end();
  });
});
