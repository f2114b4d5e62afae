// A drive of somebody who signed in with a browser: tokens are renewed while it is mounted, by it and by commands beside it.
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drive, fuseExists } from './drive.ts';

let drive: Drive;
beforeEach(async () => {
  drive = new Drive();
  drive.store.addSyncpoint('Projects');
  await drive.serve();
});
afterEach(() => drive.stop());

/** Signs in to the connection `test` as with a browser on another machine. */
async function login(): Promise<void> {
  const child = drive.user.start(['connections', 'login', 'test', '--no-browser']);
  let shown = '';
  const address = await new Promise<string>((resolve, reject) => {
    child.once('close', () => reject(new Error(shown)));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
      const found = /^ {2}(http\S+)$/m.exec(shown)?.[1];
      if (found !== undefined) resolve(found);
    });
  });
  const closed = once(child, 'close');
  const end = (await fetch(address, { redirect: 'manual' })).headers.get('location') ?? '';
  child.stdin?.end(`${end}\n`);
  expect(await closed).toEqual([0, null]);
}

describe.skipIf(!fuseExists)('a mount of a browser sign-in', () => {
  it('goes on with new tokens, whoever renewed them, and after signing in again', async () => {
    await login();
    await drive.mount();
    for (const name of ['one', 'two', 'three']) {
      // Both renew now, with a refresh token that is good once.
      drive.emulator.expireTokens();
      const [tested] = await Promise.all([
        drive.user.run(['connections', 'test', 'test']),
        mkdir(join(drive.mountpoint, 'Projects', name)),
      ]);
      expect(tested).toMatchObject({ code: 0 });
      await drive.succeed(['flush', drive.mountpoint, '--timeout', '20s']);
    }
    expect((await readdir(join(drive.mountpoint, 'Projects'))).sort()).toEqual(['one', 'three', 'two']);

    drive.emulator.endLogins();
    drive.emulator.expireTokens();
    await mkdir(join(drive.mountpoint, 'Projects', 'four'));
    const late = await drive.user.run(['flush', drive.mountpoint, '--timeout', '3s']);
    expect(late.code).toBe(1);
    expect(JSON.stringify(await drive.status())).toContain('syncplicityfs connections login test');
    await login();
    await drive.succeed(['flush', drive.mountpoint, '--timeout', '30s']);
    await drive.unmount();
  }, 120_000);
});
