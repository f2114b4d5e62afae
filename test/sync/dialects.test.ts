// The whole write path but the kernel, against the emulator in each of its dialects: what programs did is what the service holds in the
// end, and what the drive goes on showing, also after everything was listed anew.
import { createHash } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import { dialects, type Dialect, type DialectName } from '../../src/emulator/dialect.ts';
import { startEmulator, type Emulator } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import { createSyncplicityDrive, type SyncplicityDrive } from '../../src/syncplicity/drive.ts';
import { O_CREAT, O_RDONLY, O_WRONLY, Program } from '../fs-ops/support/program.ts';
import { TestFileSystem, nobody } from '../fs-ops/support/test-file-system.ts';
import { pusherFor } from './support/pusher-for.ts';

let emulator: Emulator;
let drive: SyncplicityDrive;
let made: TestFileSystem;
let pusher: Pusher;
let program: Program;

const large = Buffer.alloc(5_300_000, 'large content ');
const changed = Buffer.concat([large.subarray(0, 100), Buffer.from('changed'), large.subarray(107)]);

async function start(dialect: Dialect): Promise<void> {
  const store = new MemoryStore();
  const { id, rootFolderId } = store.addSyncpoint('Project', { type: 8 });
  store.addSyncpoint('Other');
  store.addFile(id, rootFolderId, 'there.txt', Buffer.from('was there'));
  const folder = store.addFolder(id, rootFolderId, 'folder');
  for (const name of ['a', 'b', 'c']) store.addFile(id, folder.id, name, Buffer.from(`content of ${name}`));
  emulator = await startEmulator({ store, dialect });
  const { appKey, appSecret, appToken } = emulator.credentials;
  drive = createSyncplicityDrive({
    credentials: { clientId: appKey, clientSecret: appSecret, appToken },
    apiUrl: emulator.gatewayUrl,
    proxyEnvironment: {},
    budget: { perSecond: 10_000 },
    retries: { delayMs: 5 },
  });
  made = await TestFileSystem.start(drive, { moves: { cost: () => 'free' } });
  pusher = pusherFor(made, drive, 4);
  pusher.start();
  program = new Program(made.fileSystem);
}

afterEach(async () => {
  await pusher.stop();
  await made.stop();
  await drive.stop();
  await emulator.stop();
});

async function flush(): Promise<void> {
  await pusher.flush(AbortSignal.timeout(45_000));
  const left = pusher
    .progress()
    .map(({ record, trouble }) => `${record.inode} ${record.failed?.message ?? trouble?.message}`);
  expect(left).toEqual([]);
}

/** What the service holds: path to hash, '' for folders. */
async function held(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { name, entries } of (await emulator.snapshot()).syncpoints) {
    for (const entry of entries) found[`${name}/${entry.path}`] = entry.kind === 'file' ? entry.sha256 : '';
  }
  return found;
}

/** What programs see, the same way. */
async function shown(directory: string, found: Record<string, string> = {}): Promise<Record<string, string>> {
  for (const name of await program.readdir(directory)) {
    const path = `${directory}/${name}`;
    const { type, sizeBytes } = await program.stat(path);
    found[path] = type === 'file' ? hash(await content(path, sizeBytes)) : '';
    if (type === 'directory') await shown(path, found);
  }
  return found;
}

async function content(path: string, lengthBytes: number): Promise<Buffer> {
  const descriptor = await program.open(path, O_RDONLY);
  const bytes = await program.pread(descriptor, 0, lengthBytes);
  await program.close(descriptor);
  return bytes;
}

function hash(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const tops = ['Project', 'Other'];

it.each(Object.keys(dialects) as DialectName[])(
  'what is written comes to the service: %s',
  async (name) => {
    const dialect = dialects[name];
    await start(dialect);
    await program.readdir('Project');
    await program.readdir('Project/folder');
    await program.mkdir('Project/new');
    await program.mkdir('Project/new/deeper');
    await program.writeFile('Project/new/small ä.txt', 'small');
    await program.writeFile('Project/new/deeper/large.bin', large);
    await program.writeFile('Project/there.txt', 'is other');
    await flush();
    const expected: Record<string, string> = {
      'Project/folder': '',
      'Project/folder/a': hash('content of a'),
      'Project/folder/b': hash('content of b'),
      'Project/folder/c': hash('content of c'),
      'Project/new': '',
      'Project/new/deeper': '',
      'Project/new/deeper/large.bin': hash(large),
      'Project/new/small ä.txt': hash('small'),
      'Project/there.txt': hash('is other'),
    };
    expect(await held()).toEqual(expected);

    // A part of what is stored, a save by temporary file, renames, moves, removals, and a move to another syncpoint.
    const descriptor = await program.open('Project/new/deeper/large.bin', O_WRONLY);
    await program.pwrite(descriptor, 100, 'changed');
    await program.close(descriptor);
    const temporary = await program.open('Project/.there.tmp', O_WRONLY | O_CREAT);
    await program.pwrite(temporary, 0, 'saved');
    await program.close(temporary);
    await program.rename('Project/.there.tmp', 'Project/there.txt');
    await program.rename('Project/new', 'Project/renamed');
    await program.rename('Project/folder/a', 'Project/renamed/a');
    await program.unlink('Project/folder/b');
    await program.rename('Project/folder/c', 'Other/c');
    await program.rmdir('Project/folder');
    await flush();
    const after: Record<string, string> = {
      'Other/c': hash('content of c'),
      'Project/renamed': '',
      'Project/renamed/a': hash('content of a'),
      'Project/renamed/deeper': '',
      'Project/renamed/deeper/large.bin': hash(changed),
      'Project/renamed/small ä.txt': hash('small'),
      'Project/there.txt': hash('saved'),
    };
    expect(await held()).toEqual(after);

    const lagMs = dialect.listingLagMs;
    if (lagMs > 0) await new Promise((resolve) => setTimeout(resolve, lagMs));
    for (const top of tops) await relist(made.tree.child(1, top) as TreeDirectory);
    const seen: Record<string, string> = {};
    for (const top of tops) await shown(top, seen);
    expect(seen).toEqual(after);
    expect(made.tree.conflicts()).toEqual([]);
  },
  90_000,
);

async function relist(directory: TreeDirectory): Promise<void> {
  await made.listings.refresh(directory, nobody.signal);
  for (const child of [...made.tree.children(directory.inode)]) if (child.kind === 'directory') await relist(child);
}
