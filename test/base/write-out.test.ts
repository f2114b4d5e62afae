import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { beginWriteOut } from '../../src/base/write-out.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

test('changes nothing, and fails for nobody', async () => {
  const directory = temporaryDirectory();
  const path = join(directory.path, 'file');
  const descriptor = openSync(path, 'w');
  writeSync(descriptor, 'abc');
  await beginWriteOut(descriptor, 0, 3);
  closeSync(descriptor);
  await beginWriteOut(descriptor, 0, 3);
  expect(readFileSync(path, 'utf8')).toBe('abc');
  directory.remove();
});
