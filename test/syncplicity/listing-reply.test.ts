// Listings parsed as their bytes arrive: however they are cut up, the entries are those of JSON.parse; and nobody else waits.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RemoteError } from '../../src/remote-drive.ts';
import { readListing } from '../../src/syncplicity/listing-reply.ts';
import type { ListedEntry, ListingFrame } from '../../src/syncplicity/listing-reply.ts';

/** The bytes in pieces of the given sizes, over and over. */
async function* pieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (let turn = 0; at < bytes.length; turn += 1) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? 1);
    yield await Promise.resolve(bytes.subarray(at, at + size));
    at += size;
  }
}

async function read(
  text: string | Buffer,
  sizes: readonly number[] = [1 << 16],
  holds: 'files' | 'folders' = 'folders',
): Promise<{ entries: ListedEntry[]; frame: ListingFrame }> {
  const entries: ListedEntry[] = [];
  const batches = readListing(pieces(Buffer.from(text), sizes), 'call', holds);
  for (;;) {
    const next = await batches.next();
    if (next.done === true) return { entries, frame: next.value };
    expect(next.value.length).toBeLessThanOrEqual(1000);
    entries.push(...next.value);
  }
}

async function failure(text: string, kind = 'protocol'): Promise<string> {
  const error: unknown = await read(text).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RemoteError);
  expect((error as RemoteError).kind).toBe(kind);
  return (error as RemoteError).message;
}

test.each([
  ['{"FolderId":1,"Files":[],"Folders":[]}', true, true],
  ['{"FolderId":1}', false, false],
  ['{"FolderId":1,"Files":null,"Folders":null}', false, false],
  ['\ufeff { "files" : [ ] }', true, false],
  ['[]', false, true],
])('an empty folder as %s', async (text, hasFiles, hasFolders) => {
  const { entries, frame } = await read(text);
  expect(entries).toEqual([]);
  expect([frame.hasFiles, frame.hasFolders]).toEqual([hasFiles, hasFolders]);
});

test.each([
  ['', 'call: the reply is not JSON: the reply is empty'],
  ['<Folder/>', 'call: the reply is not JSON: unexpected "<"'],
  ['{"Files":[]}{', 'unexpected "{"'],
  ['{"Files":[{]}]}', 'unreadable value'],
  ['{"Files":[1]}', 'call: Files[0]: expected an object, got a number'],
  ['{"Files":{"FileId":1}}', 'call: Files[0]: field Filename is missing'],
  ['{"Files":"x"}', 'field Files is not an array'],
  ['{"StatusCode":500,"StatusDescription":"x"}', 'neither Files nor Folders'],
  ['{"Files":[{"FileId":1,"Filename":"a"}]}', 'call: Files[0]: field LatestVersionId is missing'],
  ['true', 'unexpected "t"'],
])('%s is a protocol error', async (text, message) => {
  expect(await failure(text)).toContain(message);
});

test.each([
  '{',
  '[',
  '{"Fi',
  '{"Files"',
  '{"Files":[{"FileId":1',
  '{"Folders":{"FolderId":1,"Name":"a"}',
  '{"Files":[]',
  '[{"FolderId":1,"Name":"a"},',
])('%s is a transfer that broke', async (text) => {
  expect(await failure(text, 'unavailable')).toContain('call: the reply ends early');
});

test('one object in place of an array is its only element', async () => {
  const text =
    '{"Files":{"FileId":1,"Filename":"a","LatestVersionId":2,"Length":3},"folders":{"FolderId":4,"Name":"b"},"FolderId":7}';
  for (const size of [1, 1000]) {
    const { entries, frame } = await read(text, [size]);
    expect(entries.map((entry) => [entry.kind, entry.id, entry.name])).toEqual([
      ['file', '1', 'a'],
      ['folder', '4', 'b'],
    ]);
    expect([frame.fileCount, frame.folderCount, frame.hasFiles, frame.hasFolders]).toEqual([1, 1, true, true]);
  }
});

const names = fc.string({ unit: 'binary', maxLength: 12 });
const files = fc.array(
  fc.record({
    FileId: fc.integer({ min: 1 }),
    Filename: names,
    LatestVersionId: fc.integer({ min: 1 }),
    Length: fc.nat(),
    Note: fc.jsonValue({ maxDepth: 2 }),
  }),
  { maxLength: 8 },
);
const folders = fc.array(
  fc.record({ FolderId: fc.integer({ min: 1 }), Name: names, Files: fc.constant([]), VirtualPath: names }),
  { maxLength: 8 },
);

test('the entries do not depend on how the bytes are cut up', async () => {
  await fc.assert(
    fc.asyncProperty(
      files,
      folders,
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      fc.boolean(),
      async (Files, Folders, sizes, indent) => {
        const text = JSON.stringify({ FolderId: 7, Files, Name: 'x "[{', Folders, Status: 1 }, null, indent ? 2 : 0);
        const { entries, frame } = await read(text, sizes);
        expect(entries.map((entry) => [entry.kind, entry.id, entry.name])).toEqual([
          ...Files.map((file) => ['file', String(file.FileId), file.Filename]),
          ...Folders.map((folder) => ['folder', String(folder.FolderId), folder.Name]),
        ]);
        expect([frame.fileCount, frame.folderCount]).toEqual([Files.length, Folders.length]);
      },
    ),
  );
});

test('a damaged reply is an error or another whole listing, never a crash', async () => {
  await fc.assert(
    fc.asyncProperty(
      files,
      folders,
      fc.nat(),
      fc.nat(255),
      fc.constantFrom('replace', 'insert', 'cut'),
      async (Files, Folders, where, byte, how) => {
        const bytes = Buffer.from(JSON.stringify({ FolderId: 7, Files, Folders }));
        const at = where % bytes.length;
        const damaged =
          how === 'cut'
            ? bytes.subarray(0, at)
            : Buffer.concat([bytes.subarray(0, at), Buffer.of(byte), bytes.subarray(how === 'insert' ? at : at + 1)]);
        try {
          await read(damaged, [7, 64]);
          expect(how).not.toBe('cut');
        } catch (error) {
          expect(error).toBeInstanceOf(RemoteError);
          const { kind } = error as RemoteError;
          if (how === 'cut') expect(kind).toBe(at === 0 ? 'protocol' : 'unavailable');
          else expect(['protocol', 'unavailable']).toContain(kind);
        }
      },
    ),
    { numRuns: 500 },
  );
});

/** The longest turns of the event loop by the processor time they took: how busy the machine is does not count. */
function watchTurns(): () => { readonly longestMs: number; readonly secondMs: number } {
  const turns: number[] = [];
  let last = process.cpuUsage();
  let running = true;
  const turn = (): void => {
    const used = process.cpuUsage(last);
    last = process.cpuUsage();
    turns.push((used.user + used.system) / 1000);
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    running = false;
    const [longestMs = 0, secondMs = 0] = turns.sort((x, y) => y - x);
    return { longestMs, secondMs };
  };
}

test.each([50_000, 200_000])('%d entries never hold the event loop', async (count) => {
  const time = '"2016-09-12T06:44:31.9000000Z"';
  const entry = (index: number): string =>
    `{"SyncpointId":5698124,"FileId":${743320707 + index},"Filename":"report of the year ${index} with a usual name.docx","Length":${index},"CreationTimeUtc":${time},"LastWriteTimeUtc":${time},"Status":1,"LatestVersionId":${999211663 + index},"Stored":true,"DateAddedUtc":${time},"ThumbnailUrl":null}`;
  const entries = Array.from({ length: count }, (_, index) => entry(index)).join(',');
  const text = Buffer.from(`{"SyncpointId":1,"FolderId":2,"Files":[${entries}],"Folders":[]}`);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const turns = watchTurns();
  const started = performance.now();
  let listed = 0;
  for await (const batch of readListing(pieces(text, [65_536]), 'call', 'folders')) listed += batch.length;
  const elapsedMs = performance.now() - started;
  const { longestMs, secondMs } = turns();
  delay.disable();
  expect(listed).toBe(count);
  const megabytes = (text.length / 1e6).toFixed(1);
  const heldMs = (delay.max / 1e6).toFixed(1);
  console.log(
    `${count} entries, ${megabytes} MB: ${elapsedMs.toFixed(0)} ms; longest turn ${longestMs.toFixed(1)} ms CPU, ${heldMs} ms by the clock`,
  );
  // One turn may carry the compiler's or the collector's work on other threads. Some 8 ms are meant; a batch at once would take seconds.
  expect(secondMs).toBeLessThan(100);
});
