// Room and descriptors: what a full disk does to a write, which kept files give way, how many files are open at a time.
import { execFileSync } from 'node:child_process';
import fs, { readdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { type OpenContent, Staging, StagingError } from '../../../src/cache/staging.ts';
import type { StagedContent } from '../../../src/cache/tree/records.ts';
import { contentReference } from '../../fakes/content-drive.ts';
import { contentOf, FakeBlocks, FaultySystem, freshDirectory, open, readAll, smallDisk, stopAll } from './opened.ts';

afterEach(stopAll);

const nothing = { version: undefined, staged: undefined };
const KiB = 1024;
const MiB = 1024 * KiB;

function commit(content: OpenContent): StagedContent {
  const staged = content.commit();
  content.committed(staged);
  return staged;
}

function codeOf(attempt: () => unknown): string {
  try {
    attempt();
    return 'none';
  } catch (error) {
    if (!(error instanceof StagingError)) throw error;
    expect(error.message).toMatch(/\w+ .*\//);
    return error.code;
  }
}

describe.skipIf(process.geteuid?.() !== 0)('on a disk of its own', () => {
  test('a write that does not fit changes nothing, and what was acknowledged stays', async () => {
    const directory = smallDisk(4 * MiB);
    const staging = await open({ directory, reserveBytes: -(2 ** 40) });
    const content = staging.openContent(nothing);
    content.write(0, Buffer.alloc(MiB, 1));
    const first = commit(content);
    content.write(10, Buffer.alloc(100, 2));
    let written = MiB;
    let code = 'none';
    while (code === 'none') {
      code = codeOf(() => content.write(written, Buffer.alloc(700_000, 3)));
      if (code === 'none') written += 700_000;
    }
    expect(code).toBe('ENOSPC');
    expect(content.lengthBytes).toBe(written);
    const expected = Buffer.concat([Buffer.alloc(MiB, 1), Buffer.alloc(written - MiB, 3)]).fill(2, 10, 110);
    const reader = content.reader();
    expect((await readAll(reader)).equals(expected)).toBe(true);
    expect((await contentOf(staging, first)).equals(Buffer.alloc(MiB, 1))).toBe(true);
    // What did not fit does not come back as content either.
    content.truncate(written + 10);
    expect((await readAll(reader, written)).equals(Buffer.alloc(10))).toBe(true);
    content.truncate(2 * MiB);
    content.write(MiB, Buffer.alloc(10, 4));
    const second = commit(content);
    await staging.idle();
    expected.fill(4, MiB, MiB + 10);
    expect((await contentOf(staging, second)).equals(expected.subarray(0, 2 * MiB))).toBe(true);
    reader.close();
    content.close();
    await staging.stop();
  });

  test('the reserve is left to others', async () => {
    const directory = smallDisk(16 * MiB);
    const staging = await open({ directory, reserveBytes: 10 * MiB });
    const content = staging.openContent(nothing);
    let written = 0;
    while (codeOf(() => content.write(written, Buffer.alloc(MiB, 1))) === 'none') written += MiB;
    expect(written).toBe(6 * MiB);
    expect(codeOf(() => content.allocate(written, MiB, false))).toBe('ENOSPC');
    expect(codeOf(() => content.allocate(0, MiB, true))).toBe('ENOSPC');
    // Giving room back is possible.
    content.punch(0, 3 * MiB);
    expect(codeOf(() => content.write(5 * MiB, Buffer.alloc(MiB, 2)))).toBe('none');
    content.close();
    await staging.stop();
  });

  test('a preallocated range is the writer’s', async () => {
    const directory = smallDisk(8 * MiB);
    const staging = await open({ directory, reserveBytes: -(2 ** 40) });
    const content = staging.openContent(nothing);
    content.allocate(0, 5 * MiB, false);
    expect(content.lengthBytes).toBe(5 * MiB);
    const other = staging.openContent(nothing);
    expect(codeOf(() => other.write(0, Buffer.alloc(4 * MiB)))).toBe('ENOSPC');
    for (let at = 0; at < 5 * MiB; at += MiB) content.write(at, Buffer.alloc(MiB, 1));
    expect(codeOf(() => content.allocate(0, 20 * MiB, false))).toBe('ENOSPC');
    expect(content.lengthBytes).toBe(5 * MiB);
    content.close();
    other.close();
    await staging.stop();
  });

  test('kept files give way before a write fails', async () => {
    const directory = smallDisk(100 * MiB);
    const lacking: number[] = [];
    const staging = await open({ directory, onScarce: (bytes) => lacking.push(bytes) });
    const kept: StagedContent[] = [];
    const evicted: number[] = [];
    for (let index = 0; index < 4; index++) {
      const content = staging.openContent(nothing);
      content.write(0, Buffer.alloc(MiB, index));
      kept.push(commit(content));
      content.close();
    }
    for (const staged of kept) {
      staging.keep(staged, (id) => {
        evicted.push(id);
        staging.drop(id);
      });
    }
    expect(staging.statistics().keptBytes).toBe(4 * MiB);
    // The default reserve and what counts as scarce are more than this disk has.
    const content = staging.openContent(nothing);
    content.write(0, Buffer.alloc(20 * MiB));
    await staging.idle();
    expect(evicted).toEqual(kept.map(({ id }) => id));
    // Other caches on that disk are asked, too.
    expect(Math.max(...lacking)).toBeGreaterThan(20 * MiB);
    expect(staging.statistics()).toMatchObject({ files: 1, keptBytes: 0 });
    content.close();
    await staging.stop();
  });
});

test('a commit that the journal was not told of goes with the last handle, unless the journal names what it is of', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory });
  for (const keepsBytes of [false, true]) {
    const content = staging.openContent(nothing);
    content.write(0, Buffer.from('x'));
    content.commit();
    content.write(0, Buffer.from('y'));
    content.commit();
    content.close(keepsBytes);
    await staging.idle();
    expect(await readdir(directory)).toHaveLength(keepsBytes ? 2 : 0);
  }
});

test('a kept file that cannot be let go of yet is tried again', async () => {
  const staging = await open({ keptBytesMax: MiB });
  let full = true;
  const evicted: number[] = [];
  const keep = (byte: number): number => {
    const content = staging.openContent(nothing);
    content.write(0, Buffer.alloc(MiB, byte));
    const staged = commit(content);
    content.close();
    staging.keep(staged, (id) => {
      if (full) throw new Error('no space left on device');
      evicted.push(id);
      staging.drop(id);
    });
    return staged.id;
  };
  const first = keep(1);
  const second = keep(2);
  await staging.idle();
  expect(staging.statistics()).toMatchObject({ files: 2, keptBytes: 2 * MiB });
  full = false;
  const third = keep(3);
  await staging.idle();
  expect(evicted.sort()).toEqual([first, second]);
  expect(third).toBeGreaterThan(second);
  expect(staging.statistics()).toMatchObject({ files: 1, keptBytes: MiB });
});

test('a sync that fails is told, and tried again the next time', async () => {
  let failing = true;
  let calls = 0;
  const datasync = (): Promise<void> => {
    calls++;
    return failing ? Promise.reject(new Error('input/output error')) : Promise.resolve();
  };
  const staging = await open({ system: { datasync } });
  const content = staging.openContent(nothing);
  content.write(0, Buffer.from('xxx'));
  const staged = commit(content);
  await expect(content.sync()).rejects.toMatchObject({ name: 'StagingError', code: 'EIO' });
  const sealed = await staging.seal(staged, new AbortController().signal);
  await expect(sealed.makeDurable()).rejects.toThrow(StagingError);
  failing = false;
  await sealed.makeDurable();
  sealed.close();
  expect(calls).toBe(3);
  await content.sync();
  expect(calls).toBe(3);
  content.write(0, Buffer.from('y'));
  commit(content);
  await staging.idle();
  await content.sync();
  // The new one, and the one below that it was folded into.
  expect(calls).toBe(5);
  content.close();
});

test('the disk begins with a large file while it is written, one stretch at a time, in a descriptor that stays open', async () => {
  const begun: { descriptor: number; startMiB: number; lengthMiB: number; end: () => void }[] = [];
  const beginWriteOut = (descriptor: number, startBytes: number, lengthBytes: number): Promise<void> =>
    new Promise((end) => {
      begun.push({ descriptor, startMiB: startBytes / MiB, lengthMiB: lengthBytes / MiB, end });
    });
  const closed: number[] = [];
  const closeSync = (descriptor: number): void => {
    closed.push(descriptor);
    fs.closeSync(descriptor);
  };
  const staging = await open({ system: { beginWriteOut, closeSync } });
  const content = staging.openContent(nothing);
  const write = (fromMiB: number, toMiB: number): void => {
    for (let at = fromMiB; at < toMiB; at++) content.write(at * MiB, Buffer.alloc(MiB, at));
  };
  write(0, 15);
  expect(begun).toEqual([]);
  write(15, 40);
  expect(begun).toMatchObject([{ startMiB: 0, lengthMiB: 16 }]);
  begun[0]?.end();
  await new Promise((resolve) => setImmediate(resolve));
  write(40, 41);
  expect(begun).toMatchObject([{}, { startMiB: 16, lengthMiB: 25 }]);
  // Discarded, while the disk is still told of it.
  content.close();
  await staging.idle();
  const descriptor = begun[1]?.descriptor;
  expect(closed).not.toContain(descriptor);
  begun[1]?.end();
  await new Promise((resolve) => setImmediate(resolve));
  expect(closed).toContain(descriptor);
});

test('a sync is over when the bytes are safe, whoever asked first', async () => {
  const waiting: (() => void)[] = [];
  const staging = await open({ system: { datasync: () => new Promise((resolve) => waiting.push(resolve)) } });
  const content = staging.openContent(nothing);
  content.write(0, Buffer.from('x'));
  commit(content);
  const over: string[] = [];
  const first = content.sync().then(() => over.push('first'));
  const second = content.sync().then(() => over.push('second'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(over).toEqual([]);
  expect(waiting).toHaveLength(1);
  waiting[0]?.();
  await Promise.all([first, second]);
  expect(over.sort()).toEqual(['first', 'second']);
  content.close();
});

test('a stop waits for no journal that is never safe, and closes what is being read', async () => {
  const before = readdirSync('/proc/self/fd').length;
  const directory = await freshDirectory();
  const staging = await open({ directory, journalFlushed: () => new Promise(() => undefined) });
  const content = staging.openContent(nothing);
  content.write(0, Buffer.alloc(MiB, 1));
  const staged = commit(content);
  const sealed = await staging.seal(staged, new AbortController().signal);
  const first = sealed.read(0, MiB)[Symbol.asyncIterator]().next();
  staging.drop(staged.id);
  sealed.close();
  content.close();
  await staging.stop();
  await first.catch((error: unknown) => expect(error).toBeInstanceOf(StagingError));
  expect(readdirSync('/proc/self/fd').length).toBe(before);
  // Nobody deleted what an unsafe journal may still name.
  expect(await readdir(directory)).toEqual([String(staged.id)]);
});

test('a quota of the disk is its end, and says so', async () => {
  const system = new FaultySystem();
  system.code = 'EDQUOT';
  const directory = await freshDirectory();
  const staging = await open({ directory, system: system.calls });
  const content = staging.openContent(nothing);
  system.failsAlways = true;
  expect(codeOf(() => content.write(0, Buffer.from('x')))).toBe('ENOSPC');
  system.code = 'EIO';
  expect(codeOf(() => content.write(0, Buffer.from('x')))).toBe('EIO');
  system.failsAlways = false;
  expect(content.dirty).toBe(false);
  expect(content.lengthBytes).toBe(0);
  content.close();
  await staging.idle();
  expect(await readdir(directory)).toEqual([]);
});

test('sealing on a full disk fails, and what was acknowledged stays', async () => {
  const system = new FaultySystem();
  const staging = await open({ system: system.calls });
  const version = contentReference('no room', 3 * MiB);
  const content = staging.openContent({ version, staged: undefined });
  content.write(0, Buffer.from('x'));
  const staged = commit(content);
  system.failsAlways = true;
  await expect(staging.seal(staged, new AbortController().signal)).rejects.toMatchObject({ code: 'ENOSPC' });
  system.failsAlways = false;
  const sealed = await staging.seal(staged, new AbortController().signal);
  expect(sealed.lengthBytes).toBe(3 * MiB);
  sealed.close();
  content.close();
});

test('thousands of files are written through few descriptors', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory });
  const before = readdirSync('/proc/self/fd').length;
  const contents = Array.from({ length: 2000 }, (_, index) => {
    const content = staging.openContent(nothing);
    content.write(0, Buffer.from(`file ${index}`));
    return content;
  });
  contents.forEach((content, index) => content.write(0, Buffer.from(`FILE ${index}`)));
  expect(readdirSync('/proc/self/fd').length - before).toBeLessThan(150);
  for (const [index, content] of contents.entries()) {
    const reader = content.reader();
    expect((await readAll(reader)).toString()).toBe(`FILE ${index}`);
    reader.close();
  }
  await Promise.all(
    contents.map((content) => {
      commit(content);
      return content.sync();
    }),
  );
  for (const content of contents) content.close();
  await staging.stop();
  expect(readdirSync('/proc/self/fd').length).toBe(before);
  expect((await readdir(directory)).length).toBe(2000);
});

describe('kept files', () => {
  async function keeping(staging: Staging, evict: (id: number) => void, fill: number): Promise<StagedContent> {
    const content = staging.openContent(nothing);
    content.write(0, Buffer.alloc(MiB, fill));
    const staged = commit(content);
    content.close();
    await staging.idle();
    staging.keep(staged, evict);
    return staged;
  }

  test('the least recently opened one goes first, after the tree forgot it', async () => {
    const directory = await freshDirectory();
    const staging = await open({ directory, keptBytesMax: 3 * MiB });
    const forgotten: number[] = [];
    const evict = (id: number): void => {
      expect(readdirSync(directory)).toContain(String(id));
      forgotten.push(id);
      staging.drop(id);
    };
    const kept = [];
    for (let index = 0; index < 3; index++) kept.push(await keeping(staging, evict, index));
    const [first, second] = kept as [StagedContent, StagedContent, StagedContent];
    const opened = staging.openContent({ version: contentReference('first', MiB), staged: first });
    opened.close();
    await keeping(staging, evict, 3);
    await staging.idle();
    expect(forgotten).toEqual([second.id]);
    expect(await readdir(directory)).not.toContain(String(second.id));
    expect(staging.statistics()).toMatchObject({ files: 3, keptBytes: 3 * MiB });
  });

  test('one that is open stays', async () => {
    const staging = await open({ keptBytesMax: MiB });
    const forgotten: number[] = [];
    const first = await keeping(staging, (id) => forgotten.push(id), 1);
    const content = staging.openContent({ version: contentReference('first', MiB), staged: first });
    const second = await keeping(staging, (id) => forgotten.push(id), 2);
    await staging.idle();
    expect(forgotten).toEqual([second.id]);
    content.close();
  });

  test('one that is written to again is no cache any more', async () => {
    const directory = await freshDirectory();
    const staging = await open({ directory, keptBytesMax: MiB });
    const forgotten: number[] = [];
    const first = await keeping(staging, (id) => forgotten.push(id), 1);
    const content = staging.openContent({ version: contentReference('first', MiB), staged: first });
    content.write(5, Buffer.from('again'));
    const staged = commit(content);
    content.close();
    expect(staging.statistics().keptBytes).toBe(0);
    await keeping(staging, (id) => forgotten.push(id), 2);
    await keeping(staging, (id) => forgotten.push(id), 3);
    await staging.idle();
    expect(forgotten).not.toContain(first.id);
    expect((await contentOf(staging, staged)).equals(Buffer.alloc(MiB, 1).fill('again', 5, 10))).toBe(true);
  });

  test('a tree that could not forget it keeps its file', async () => {
    const directory = await freshDirectory();
    const staging = await open({ directory, keptBytesMax: 0 });
    const staged = await keeping(
      staging,
      () => {
        throw new Error('the database is full');
      },
      1,
    );
    await staging.idle();
    expect(await readdir(directory)).toEqual([String(staged.id)]);
    expect((await contentOf(staging, staged)).length).toBe(MiB);
  });
});

test('the start sweeps out what the journal does not name, and counts what it does', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory });
  const content = staging.openContent(nothing);
  content.write(0, Buffer.alloc(64 * KiB, 1));
  const staged = commit(content);
  content.truncate(0);
  content.write(0, Buffer.alloc(64 * KiB, 2));
  const unfinished = content.writingId as number;
  const unlinked = staging.openContent(nothing);
  unlinked.write(0, Buffer.alloc(64 * KiB, 3));
  const after = await Staging.open({ directory, blocks: new FakeBlocks() });
  expect(await readdir(directory)).toHaveLength(3);
  await after.sweep(new Set([staged.id, unfinished]));
  expect((await readdir(directory)).map(Number).sort()).toEqual([staged.id, unfinished].sort());
  expect(after.statistics()).toEqual({ files: 2, bytes: 128 * KiB, keptBytes: 0 });
  after.drop(unfinished);
  await after.idle();
  expect(await readdir(directory)).toEqual([String(staged.id)]);
  await after.stop();
  content.close();
  unlinked.close();
});

test('a file that lost its end is an error, not zeros', async () => {
  const directory = await freshDirectory();
  const staging = await open({ directory });
  const content = staging.openContent(nothing);
  content.write(0, Buffer.alloc(1000, 1));
  const staged = commit(content);
  execFileSync('truncate', ['-s', '500', `${directory}/${staged.id}`]);
  const reader = content.reader();
  expect(() => reader.read(0, 1000)).toThrow(/ends at 500 bytes/);
  const sealed = await staging.seal(staged, new AbortController().signal);
  const reading = async (): Promise<void> => {
    for await (const piece of sealed.read(0, 1000)) expect(piece.length).toBe(0);
  };
  await expect(reading()).rejects.toMatchObject({ code: 'EIO' });
  sealed.close();
  reader.close();
  content.close();
});
