// `syncpoints list`, `show`, `create`, `rename`, `transfer`, `map` and `delete` by a user, over dialects that take and tell them differently.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../../src/emulator/dialect.ts';
import { Drive, fuseExists } from '../../mount/drive.ts';
import { type Outcome, programFile } from '../program.ts';
import { lacks } from '../../machine.ts';

const self = 'user@emulator.invalid';
const machine = '44444444-4444-4444-8444-444444444444';
const owner = {
  id: 'e3938cb5-e985-4fb1-be37-b4f2c8891477',
  emailAddress: 'al@emulator.invalid',
  firstName: 'Al',
  lastName: 'X',
};
const terminal = fileURLToPath(new URL('../terminal.py', import.meta.url));
let drive: Drive;
let id: number;

beforeEach(() => {
  drive = new Drive();
  ({ id } = drive.store.addSyncpoint('Projects'));
  drive.store.addSyncpoint('Theirs', { owner, permission: 3, type: 8 });
});
afterEach(async () => {
  await drive.stop();
});

async function serve(dialect: DialectName = 'observed'): Promise<void> {
  await drive.serve({ dialect: dialects[dialect], emulator: { people: { colleagues: [owner] } } });
}

const run = (...args: string[]): Promise<Outcome> => drive.user.run(['syncpoints', ...args]);
const succeed = async (...args: string[]): Promise<string> => (await drive.succeed(['syncpoints', ...args])).stdout;

async function names(): Promise<string[]> {
  return (await drive.store.syncpoints()).map(({ name }) => name);
}

describe('syncpoints', () => {
  it.each<DialectName>(['observed', 'guide', 'all-strings', 'terse', 'sharing-silent', 'wcf', 'text-errors'])(
    'are made, renamed, mapped, given away and deleted in %s',
    async (dialect) => {
      await serve(dialect);
      expect(await succeed('create', 'test:/New one')).toMatch(/^the syncpoint "New one" is made: \d+\n$/);
      expect(await succeed('rename', 'test:/New one', 'Newer')).toBe('"New one" is called "Newer" now\n');
      await succeed('map', 'test:/Newer', '--machine', machine, '--path', '/data');
      expect(await succeed('show', 'test:/Newer')).toContain(`\nMapped     ${machine} /data\n`);
      expect(await succeed('map', 'test:/Newer', '--machine', machine, '--unmap')).toContain('is no more mapped');
      expect(await succeed('show', 'test:/Newer')).not.toContain('Mapped');
      await succeed('transfer', 'test:/Projects', owner.emailAddress);
      expect(await succeed('show', 'test:/Projects')).toMatch(/\nOwner +Al X, al@emulator\.invalid\nShared +yes\n/);
      expect(await succeed('delete', '--yes', 'test:/Newer')).toBe('"Newer" is deleted\n');
      expect(await succeed('delete', '--yes', 'test:/Projects')).toBe('"Projects" is deleted for you\n');
      expect(await names()).toEqual(['Theirs']);
    },
  );

  it('are a table, and JSON with keys that stay', async () => {
    await serve();
    const lines = (await succeed('list')).trimEnd().split('\n');
    expect(lines.map((line) => line.split(/ +/))).toEqual([
      ['Id', 'Name', 'Type', 'Permission', 'Owner', 'Bytes'],
      [String(id), 'Projects', 'folder', 'read-write', self],
      [String(id + 1), 'Theirs', 'drive', 'read-only', owner.emailAddress],
    ]);
    const [first] = JSON.parse(await succeed('list', 'test', '--json')) as unknown[];
    expect(first).toEqual(JSON.parse(await succeed('show', 'test:/Projects', '--json')));
    expect(first).toEqual({
      id: String(id),
      name: 'Projects',
      type: 'folder',
      permission: 'read-write',
      owner: self,
      ownerName: 'Emulated User',
      shared: false,
      rootFolder: expect.stringMatching(/^\d+$/) as string,
      vault: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      parent: null,
      path: null,
      bytes: null,
      mappings: [],
    });
  });

  it('tell in JSON what was done', async () => {
    await serve();
    const made = JSON.parse(await succeed('create', 'test:/A', '--type', 'drive', '--json')) as Record<string, unknown>;
    expect([made['name'], made['type']]).toEqual(['A', 'drive']);
    expect(JSON.parse(await succeed('rename', 'test:/A', 'B', '--json'))).toMatchObject({ id: made['id'], name: 'B' });
    const given = await succeed('transfer', 'test:/B', owner.emailAddress, '--json');
    expect(JSON.parse(given)).toEqual({ id: made['id'], name: 'B', owner: owner.emailAddress });
    const deleted = await succeed('delete', 'test:/B', '--yes', '--json');
    expect(JSON.parse(deleted)).toEqual({ deleted: made['id'], name: 'B', forEverybody: false });
  });

  it.each<[string[], number, string]>([
    [['create', 'test:/Projects'], 1, 'there is a syncpoint "Projects" already'],
    [
      ['create', 'test:/Projects/below'],
      1,
      'test:/Projects is not the root of a drive: folders below are made with mkdir',
    ],
    [['create', `test:/${'x'.repeat(51)}`], 2, "a syncpoint's name has at most 50 characters"],
    [['create', 'test:/a<b'], 2, '"a<b" is no name for a syncpoint'],
    [['create', 'test:/A', '--vault', 'here'], 2, '"here" is no storage endpoint: their ids are GUIDs'],
    [['create', 'test:/A', '--vault', machine], 1, 'Storage Endpoint not found (HTTP 404)'],
    [['rename', 'test:/Theirs', 'Mine'], 1, 'Syncpoint Rename Forbidden (HTTP 403)'],
    [['rename', 'test:/Nothing', 'A'], 1, 'there is no syncpoint "Nothing"'],
    [['transfer', 'test:/Projects', 'al'], 2, '"al" is no e-mail address'],
    [['transfer', 'test:/Projects', 'jo@elsewhere.com'], 1, 'Only Company users Allowed (HTTP 403)'],
    [['transfer', 'test:/Projects', 'no@emulator.invalid'], 1, 'Owner user does not exist (HTTP 400)'],
    [['transfer', 'test:/Theirs', self], 1, 'Syncpoint Change Owner Forbidden (HTTP 403)'],
    [['map', 'test:/Projects', '--machine', 'mine', '--path', '/x'], 2, '"mine" is no machine: their ids are GUIDs'],
    [['map', 'test:/Projects', '--machine', machine], 2, 'where the machine keeps it is missing'],
    [['delete', 'test:/Projects'], 2, 'a syncpoint is deleted with all it holds: say --yes where nobody can be asked'],
    [['delete', '--yes', 'test:/'], 1, 'test:/ is the whole drive: name a syncpoint of it'],
  ])('refuse %j', async (args, code, message) => {
    await serve();
    const outcome = await run(...args);
    expect([outcome.code, outcome.stdout]).toEqual([code, '']);
    expect(outcome.stderr).toContain(message);
    expect(await names()).toEqual(['Projects', 'Theirs']);
  });

  it.skipIf(lacks('python3')).each([
    ['Projects', 0, ['Theirs']],
    ['projects', 1, ['Projects', 'Theirs']],
    ['y', 1, ['Projects', 'Theirs']],
  ])('are deleted on a terminal when their name is typed: %j', async (answer, code, left) => {
    await serve();
    const command = [process.execPath, programFile, 'syncpoints', 'delete', 'test:/Projects'];
    const python = spawn('python3', [terminal, 'go on: ', answer, ...command], { env: drive.user.environment });
    let shown = '';
    python.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text));
    expect((await once(python, 'close'))[0]).toBe(code);
    expect(shown).toContain('"Projects" is deleted with all it holds, for everybody it is shared with.');
    expect(shown).toContain(
      code === 0 ? '"Projects" is deleted\r\n' : 'that is not its name: "Projects" stays as it is',
    );
    expect(await names()).toEqual(left);
  });

  it('say what the service said when it deletes none', async () => {
    await serve();
    const text = 'Virtual Folder Is Shared Via The Group Permissions';
    drive.emulator.setFaults([{ kind: 'status', endpoint: 'syncpointDelete', status: 403, text }]);
    expect((await run('delete', '--yes', 'test:/Projects')).stderr).toContain(`syncpoint ${id}: ${text} (HTTP 403)`);
  });

  it('of a directory of this machine are its directories', async () => {
    const directory = drive.user.directory('served');
    await mkdir(join(directory, 'One'));
    await writeFile(join(directory, 'One', 'file'), 'content');
    await drive.user.addDirectory('here', directory);
    // Shown as one syncpoint, which stays.
    const { code, stderr } = await run('delete', '--yes', 'here:/served');
    expect([code, stderr]).toEqual([1, expect.stringContaining('User Not Authorized For Action')]);
    expect(await readdir(directory)).toEqual(['One']);
  });

  it.skipIf(!fuseExists)('are made and deleted by their paths in a mounted drive', async () => {
    await serve();
    await drive.mount();
    await succeed('create', join(drive.mountpoint, 'New'));
    await succeed('rename', join(drive.mountpoint, 'Projects'), 'Plans');
    // At once, without waiting for the drive's next look.
    expect(await readdir(drive.mountpoint)).toEqual(['New', 'Plans', 'Theirs']);
    await drive.succeed(['participants', 'add', join(drive.mountpoint, 'New'), 'jo@x.com']);
    await succeed('delete', '--yes', join(drive.mountpoint, 'New'));
    expect(await readdir(drive.mountpoint)).toEqual(['Plans', 'Theirs']);
    expect(await names()).toEqual(['Plans', 'Theirs']);
    expect((await run('create', join(drive.mountpoint, 'Theirs', 'x'))).stderr).toContain('is not the root of a drive');
  });
});
