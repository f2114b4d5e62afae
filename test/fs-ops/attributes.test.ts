// Permission bits, owners and times: which of them change by themselves, which are kept, and when.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Timestamp } from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { O_CREAT, O_RDWR, O_TRUNC, O_WRONLY, Program } from './support/program.ts';
import { TestFileSystem, nobody, type TestFileSystemOptions } from './support/test-file-system.ts';

let drive: MemoryDrive;
let made: TestFileSystem;
let program: Program;
let clockMs: number;

async function start(options: TestFileSystemOptions = {}): Promise<void> {
  made = await TestFileSystem.start(drive, { nowMs: () => clockMs, ...options });
  program = new Program(made.fileSystem);
}

beforeEach(async () => {
  clockMs = 1_700_000_000_000;
  drive = new MemoryDrive();
  drive.addSyncpoint('P');
  await start();
});

afterEach(() => made.stop());

function at(ms: number): Timestamp {
  return { seconds: Math.floor(ms / 1000), nanoseconds: (ms % 1000) * 1e6 };
}

const NANOSECONDS: Timestamp = { seconds: 1_234_567_890, nanoseconds: 123_456_789 };

describe('times', () => {
  it('are of the last change, not of its close', async () => {
    const descriptor = await program.open('P/a', O_RDWR | O_CREAT);
    clockMs += 10;
    await program.pwrite(descriptor, 0, 'x');
    const written = clockMs;
    clockMs += 10;
    expect(await program.fstat(descriptor)).toMatchObject({ modified: at(written), changed: at(written) });
    await program.close(descriptor);
    expect(await program.stat('P/a')).toMatchObject({ modified: at(written), changed: at(written) });
  });

  it.each(['open', 'closed'])('that a program sets while the file is %s survive its close', async (state) => {
    const descriptor = await program.open('P/a', O_RDWR | O_CREAT);
    await program.pwrite(descriptor, 0, 'x');
    if (state === 'closed') await program.closeDuplicate(descriptor);
    clockMs += 10;
    await program.fsetattr(descriptor, { modified: NANOSECONDS, accessed: at(5_000) });
    const set = clockMs;
    clockMs += 10;
    await program.close(descriptor);
    const expected = { modified: NANOSECONDS, accessed: at(5_000), changed: at(set) };
    expect(await program.stat('P/a')).toMatchObject(expected);
    const kept = made.state;
    await made.stop(true);
    await start({ state: kept });
    expect(await program.stat('P/a')).toMatchObject(expected);
  });

  it('that a program sets give way to what it writes afterwards', async () => {
    const descriptor = await program.open('P/a', O_RDWR | O_CREAT);
    await program.fsetattr(descriptor, { modified: NANOSECONDS });
    await program.pwrite(descriptor, 0, 'x');
    await program.fsetattr(descriptor, { modified: NANOSECONDS });
    clockMs += 10;
    await program.pwrite(descriptor, 0, 'y');
    await program.close(descriptor);
    expect((await program.stat('P/a')).modified).toEqual(at(clockMs));
  });

  it('can be set one without the other, and to now', async () => {
    await program.writeFile('P/a', 'x');
    const { modified } = await program.stat('P/a');
    clockMs += 10;
    expect(await program.setattr('P/a', { accessed: at(1_000) })).toMatchObject({
      modified,
      accessed: at(1_000),
      changed: at(clockMs),
    });
    clockMs += 10;
    expect(await program.setattr('P/a', { modified: 'now' })).toMatchObject({
      modified: at(clockMs),
      accessed: at(1_000),
    });
  });

  it('of directories follow their entries, unless they are set', async () => {
    await program.mkdir('P/d');
    clockMs += 10;
    await program.writeFile('P/d/a', '');
    expect(await program.stat('P/d')).toMatchObject({ modified: at(clockMs), changed: at(clockMs) });
    await program.setattr('P/d', { modified: NANOSECONDS });
    expect((await program.stat('P/d')).modified).toEqual(NANOSECONDS);
    clockMs += 10;
    await program.unlink('P/d/a');
    expect((await program.stat('P/d')).modified).toEqual(at(clockMs));
  });

  it('of an empty file change when it is emptied, and nothing is stored again for it', async () => {
    await program.writeFile('P/a', '');
    const { inode } = await program.stat('P/a');
    const before = made.journal.get(inode);
    clockMs += 10;
    await program.close(await program.open('P/a', O_WRONLY | O_TRUNC));
    expect((await program.stat('P/a')).modified).toEqual(at(clockMs));
    expect(made.journal.get(inode)).toMatchObject({ content: true, sinceMs: before?.sinceMs });
    const { modified } = await program.stat('P/a');
    clockMs += 10;
    await program.setattr('P/a', { sizeBytes: 0 });
    expect((await program.stat('P/a')).modified).toEqual(modified);
  });
});

describe('permissions', () => {
  it('are those asked for, and stay', async () => {
    await program.close(await program.open('P/a', O_RDWR | O_CREAT, 0o751));
    await program.mkdir('P/d', 0o700);
    await program.setattr('P/a', { permissions: 0o4711 });
    const kept = made.state;
    await made.stop(true);
    await start({ state: kept });
    expect((await program.stat('P/a')).permissions).toBe(0o4711);
    expect((await program.stat('P/d')).permissions).toBe(0o700);
  });

  it('lose the bits that lend rights when content changes', async () => {
    await program.writeFile('P/a', 'x');
    const descriptor = await program.open('P/a', O_RDWR);
    await program.setattr('P/a', { permissions: 0o6755 });
    await program.pwrite(descriptor, 0, 'y');
    expect((await program.stat('P/a')).permissions).toBe(0o6755);
    program.killsPrivileges = true;
    await program.pwrite(descriptor, 0, 'z');
    expect((await program.stat('P/a')).permissions).toBe(0o755);
    // Without the right of the group to execute, its bit means something else.
    await program.setattr('P/a', { permissions: 0o6745 });
    expect((await program.setattr('P/a', { killPrivileges: true, uid: 7 })).permissions).toBe(0o2745);
    await program.close(descriptor);
  });

  it('lose these bits when anybody but root allocates', async () => {
    await program.writeFile('P/a', 'x');
    const root = new Program(made.fileSystem, { ...nobody, uid: 0 });
    const user = new Program(made.fileSystem, { ...nobody, uid: 1000 });
    for (const [who, permissions] of [
      [root, 0o6755],
      [user, 0o755],
    ] as const) {
      const descriptor = await who.open('P/a', O_RDWR);
      await program.setattr('P/a', { permissions: 0o6755 });
      made.kernel.length = 0;
      await who.fallocate(descriptor, 0, 0, 100);
      // The kernel asks for nothing of that, and goes on with the bits it knows.
      expect(made.kernel.some((note) => note.startsWith('node '))).toBe(permissions === 0o755);
      expect((await program.stat('P/a')).permissions).toBe(permissions);
      await who.close(descriptor);
    }
  });

  it('are of the one who makes a file, where a mount keeps owners', async () => {
    await made.stop();
    await start({ ownership: { uid: 0, gid: 0, umask: 0o022, keepsOwners: true } });
    program = new Program(made.fileSystem, { ...nobody, uid: 1000, gid: 100 });
    await program.writeFile('P/a', 'x');
    await program.mkdir('P/d');
    expect(await program.stat('P/a')).toMatchObject({ uid: 1000, gid: 100 });
    await program.setattr('P/d', { permissions: 0o2775, gid: 55 });
    await program.mkdir('P/d/e');
    expect(await program.stat('P/d/e')).toMatchObject({ uid: 1000, gid: 55, permissions: 0o2755 });
    await program.setattr('P/a', { uid: 3, gid: 4 });
    expect(await program.stat('P/a')).toMatchObject({ uid: 3, gid: 4 });
    expect(await program.stat('P')).toMatchObject({ uid: 0, gid: 0 });
  });
});
