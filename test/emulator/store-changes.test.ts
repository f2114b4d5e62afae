// Both stores against a plain model: whatever is stored, made, moved and removed through their own calls, and however often the
// directory store is opened anew, both hold exactly that, under ids that stay and are never given twice.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DirectoryStore } from '../../src/emulator/directory-store.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { StoreRefusal } from '../../src/emulator/store.ts';
import type { ContentStore } from '../../src/emulator/store.ts';
import { takeSnapshot } from '../../src/emulator/store-snapshot.ts';
import { sha256 } from './upload-client.ts';

const name = fc.constantFrom('a', 'b', 'c');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
const change = fc.oneof(
  fc.record({ change: fc.constant('store' as const), path, text: fc.constantFrom('', 'x', 'longer') }),
  fc.record({ change: fc.constant('make' as const), path }),
  fc.record({ change: fc.constant('move' as const), path, to: path }),
  fc.record({ change: fc.constant('remove' as const), path, purge: fc.boolean() }),
  fc.record({ change: fc.constant('reopen' as const) }),
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** Path to text; undefined for a folder. */
type Model = Map<string, string | undefined>;

function parentOf(child: string): string {
  return child.slice(0, Math.max(child.lastIndexOf('/'), 0));
}

function baseName(child: string): string {
  return child.slice(child.lastIndexOf('/') + 1);
}

/** Makes the change in the model; false when it must be refused. */
function applied(model: Model, one: Change): boolean {
  const isFolder = (at: string): boolean => at === '' || (model.has(at) && model.get(at) === undefined);
  const below = (at: string): string[] => [...model.keys()].filter((key) => key === at || key.startsWith(`${at}/`));
  switch (one.change) {
    case 'reopen':
      return true;
    case 'store':
      if (!isFolder(parentOf(one.path)) || isFolder(one.path)) return false;
      model.set(one.path, one.text);
      return true;
    case 'make':
      if (!isFolder(parentOf(one.path)) || model.has(one.path)) return false;
      model.set(one.path, undefined);
      return true;
    case 'remove':
      for (const key of below(one.path)) model.delete(key);
      return true;
    case 'move': {
      if (!isFolder(parentOf(one.to)) || model.has(one.to) || one.to.startsWith(`${one.path}/`)) return false;
      const moved = below(one.path).map((key) => [key, model.get(key)] as const);
      for (const [key] of moved) model.delete(key);
      for (const [key, text] of moved) model.set(one.to + key.slice(one.path.length), text);
      return true;
    }
  }
}

/** The entry of each path. */
async function entries(
  store: ContentStore,
): Promise<Map<string, { kind: string; id: number; versionId?: number; sha256?: string }>> {
  const [syncpoint] = (await takeSnapshot(store)).syncpoints;
  return new Map(syncpoint?.entries.map((entry) => [entry.path, entry]));
}

/** Makes the change by the store's own calls; false when it was refused. */
async function carriedOut(store: ContentStore, one: Change): Promise<boolean> {
  if (one.change === 'reopen') return true;
  const [syncpoint] = await store.syncpoints();
  if (syncpoint === undefined) throw new Error('no syncpoint');
  const { id: syncpointId, rootFolderId } = syncpoint;
  const known = await entries(store);
  const folderId = (at: string): number => (at === '' ? rootFolderId : (known.get(at)?.id ?? 1));
  const own = known.get(one.path);
  try {
    switch (one.change) {
      case 'make':
        await store.createFolder(syncpointId, folderId(parentOf(one.path)), baseName(one.path));
        break;
      case 'store': {
        const staged = await store.stage();
        await staged.append(Buffer.from(one.text));
        const times = { created: 1n, modified: 16_000_000_000_000_001n };
        const hash = sha256(one.text);
        const target = { syncpointId, folderId: folderId(parentOf(one.path)), name: baseName(one.path), ...times };
        await store
          .storeFile({ ...target, staged, sha256: hash, replace: 'next-version' })
          .finally(() => staged.drop());
        break;
      }
      case 'move': {
        const to = [folderId(parentOf(one.to)), baseName(one.to)] as const;
        await (own?.kind === 'file'
          ? store.moveFile(syncpointId, own.id, ...to)
          : store.moveFolder(syncpointId, own?.id ?? 1, ...to));
        break;
      }
      case 'remove':
        if (own === undefined) break;
        if (own.kind === 'file') await store.removeFile(syncpointId, own.id);
        else await store.removeFolder(syncpointId, own.id);
        if (one.purge) await store.purge(syncpointId, own.id);
        break;
    }
    return true;
  } catch (error) {
    if (error instanceof StoreRefusal) return false;
    throw error;
  }
}

test('any sequence of changes leaves what a plain model says', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'emulator-changes-'));
  let run = 0;
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 30, size: 'max' }), async (changes) => {
        const [data, state] = ['data', 'state'].map((part) => join(directory, `${run}`, part)) as [string, string];
        run++;
        mkdirSync(data, { recursive: true });
        const open = (): Promise<DirectoryStore> =>
          DirectoryStore.open({ directory: data, stateDirectory: state, exclusive: true });
        const memory = new MemoryStore();
        memory.addSyncpoint('data');
        let onDisk = await open();
        const model: Model = new Map();
        try {
          for (const store of [memory, onDisk] as ContentStore[]) {
            model.clear();
            /** Which content each version id stood for, which kind each id. */
            const versions = new Map<number, string>();
            const kinds = new Map<number, string>();
            for (const one of changes) {
              // A move of what is not there cannot be told by id.
              if (one.change === 'move' && !model.has(one.path)) continue;
              let current = store === memory ? memory : onDisk;
              const before = await entries(current);
              const [event] = (await current.syncpoints()).map(({ lastEventId }) => lastEventId ?? 0);
              const isChange = one.change !== 'reopen' && !(one.change === 'remove' && !model.has(one.path));
              const expected = applied(model, one);
              expect([one, await carriedOut(current, one)]).toEqual([one, expected]);
              if (one.change === 'reopen' && store !== memory) {
                await onDisk.close();
                current = onDisk = await open();
              }
              const after = await entries(current);
              const shape = [...model].map(([at, text]) => [at, text === undefined ? 'folder' : sha256(text)]);
              expect(new Map([...after].map(([at, entry]) => [at, entry.sha256 ?? 'folder']))).toEqual(
                new Map(shape as [string, string][]),
              );
              for (const [at, { kind, id, versionId, sha256: hash = '' }] of after) {
                expect(kinds.get(id) ?? kind).toBe(kind);
                kinds.set(id, kind);
                if (versionId !== undefined) {
                  expect(versions.get(versionId) ?? hash).toBe(hash);
                  versions.set(versionId, hash);
                }
                const isOld = before.get(at) !== undefined && one.change !== 'move' && one.change !== 'remove';
                if (isOld) expect(id).toBe(before.get(at)?.id);
              }
              const [now = 0] = (await current.syncpoints()).map(({ lastEventId }) => lastEventId ?? 0);
              expect(now > (event ?? 0)).toBe(isChange && expected);
            }
          }
        } finally {
          await onDisk.close();
        }
      }),
      {
        numRuns: 60,
        examples: [
          [
            [
              { change: 'make', path: 'a' },
              { change: 'make', path: 'b' },
              { change: 'move', path: 'a', to: 'b/a' },
              { change: 'reopen' },
            ],
          ],
        ],
      },
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a removed file’s ids are not given to the next', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'emulator-ids-'));
  mkdirSync(join(directory, 'data'));
  const store = await DirectoryStore.open({
    directory: join(directory, 'data'),
    stateDirectory: join(directory, 'state'),
  });
  try {
    const seen = new Set<number | undefined>();
    for (let turn = 0; turn < 40; turn++) {
      await carriedOut(store, { change: 'store', path: 'a', text: 'x' });
      const entry = (await entries(store)).get('a');
      expect(seen.has(entry?.id)).toBe(false);
      seen.add(entry?.id);
      await carriedOut(store, { change: 'remove', path: 'a', purge: true });
    }
    expect(seen.size).toBe(40);
  } finally {
    await store.close();
    rmSync(directory, { recursive: true });
  }
});
