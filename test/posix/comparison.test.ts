// Programs in Python that compare: the same system calls on a local file system and on a mount, which must print the same; a file
// under random operations with the same in memory, and with what the service has of it in the end.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';
import { kernelTransportOnly, lackingCalls } from '../cli/program.ts';
import { Drive, fuseExists, run } from '../mount/drive.ts';
import { lacks } from '../machine.ts';

/** The full run is of 100,000. */
const OPERATIONS = process.env['FSX_OPERATIONS'] ?? '5000';

const program = fileURLToPath(new URL('syscalls.py', import.meta.url));
/** The functions that the program runs, each in a directory of its own. */
const cases = /\bcases = \(([^)]*)\)/.exec(readFileSync(program, 'utf8'))?.[1]?.split(', ') ?? [];

/** Cases that differ through the transport fuse-native, and why. */
const notThroughLibfuse = new Map([
  ['allocated', 'libfuse 2 as the package has it knows no fallocate'],
  ['unlinked', 'the kernel remembers times for a second, and what lay in a removed directory has no path'],
  ['times', 'they are told in milliseconds'],
]);

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
  const { code, stdout, stderr } = await run('python3', [program, directory, wanted], {
    env: { ...process.env, ...lackingCalls },
  });
  expect({ wanted, code, stderr }).toEqual({ wanted, code: 0, stderr: '' });
  return stdout.split('\n');
}

describe.skipIf(!fuseExists || lacks('python3'))('a mount', () => {
  it('answers system calls as a local file system does', { timeout: 180_000 }, async () => {
    drive.store.addSyncpoint('P');
    await drive.serve();
    await drive.mount();
    expect(cases).toContain('renames');
    for (const wanted of cases) {
      if (notThroughLibfuse.has(wanted) && kernelTransportOnly(notThroughLibfuse.get(wanted) ?? '')) continue;
      const expected = await printed(local.path, wanted);
      expect(expected.length).toBeGreaterThan(3);
      expect(await printed(`${drive.mountpoint}/P`, wanted)).toEqual(expected);
    }
  });

  it('shows what was written past the page cache, whoever reads through it meanwhile', async () => {
    drive.store.addSyncpoint('P');
    await drive.serve();
    await drive.mount();
    const program = fileURLToPath(new URL('direct-io.py', import.meta.url));
    const { code, stdout, stderr } = await run('python3', [program, `${drive.mountpoint}/P`, '3']);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'True\n', stderr: '' });
  });

  it(
    'keeps a file as it was written, whatever was done to it, here and at the service',
    { timeout: 900_000 },
    async () => {
      const { id, rootFolderId } = drive.store.addSyncpoint('P');
      await drive.serve();
      await drive.mount();
      const seed = String(Date.now() % 100_000);
      const exerciser = fileURLToPath(new URL('fsx.py', import.meta.url));
      const { code, stderr } = await run('python3', [exerciser, `${drive.mountpoint}/P`, OPERATIONS, seed], {
        env: { ...process.env, ...lackingCalls },
      });
      expect({ seed, code, stderr }).toEqual({ seed, code: 0, stderr: '' });
      const written = await run('sha256sum', [`${drive.mountpoint}/P/fsx`]);
      await drive.succeed(['flush', drive.mountpoint]);
      const stored = await drive.store.child(id, rootFolderId, 'fsx', { ignoreCase: false });
      if (stored?.kind !== 'file') throw new Error('nothing was stored');
      expect(await drive.store.sha256(id, stored.file.versionId)).toBe(written.stdout.slice(0, 64));
    },
  );
});
