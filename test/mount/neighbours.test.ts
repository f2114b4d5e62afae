// Files read one after another through the kernel: which ones the service is asked for, and how often.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drive, fuseExists, pattern, run } from './drive.ts';

const FILES = 60;

let drive: Drive;
let names: string[];

beforeEach(async () => {
  drive = new Drive();
  const { id, rootFolderId } = drive.store.addSyncpoint('Projects');
  const folder = drive.store.addFolder(id, rootFolderId, 'many');
  names = Array.from({ length: FILES }, (_, index) => `file${String(index).padStart(2, '0')}`);
  // The order of the listing is not that of the names.
  for (const name of names.toReversed())
    drive.store.addFile(id, folder.id, name, pattern(100_000, Number(name.slice(4))));
  await drive.serve();
  await drive.mount();
});
afterEach(async () => {
  await drive.stop();
});

const asked = (): number => drive.emulator.calls().byEndpoint['retrieveFile'] ?? 0;

async function shell(script: string): Promise<void> {
  const { code, stderr } = await run('bash', [
    '-ec',
    `cd '${drive.mountpoint}/Projects/many'
${script}`,
  ]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
}

describe.skipIf(!fuseExists)('files read one after another', () => {
  it.each(['ls -U', 'ls'])('are there before they are opened, and fetched once: %s', async (list) => {
    await shell(`${list} | head -8 | xargs cat > /dev/null`);
    await expect.poll(asked).toBeGreaterThanOrEqual(30);
    await shell(`${list} | xargs cat | wc -c | grep -qx ${FILES * 100_000}`);
    expect(asked()).toBe(FILES);
    expect((await drive.status()).prefetch.unusedBytes).toBe(0);
  });

  it('are asked for only where those before were read to their ends', async () => {
    await shell('for name in *; do head -c 100 $name > /dev/null; done');
    expect(asked()).toBe(FILES);
    await drive.unmount();
    const before = asked();
    await drive.mount({ mount: ['--cache-dir', drive.user.directory('other-cache')] });
    await shell('for name in $(ls | head -20); do head -c 100 $name > /dev/null; done');
    expect(asked() - before).toBe(20);
  });
});
