// The same system calls on a local file system and on a mount, whose results a program prints: both must print the same.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';
import { Drive, fuseExists, run } from '../mount/drive.ts';

const program = fileURLToPath(new URL('syscalls.py', import.meta.url));
/** The functions that the program runs, each in a directory of its own. */
const cases = /\bcases = \(([^)]*)\)/.exec(readFileSync(program, 'utf8'))?.[1]?.split(', ') ?? [];

let local: ReturnType<typeof temporaryDirectory>;
let drive: Drive;

beforeEach(() => {
  local = temporaryDirectory();
  drive = new Drive();
});

afterEach(async () => {
  await drive.stop();
  local.remove();
});

async function printed(directory: string, wanted: string): Promise<string[]> {
  const { code, stdout, stderr } = await run('python3', [program, directory, wanted]);
  expect({ wanted, code, stderr }).toEqual({ wanted, code: 0, stderr: '' });
  return stdout.split('\n');
}

describe.skipIf(!fuseExists)('a mount', () => {
  it('answers system calls as a local file system does', { timeout: 180_000 }, async () => {
    drive.store.addSyncpoint('P');
    await drive.serve();
    await drive.mount();
    expect(cases).toContain('renames');
    for (const wanted of cases) {
      const expected = await printed(local.path, wanted);
      expect(expected.length).toBeGreaterThan(3);
      expect(await printed(`${drive.mountpoint}/P`, wanted)).toEqual(expected);
    }
  });
});
