// A new file that takes another one's place while its program still has it open: neither a crash nor the pusher leaves neither of the two.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { FolderId } from '../../src/remote-drive.ts';
import { pass, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { O_CREAT, O_RDWR, Program } from '../fs-ops/support/program.ts';
import { nobody, TestFileSystem } from '../fs-ops/support/test-file-system.ts';
import { heldIn, writtenDrive, type WrittenDrive } from './support/written-drive.ts';

let drive: MemoryDrive;
let root: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new MemoryDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  drive.addFile(root, 'a', 'former');
  written = await writtenDrive(drive);
  await passing(written.program.readdir('P'));
});
afterEach(() => written.stop());

const held = (): string[] => heldIn(drive, root);

/** A file made, written to and not closed, which has the name `a` by now. */
async function takeItsPlace(exchange: boolean): Promise<number> {
  const { program } = written;
  const descriptor = await passing(program.open('P/new', O_CREAT | O_RDWR));
  await passing(program.pwrite(descriptor, 0, 'written'));
  await passing(program.rename('P/new', 'P/a', { exchange }));
  if (exchange) await passing(program.unlink('P/new'));
  return descriptor;
}

it.each([false, true])(
  'the service keeps the former one until the new one is closed; exchanged: %s',
  async (exchange) => {
    const { program, pusher } = written;
    const { id } = drive.entries(root)[0] ?? {};
    const descriptor = await takeItsPlace(exchange);
    await pass(60_000);
    expect(held()).toEqual(['a: former']);
    await passing(program.pwrite(descriptor, 7, ' to the end'));
    await passing(program.close(descriptor));
    await passing(pusher.flush(nobody.signal));
    expect(held()).toEqual(['a: written to the end']);
    expect(drive.entries(root)[0]?.id).toBe(id);
  },
);

it.each([false, true])('after a crash the name has what was written until then; exchanged: %s', async (exchange) => {
  const descriptor = await takeItsPlace(exchange);
  await passing(written.program.pwrite(descriptor, 0, 'WRITTEN'));
  const again = await TestFileSystem.start(drive, { state: written.made.afterKill() });
  const program = new Program(again.fileSystem);
  expect(await passing(program.readdir('P'))).toEqual(['a']);
  expect(await passing(program.readFile('P/a'))).toBe('written');
  await again.stop();
});
