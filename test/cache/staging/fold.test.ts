// Generations over generations: they stay few, cost what was written and not what the file holds, and are the same content wherever a
// crash cuts a fold off.
import { copyFileSync, readlinkSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type OpenContent, type Staging, StagingError } from '../../../src/cache/staging.ts';
import { idsOf } from '../../../src/cache/staging/generation.ts';
import type { StagedContent } from '../../../src/cache/tree/records.ts';
import { bytesOf, contentReference } from '../../fakes/content-drive.ts';
import {
  contentOf,
  FakeBlocks,
  FaultySystem,
  freshDirectory,
  freshDirectorySync,
  open,
  readAll,
  snapshot,
  stopAll,
} from './opened.ts';

afterEach(stopAll);

const nothing = { version: undefined, staged: undefined };
const KiB = 1024;
const MiB = 1024 * KiB;

function commit(content: OpenContent): StagedContent {
  const staged = content.commit();
  content.committed(staged);
  return staged;
}

/** Lets the test decide when the journal is safe against power loss. */
function journal(): { flushed: () => Promise<void>; flush: () => Promise<void> } {
  const waiting: (() => void)[] = [];
  return {
    flushed: () => new Promise((resolve) => waiting.push(resolve)),
    flush: async () => {
      for (const resolve of waiting.splice(0)) resolve();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

async function writtenBytes(staging: Staging): Promise<number> {
  await staging.idle();
  return staging.statistics().bytes;
}

test('appending a little to a large file many times copies little', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory });
  const large = bytesOf(contentReference('log', 8 * MiB), 0, 8 * MiB);
  let content = staging.openContent(nothing);
  content.write(0, large);
  let staged = commit(content);
  content.close();
  const lines = Buffer.alloc(300 * 100);
  for (let line = 0; line < 300; line++) {
    content = staging.openContent({ version: undefined, staged });
    lines.fill(line % 251, line * 100, line * 100 + 100);
    content.write(content.lengthBytes, lines.subarray(line * 100, line * 100 + 100));
    staged = commit(content);
    content.close();
    expect(idsOf(staged).length).toBeLessThanOrEqual(3);
  }
  await staging.idle();
  expect((await readdir(directory)).length).toBeLessThanOrEqual(3);
  expect(await writtenBytes(staging)).toBeLessThan(9 * MiB);
  expect((await contentOf(staging, staged)).equals(Buffer.concat([large, lines]))).toBe(true);
});

test('a database with a commit each transaction stays at a few small files', async () => {
  const blocks = new FakeBlocks();
  const staging = await open({ blocks });
  const version = contentReference('database', 4 * MiB);
  const content = staging.openContent({ version, staged: undefined });
  const expected = bytesOf(version, 0, 4 * MiB);
  for (let transaction = 0; transaction < 200; transaction++) {
    for (const page of [0, (transaction * 37) % 1024, (transaction * 101) % 1024]) {
      const bytes = Buffer.alloc(4096, (transaction % 250) + 1);
      bytes.copy(expected, page * 4096);
      content.write(page * 4096, bytes);
    }
    expect(idsOf(commit(content)).length).toBeLessThanOrEqual(5);
    if (transaction % 10 === 0) await content.sync();
    // The next request of the kernel; what was synced is folded in between.
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(blocks.reads).toEqual([]);
  expect(await writtenBytes(staging)).toBeLessThan(2 * MiB);
  const reader = content.reader();
  expect((await readAll(reader)).equals(expected)).toBe(true);
  reader.close();
  content.close();
});

test('rewriting nearly all of a file takes over the little that is left', async () => {
  const staging = await open();
  const content = staging.openContent(nothing);
  content.write(0, Buffer.alloc(4 * MiB, 1));
  const first = commit(content);
  content.write(0, Buffer.alloc(4 * MiB - 1000, 2));
  const second = commit(content);
  content.write(0, Buffer.from([3]));
  const third = commit(content);
  expect(third.base).toMatchObject({ kind: 'staged', staged: { id: second.id, base: undefined } });
  expect(idsOf(third)).not.toContain(first.id);
  expect(
    (await contentOf(staging, third)).equals(
      Buffer.concat([Buffer.from([3]), Buffer.alloc(4 * MiB - 1001, 2), Buffer.alloc(1000, 1)]),
    ),
  ).toBe(true);
  content.close();
});

describe('a sparse file', () => {
  const long = 1024 * MiB;

  test('that is written to at last takes no room for its holes', async () => {
    const staging = await open();
    const content = staging.openContent(nothing);
    // As one makes an image of a disk and a file system in it.
    content.truncate(long);
    commit(content);
    const expected = new Map<number, number>();
    for (let page = 0; page < 20; page++) {
      const at = page * 50 * MiB + 5;
      content.write(at, Buffer.alloc(4096, page + 1));
      expected.set(at, page + 1);
      if (page % 3 === 0) commit(content);
    }
    const staged = commit(content);
    expect(await writtenBytes(staging)).toBeLessThan(MiB);
    const after = staging.openContent({ version: undefined, staged });
    const reader = after.reader();
    for (const [at, byte] of expected) {
      const around = await readAll(reader, at - 5, 4096 + 10);
      expect(around).toEqual(Buffer.concat([Buffer.alloc(5), Buffer.alloc(4096, byte), Buffer.alloc(5)]));
    }
    reader.close();
    after.close();
    content.close();
  });

  test('that is made longer holds up nobody', async () => {
    const staging = await open();
    const content = staging.openContent(nothing);
    content.write(0, Buffer.alloc(64 * KiB, 1));
    commit(content);
    content.truncate(1024 * long);
    content.write(1024 * long - 5, Buffer.from('end'));
    const begun = performance.now();
    const staged = commit(content);
    expect(performance.now() - begun).toBeLessThan(1000);
    expect(await writtenBytes(staging)).toBeLessThan(MiB);
    const after = staging.openContent({ version: undefined, staged });
    const reader = after.reader();
    expect(await readAll(reader, 1024 * long - 6, 10)).toEqual(Buffer.from('\0end\0\0'));
    expect(await readAll(reader, 64 * KiB - 1, 2)).toEqual(Buffer.of(1, 0));
    reader.close();
    after.close();
    content.close();
  });

  test('that a hole is punched into gets its room back', async () => {
    const staging = await open();
    const content = staging.openContent(nothing);
    content.write(0, Buffer.alloc(8 * MiB, 1));
    commit(content);
    content.punch(MiB, 6 * MiB);
    commit(content);
    await staging.idle();
    content.write(0, Buffer.from('x'));
    const staged = commit(content);
    expect(await writtenBytes(staging)).toBeLessThan(3 * MiB);
    const expected = Buffer.alloc(8 * MiB, 1).fill(0, MiB, 7 * MiB);
    expected.write('x');
    expect((await contentOf(staging, staged)).equals(expected)).toBe(true);
    content.close();
  });
});

test('a file cut to nothing before it is written again lies over nothing', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory });
  const content = staging.openContent(nothing);
  for (let round = 0; round < 5; round++) {
    content.truncate(0);
    content.write(0, Buffer.alloc(MiB, round));
    const staged = commit(content);
    expect(staged.base).toBeUndefined();
    await staging.idle();
    expect(await readdir(directory)).toEqual([String(staged.id)]);
  }
  content.close();
});

test('what was folded carries the hash of what it shows', async () => {
  const staging = await open();
  const content = staging.openContent(nothing);
  content.write(0, Buffer.from('first'));
  commit(content);
  content.write(5, Buffer.from(' second'));
  const { sha256 } = commit(content);
  content.write(12, Buffer.from(' third'));
  const third = commit(content);
  expect(third.base).toMatchObject({ kind: 'staged', staged: { lengthBytes: 12, sha256 } });
  content.close();
});

test('sealed content does not change when what lies over it is folded, nor does what it was folded into', async () => {
  const { flushed, flush } = journal();
  const staging = await open({ journalFlushed: flushed });
  const content = staging.openContent(nothing);
  content.write(0, Buffer.alloc(1000, 1));
  commit(content);
  await flush();
  await content.sync();
  content.write(100, Buffer.alloc(100, 2));
  const second = commit(content);
  const sealed = await staging.seal(second, new AbortController().signal);
  // Only now may the second one go into the first, which was promised to be safe.
  await flush();
  for (let round = 3; round < 8; round++) {
    content.write(150, Buffer.alloc(100, round));
    commit(content);
    await flush();
  }
  const expected = Buffer.alloc(1000, 1).fill(2, 100, 200);
  const pieces: Uint8Array[] = [];
  for await (const piece of sealed.read(0, 1000)) pieces.push(piece);
  expect(Buffer.concat(pieces).equals(expected)).toBe(true);
  sealed.close();
  content.write(160, Buffer.alloc(1, 9));
  const last = commit(content);
  await flush();
  expected.fill(7, 150, 250).fill(9, 160, 161);
  expect((await contentOf(staging, last)).equals(expected)).toBe(true);
  content.close();
  await flush();
});

describe('without power', () => {
  /** The directory as it is on the disk for certain: each file as of its last sync. */
  function synced(): { readonly directory: string; readonly datasync: (descriptor: number) => Promise<void> } {
    const directory = freshDirectorySync();
    const datasync = (descriptor: number): Promise<void> => {
      const open = `/proc/self/fd/${descriptor}`;
      copyFileSync(open, join(directory, basename(readlinkSync(open))));
      return Promise.resolve();
    };
    return { directory, datasync };
  }

  test.each(['down', 'up'])(
    'what a sync promised is as safe in the file that it is folded %s into',
    async (direction) => {
      const { flushed, flush } = journal();
      const disk = synced();
      const staging = await open({ journalFlushed: flushed, system: { datasync: disk.datasync } });
      const content = staging.openContent(nothing);
      content.write(0, Buffer.alloc(1 * MiB, 1));
      commit(content);
      await content.sync();
      await flush();
      // Little over much goes down, much over little takes what is left up.
      content.write(0, Buffer.alloc(direction === 'down' ? 1000 : 1 * MiB - 1000, 2));
      commit(content);
      if (direction === 'down') await content.sync();
      await flush();
      await staging.idle();
      content.write(500, Buffer.alloc(1, 3));
      const last = commit(content);
      expect(idsOf(last)).toHaveLength(2);
      await flush();
      // The power goes: what was written last was not synced, and the journal names it.
      const after = await open({ directory: disk.directory });
      const reopened = after.openContent({ version: undefined, staged: last });
      const reader = reopened.reader();
      const [from, value] = direction === 'down' ? [0, 2] : [1 * MiB - 400, 1];
      expect((await readAll(reader, from, 400)).equals(Buffer.alloc(400, value))).toBe(true);
      reader.close();
      reopened.close();
      content.close();
    },
  );

  test('what is filled in below while the disk is asked to make it safe shows as before', async () => {
    const blocks = new FakeBlocks();
    let release: (() => void) | undefined;
    const staging = await open({
      blocks,
      system: { datasync: () => new Promise((resolve) => (release === undefined ? resolve() : (release = resolve))) },
    });
    const version = contentReference('large', 2 * MiB);
    const content = staging.openContent({ version, staged: undefined });
    content.write(0, Buffer.alloc(256 * KiB, 1));
    commit(content);
    await content.sync();
    release = () => undefined;
    const held = release;
    content.write(1 * MiB, Buffer.alloc(1 * MiB, 2));
    const last = commit(content);
    while (release === held) await new Promise((resolve) => setTimeout(resolve, 5));
    const sealed = await staging.seal(last, new AbortController().signal);
    release();
    await staging.idle();
    const expected = bytesOf(version, 0, 2 * MiB);
    expected.fill(1, 0, 256 * KiB).fill(2, 1 * MiB);
    expect((await contentOf(staging, last)).equals(expected)).toBe(true);
    const pieces: Uint8Array[] = [];
    for await (const piece of sealed.read(0, 2 * MiB)) pieces.push(piece);
    expect(Buffer.concat(pieces).equals(expected)).toBe(true);
    sealed.close();
    content.write(5, Buffer.alloc(1, 3));
    expected.fill(3, 5, 6);
    expect((await contentOf(staging, commit(content))).equals(expected)).toBe(true);
    content.close();
  });

  test('what a sync promised stays until the journal safely names what replaces it', async () => {
    const { flushed, flush } = journal();
    const directory = await freshDirectory();
    const staging = await open({ directory, journalFlushed: flushed });
    const content = staging.openContent(nothing);
    content.write(0, Buffer.alloc(1000, 1));
    const promised = commit(content);
    await content.sync();
    await flush();
    content.write(0, Buffer.alloc(10, 2));
    commit(content);
    content.write(0, Buffer.alloc(20, 3));
    const unflushed = commit(content);
    const left = await freshDirectory();
    snapshot(directory, left);
    const after = await open({ directory: left });
    await after.sweep(new Set(idsOf(promised)));
    expect((await contentOf(after, promised)).equals(Buffer.alloc(1000, 1))).toBe(true);
    // Once the journal is safe, the three become fewer.
    await flush();
    content.write(0, Buffer.alloc(1, 4));
    const last = commit(content);
    expect(idsOf(last).length).toBeLessThan(idsOf(unflushed).length + 1);
    content.close();
    await flush();
  });

  test('what an earlier process may have promised stays as well', async () => {
    const directory = await freshDirectory();
    const before = await open({ directory });
    let content = before.openContent(nothing);
    content.write(0, Buffer.alloc(1000, 1));
    const promised = commit(content);
    await content.sync();
    content.close();
    await before.stop();
    const { flushed, flush } = journal();
    const staging = await open({ directory, journalFlushed: flushed });
    await staging.sweep(new Set(idsOf(promised)));
    content = staging.openContent({ version: undefined, staged: promised });
    content.write(0, Buffer.alloc(10, 2));
    commit(content);
    const left = await freshDirectory();
    snapshot(directory, left);
    const after = await open({ directory: left });
    expect((await contentOf(after, promised)).equals(Buffer.alloc(1000, 1))).toBe(true);
    content.close();
    await flush();
  });

  test('files stay as long as a journal that is safe names them', async () => {
    const { flushed, flush } = journal();
    const directory = await freshDirectory();
    const staging = await open({ directory, journalFlushed: flushed });
    const content = staging.openContent(nothing);
    content.write(0, Buffer.from('old'));
    const old = commit(content);
    await flush();
    content.truncate(0);
    content.write(0, Buffer.from('new'));
    const next = commit(content);
    content.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect((await readdir(directory)).map(Number).sort()).toEqual([old.id, next.id].sort());
    await flush();
    await staging.idle();
    expect(await readdir(directory)).toEqual([String(next.id)]);
  });
});

/** Each a way from a first commit to a second one, with the content of both. */
const scenarios: Record<string, (content: OpenContent, unit: number) => void> = {
  'a few bytes in the middle': (content, unit) => content.write(3 * unit, Buffer.alloc(unit, 9)),
  'bytes behind the end': (content, unit) => content.write(12 * unit, Buffer.alloc(unit, 9)),
  'a hole and bytes behind it': (content, unit) => content.write(15 * unit, Buffer.alloc(unit, 9)),
  shorter: (content, unit) => content.truncate(5 * unit),
  'shorter, then longer': (content, unit) => {
    content.truncate(5 * unit);
    content.truncate(14 * unit);
    content.write(13 * unit, Buffer.alloc(unit >> 1, 9));
  },
  'nearly everything': (content, unit) => content.write(0, Buffer.alloc(11 * unit, 9)),
  'zeros in the middle': (content, unit) => content.punch(2 * unit, 3 * unit),
};

describe('cut off anywhere, a fold leaves what the journal names', () => {
  for (const [name, change] of Object.entries(scenarios)) {
    for (const [pace, unit] of [
      ['at once', 100],
      ['in the background', 60_000],
    ] as const) {
      test(`${name}, ${pace}`, async () => {
        const system = new FaultySystem();
        const directory = await freshDirectory();
        const staging = await open({ directory, system: system.calls });
        const version = contentReference(name, 10 * unit);
        const content = staging.openContent({ version, staged: undefined });
        const reader = content.reader();
        content.write(8 * unit, Buffer.alloc(4 * unit, 7));
        content.write(unit, Buffer.alloc(unit, 7));
        commit(content);
        await staging.idle();
        change(content, unit);
        const bytes = await readAll(reader);
        const second = content.commit();
        const left: string[] = [];
        system.looksAlways = true;
        system.look = () => {
          const copy = freshDirectorySync();
          snapshot(directory, copy);
          left.push(copy);
        };
        content.committed(second);
        await staging.idle();
        system.looksAlways = false;
        expect(left.length).toBeGreaterThan(0);
        for (const copy of left) {
          const after = await open({ directory: copy });
          await after.sweep(new Set(idsOf(second)));
          expect((await contentOf(after, second)).equals(bytes)).toBe(true);
          // And goes on from there: folds again, ends the same.
          const again = after.openContent({ version: undefined, staged: second });
          again.write(0, Buffer.from('+'));
          again.committed(again.commit());
          again.truncate(again.lengthBytes + 5);
          const last = commit(again);
          again.close();
          await after.idle();
          const expected = Buffer.concat([bytes, Buffer.alloc(5)]);
          expected.write('+', 0);
          expect((await contentOf(after, last)).equals(expected)).toBe(true);
          await after.stop();
        }
        reader.close();
        content.close();
      });
    }
  }
});

test('writing, committing and sealing go on while a large fold is under way', async () => {
  const staging = await open();
  const content = staging.openContent(nothing);
  const expected = Buffer.alloc(160 * MiB, 1);
  content.write(0, expected);
  commit(content);
  expected.fill(2, MiB, 65 * MiB);
  content.write(MiB, expected.subarray(MiB, 65 * MiB));
  let staged = commit(content);
  let folded = false;
  void staging.idle().then(() => (folded = true));
  let rounds = 0;
  for (; !folded; rounds++) {
    const at = (rounds * 7_000_001) % (159 * MiB);
    expected.fill(rounds % 251, at, at + 5000);
    content.write(at, expected.subarray(at, at + 5000));
    staged = commit(content);
    expect(idsOf(staged).length).toBeLessThanOrEqual(5);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(rounds).toBeGreaterThan(3);
  const reader = content.reader();
  expect((await readAll(reader)).equals(expected)).toBe(true);
  const sealed = await staging.seal(staged, new AbortController().signal);
  content.write(0, Buffer.alloc(3 * MiB, 99));
  commit(content);
  await staging.idle();
  const pieces: Uint8Array[] = [];
  for await (const piece of sealed.read(0, sealed.lengthBytes)) pieces.push(piece);
  expect(Buffer.concat(pieces).equals(expected)).toBe(true);
  sealed.close();
  reader.close();
  content.close();
  await staging.idle();
});

for (const restart of [false, true]) {
  test(`what a failed write left behind the end never shows${restart ? ', after a restart either' : ''}`, async () => {
    const system = new FaultySystem();
    const directory = await freshDirectory();
    let staging = await open({ directory, system: system.calls });
    let content = staging.openContent(nothing);
    content.write(0, Buffer.alloc(1000, 1));
    system.failsAlways = true;
    expect(() => content.write(900, Buffer.alloc(1000, 2))).toThrow(StagingError);
    system.failsAlways = false;
    const first = commit(content);
    expect(first.lengthBytes).toBe(1000);
    content.close();
    if (restart) {
      await staging.stop();
      staging = await open({ directory });
      await staging.sweep(new Set(idsOf(first)));
    }
    content = staging.openContent({ version: undefined, staged: first });
    content.truncate(2000);
    const second = commit(content);
    await staging.idle();
    expect((await contentOf(staging, second)).subarray(1000).equals(Buffer.alloc(1000))).toBe(true);
    content.write(1990, Buffer.alloc(10, 3));
    const last = commit(content);
    content.close();
    await staging.idle();
    expect((await contentOf(staging, last)).subarray(1000).equals(Buffer.alloc(1000).fill(3, 990))).toBe(true);
  });
}

test('commits that the journal tells of together release all they held', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory });
  const content = staging.openContent(nothing);
  for (let round = 0; round < 3; round++) {
    content.truncate(0);
    content.write(0, Buffer.from(`round ${round}`));
    content.commit();
  }
  const last = commit(content);
  content.close();
  await staging.idle();
  expect(await readdir(directory)).toEqual([String(last.id)]);
  expect((await contentOf(staging, last)).toString()).toBe('round 2');
});

test('a fold that fails leaves the content right, and is tried again', async () => {
  const system = new FaultySystem();
  const directory = await freshDirectory();
  const staging = await open({ directory, system: system.calls });
  const content = staging.openContent(nothing);
  content.write(0, Buffer.alloc(1000, 1));
  commit(content);
  content.write(10, Buffer.alloc(10, 2));
  system.failsAlways = true;
  const second = commit(content);
  system.failsAlways = false;
  const expected = Buffer.alloc(1000, 1).fill(2, 10, 20);
  expect((await contentOf(staging, second)).equals(expected)).toBe(true);
  content.write(20, Buffer.alloc(10, 3));
  commit(content);
  content.write(30, Buffer.alloc(10, 4));
  const last = commit(content);
  await staging.idle();
  expected.fill(3, 20, 30).fill(4, 30, 40);
  expect((await contentOf(staging, last)).equals(expected)).toBe(true);
  expect(idsOf(last).length).toBeLessThanOrEqual(3);
  content.close();
});

test('thousands of small writes far apart become fewer ranges in the background', async () => {
  const blocks = new FakeBlocks();
  blocks.when = () => new Promise((resolve) => setImmediate(resolve));
  const staging = await open({ blocks });
  const version = contentReference('scattered', 12 * MiB);
  const content = staging.openContent({ version, staged: undefined });
  const expected = bytesOf(version, 0, version.lengthBytes);
  for (let index = 0; index < 6000; index++) {
    const at = ((index * 7919) % 6000) * 2000;
    expected.fill(5, at, at + 10);
    content.write(at, expected.subarray(at, at + 10));
    if (index % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await staging.idle();
  const staged = commit(content);
  expect(staged.extents.length / 2).toBeLessThanOrEqual(4096);
  expect((await contentOf(staging, staged)).equals(expected)).toBe(true);
  expect(blocks.openReaders).toBe(0);
  content.close();
});

test('a generation known to nobody but the journal is forgotten, and found again', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory });
  const content = staging.openContent(nothing);
  content.write(0, Buffer.from('one'));
  commit(content);
  content.write(1, Buffer.from('N'));
  const second = commit(content);
  content.close();
  await staging.idle();
  const first = staging.openContent({ version: undefined, staged: second });
  first.write(3, Buffer.from('!'));
  const third = commit(first);
  first.close();
  await staging.idle();
  const again = staging.openContent({ version: undefined, staged: third });
  const reader = again.reader();
  for (const id of idsOf(third)) staging.drop(id);
  await staging.idle();
  expect((await readAll(reader)).toString()).toBe('oNe!');
  reader.close();
  again.close();
  await staging.idle();
  expect(await readdir(directory)).toEqual([]);
  await expect(stat(join(directory, String(third.id)))).rejects.toThrow('ENOENT');
});
