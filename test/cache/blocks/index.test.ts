// The index of the disk cache: an entry is served only under the key it was stored under.
import { open as openDatabase } from 'lmdb';
import { afterEach, expect, test } from 'vitest';
import { CacheIndex } from '../../../src/cache/blocks/cache-index.ts';
import { freshDirectory, stopAll } from './opened.ts';

afterEach(stopAll);

test('values that a power failure left under the wrong key are not served', async () => {
  const directory = await freshDirectory();
  const index = await CacheIndex.open(directory);
  for (const name of ['one', 'two', 'six']) {
    const payload = Buffer.alloc(9000, name);
    index.put({ kind: 'i', name, payload, bytes: 0, tick: 0, storedTick: -1 }, 12_288);
  }
  await index.close();
  const database = openDatabase<Buffer, string>({ path: directory, encoding: 'binary', compression: false });
  const one = Buffer.from(database.get('ione') ?? '');
  const two = Buffer.from(database.get('itwo') ?? '');
  database.putSync('ione', two);
  database.putSync('itwo', one);
  await database.close();
  const again = await CacheIndex.open(directory);
  let complaints = 0;
  again.onError = () => complaints++;
  expect(again.get('i', 'one')).toBeUndefined();
  expect(again.get('i', 'two')).toBeUndefined();
  expect(again.get('i', 'six')?.payload.equals(Buffer.alloc(9000, 'six'))).toBe(true);
  expect(complaints).toBe(2);
  await again.close();
});
