// A drive of another user through the kernel: an administrator's connection, mount --as-user.
import { readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drive, fuseExists } from './drive.ts';

const bob = {
  id: 'b0b00000-0000-4000-8000-00000000000b',
  emailAddress: 'bob@example.com',
  firstName: 'Bob',
  lastName: 'Bee',
};

let drive: Drive;
beforeEach(() => (drive = new Drive()));
afterEach(() => drive.stop());

async function serve(actsForOthers: 'fully' | 'no'): Promise<void> {
  const own = drive.store.addSyncpoint("admin's");
  drive.store.addFile(own.id, own.rootFolderId, 'own.txt', Buffer.from('own'));
  const his = drive.store.addSyncpoint("Bob's", { owner: bob, permission: 0 });
  drive.store.addFile(his.id, his.rootFolderId, 'his.txt', Buffer.from('his'));
  await drive.serve({ emulator: { company: { people: [bob], isAdministrator: true, actsForOthers } } });
}

describe.skipIf(!fuseExists)('mount --as-user', () => {
  it.each([
    ['--as-user', 'bob@example.com'],
    ['-o', `as_user=${bob.id.toUpperCase()}`],
  ])('%s %s shows and changes what is theirs, in a state of its own', async (...options) => {
    await serve('fully');
    await drive.mount({ mount: options });
    expect(await readdir(drive.mountpoint)).toEqual(["Bob's"]);
    expect(await readFile(join(drive.mountpoint, "Bob's", 'his.txt'), 'utf8')).toBe('his');
    await writeFile(join(drive.mountpoint, "Bob's", 'new.txt'), 'new');
    await drive.succeed(['flush', drive.mountpoint]);
    await drive.unmount();
    const { files } = await drive.emulator.snapshot().then(({ syncpoints }) => ({
      files: JSON.stringify(syncpoints),
    }));
    expect(files).toContain('new.txt');
    const accounts = await readdir(drive.user.directory('.local', 'state', 'syncplicityfs', 'accounts'));
    expect(accounts).toEqual([`127.0.0.1-${drive.emulator.credentials.userId}-${bob.id}`]);

    await drive.mount();
    expect(await readdir(drive.mountpoint)).toEqual(["admin's"]);
    await drive.unmount();
  });

  it('goes on where the service is out of reach, and keeps the connection while something is pending', async () => {
    await serve('fully');
    const options = { mount: ['--as-user', bob.emailAddress] };
    await drive.mount(options);
    expect(await readdir(join(drive.mountpoint, "Bob's"))).toEqual(['his.txt']);
    await drive.unmount();
    await drive.interruptService(
      async () => {
        await drive.mount(options);
        expect(await readdir(drive.mountpoint)).toEqual(["Bob's"]);
        await writeFile(join(drive.mountpoint, "Bob's", 'pending.txt'), 'x');
        await drive.succeed(['unmount', drive.mountpoint, '--no-wait']);
        const { code, stderr } = await drive.user.run(['connections', 'delete', 'test']);
        expect(code).toBe(1);
        expect(stderr).toContain('1 change made through "test" is not at Syncplicity yet');
      },
      { emulator: { company: { people: [bob], isAdministrator: true, actsForOthers: 'fully' } } },
    );
    await drive.mount(options);
    await drive.succeed(['flush', drive.mountpoint]);
    await drive.unmount();
    await drive.succeed(['connections', 'delete', 'test']);
  });

  it('refuses in one line that names the missing privilege, and shows nobody their own folders', async () => {
    await serve('no');
    const { code, stderr } = await drive.user.run(['mount', 'test', drive.mountpoint, '--as-user', bob.emailAddress]);
    expect(code).toBe(1);
    expect(stderr.split('\n')).toHaveLength(2);
    expect(stderr).toContain('the privilege "Access content on behalf of managed users through API"');
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(drive.mountpoint);
  });

  it('takes an address or a GUID, and a connection that has users', async () => {
    const wrong = await drive.user.run(['mount', 'test', drive.mountpoint, '--as-user', 'bob']);
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
    expect(wrong.stderr).toContain('--as-user: "bob" is neither an e-mail address nor a GUID');
    await drive.user.addDirectory('local', '/usr');
    const directory = await drive.user.run(['mount', 'local', drive.mountpoint, '-o', `as_user=${bob.id}`]);
    expect(directory).toMatchObject({ code: 2 });
    expect(directory.stderr).toContain('local has no users to act for');
  });
});
