// What `flush` answers, with programs that go on writing, through a real mount.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drive, fuseExists } from './drive.ts';

describe.skipIf(!fuseExists)('flush', () => {
  let drive: Drive;

  beforeEach(async () => {
    drive = new Drive();
    drive.store.addSyncpoint('Project');
    await drive.serve();
    await drive.mount();
  });
  afterEach(() => drive.stop());

  it('is done when what was changed before is stored, whatever is changed meanwhile', async () => {
    const writer = { isDone: false, files: 0 };
    const writing = (async () => {
      for (; !writer.isDone; writer.files += 1) {
        await writeFile(join(drive.mountpoint, 'Project', `file${writer.files}`), 'content');
        await sleep(10);
      }
    })();
    try {
      for (let flushes = 0; flushes < 4; flushes += 1) {
        await sleep(200);
        const before = writer.files;
        expect(await drive.user.run(['flush', drive.mountpoint])).toMatchObject({ code: 0, stderr: '' });
        const [tree] = (await drive.emulator.snapshot()).syncpoints;
        const stored = new Set(tree?.entries.map(({ path }) => path.replace(/.*[\\/]/, '')));
        for (let file = 0; file < before; file += 1) expect(stored).toContain(`file${file}`);
      }
    } finally {
      writer.isDone = true;
      await writing;
    }
  });
});
