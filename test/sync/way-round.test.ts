// A temporary name at the service, which leads out of a circle of changes: what becomes of it where the folder it is to be in is removed.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RemoteSyncpoint } from '../../src/remote-drive.ts';
import { passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { writtenDrive, type WrittenDrive } from './support/written-drive.ts';

/** Far more than the changes below take; what goes round in circles takes all of it. */
const PATIENCE_MS = 60_000;

let drive: MemoryDrive;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new MemoryDrive();
  drive.addSyncpoint('P');
  written = await writtenDrive(drive);
});

afterEach(() => written.stop());

it.each(['work', 'unsupported'] as const)(
  'a directory that was to go round through one that is removed since goes its own way, where moves %s',
  async (moves) => {
    drive.moves = moves;
    const { made, program, pusher } = written;
    await passing(program.mkdir('P/removed'));
    await passing(program.writeFile('P/removed/kept', 'content'));
    await passing(pusher.flush(nobody.signal));
    await pusher.pause();
    await passing(program.mkdir('P/made'));
    await passing(program.rename('P/removed/kept', 'P/made/kept'));
    const [{ inode: through }, { inode }] = [await program.stat('P/removed'), await program.stat('P/made')];
    made.journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record === undefined) throw new Error('nothing is pending');
      transaction.updateRecord({ ...record, via: { parent: through, name: '.round' } });
    });
    await passing(program.rmdir('P/removed'));

    pusher.resume();
    const begunMs = Date.now();
    const tooLong = new AbortController();
    const timer = setTimeout(() => tooLong.abort(), PATIENCE_MS);
    await passing(pusher.flush(tooLong.signal));
    clearTimeout(timer);

    expect(Date.now() - begunMs).toBeLessThan(PATIENCE_MS);
    const { rootFolderId } = drive.syncpointList[0] as RemoteSyncpoint;
    const [folder, ...more] = drive.entries(rootFolderId);
    expect([folder?.name, more]).toEqual(['made', []]);
    expect(folder?.kind === 'folder' && drive.entries(folder.id).map(({ name }) => name)).toEqual(['kept']);
  },
);
