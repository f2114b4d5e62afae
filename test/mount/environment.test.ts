// The connection of the environment, as a container has it: nothing is stored, and no secret goes further than the daemon.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { environmentVariables } from '../../src/connections/environment.ts';
import { Drive, fuseExists } from './drive.ts';

let drive: Drive;
let env: Record<string, string>;
beforeEach(async () => {
  drive = new Drive();
  const { id, rootFolderId } = drive.store.addSyncpoint('Projects');
  drive.store.addFolder(id, rootFolderId, 'plans');
  await drive.serve();
  const { appKey, appSecret, appToken } = drive.emulator.credentials;
  env = {
    SYNCPLICITYFS_CLIENT_ID: appKey,
    SYNCPLICITYFS_CLIENT_SECRET: appSecret,
    SYNCPLICITYFS_APP_TOKEN: appToken,
    SYNCPLICITYFS_API_URL: drive.emulator.gatewayUrl,
  };
});
afterEach(() => drive.stop());

/** The environments of a process and all below it. */
function environmentsBelow(pid: number): string[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    const file = `/proc/${pid}/task/${task}/children`;
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ').filter(Boolean).map(Number) : [];
  });
  return [readFileSync(`/proc/${pid}/environ`, 'utf8'), ...children.flatMap(environmentsBelow)];
}

describe.skipIf(!fuseExists)('a mount of the environment', () => {
  it.each([[['env']], [[]], [['env:/Projects']]])('%j needs no stored connection', async (source) => {
    const { code, stderr } = await drive.user.run(['mount', ...source, drive.mountpoint], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await readdir(drive.mountpoint)).toEqual([source[0] === 'env:/Projects' ? 'plans' : 'Projects']);
    const status = await drive.succeed(['status', drive.mountpoint, '--json']);
    expect(JSON.parse(status.stdout)).toMatchObject([{ connection: 'env' }]);
    for (const secret of Object.values(env).slice(0, 3)) expect(status.stdout).not.toContain(secret);
    await drive.unmount();
  });

  it('takes values from files', async () => {
    const file = join(drive.user.home, 'secret');
    writeFileSync(file, `${env['SYNCPLICITYFS_CLIENT_SECRET'] ?? ''}\n`);
    const { SYNCPLICITYFS_CLIENT_SECRET: secret, ...rest } = env;
    const outcome = await drive.user.run(['doctor', 'env', '--json'], {
      env: { ...rest, SYNCPLICITYFS_CLIENT_SECRET_FILE: file },
    });
    expect(outcome.stdout).toContain('signed in as');
    expect(outcome.stdout + outcome.stderr).not.toContain(secret);
    const both = await drive.user.run(['mount', drive.mountpoint], {
      env: { ...env, SYNCPLICITYFS_CLIENT_SECRET_FILE: file },
    });
    expect(both.code).toBe(2);
    expect(both.stderr).toContain(
      'SYNCPLICITYFS_CLIENT_SECRET and SYNCPLICITYFS_CLIENT_SECRET_FILE exclude each other',
    );
  });

  it('remembers nothing for the credentials of somebody else', async () => {
    await drive.user.run(['mount', 'env', drive.mountpoint], { env });
    await drive.unmount();
    await drive.interruptService(async () => {
      const other = { ...env, SYNCPLICITYFS_APP_TOKEN: 'emulated-token-of-another' };
      const refused = await drive.user.run(['mount', 'env', drive.mountpoint], { env: other });
      expect(refused.code).toBe(1);
      const offline = await drive.user.run(['mount', 'env', drive.mountpoint], { env });
      expect([offline.code, offline.stderr]).toEqual([0, expect.any(String)]);
      await drive.succeed(['unmount', drive.mountpoint, '--no-wait']);
    });
  });

  it('of another connection leaves the variables behind, in every process', async () => {
    const secret = env['SYNCPLICITYFS_CLIENT_SECRET'] ?? '';
    await drive.user.addDirectory('local', '/usr/share/doc');
    await drive.user.run(['mount', 'local', drive.mountpoint], { env });
    const environments = environmentsBelow(await drive.pid());
    // The daemon, and the emulator it serves the directory with.
    expect(environments.length).toBeGreaterThan(1);
    for (const one of environments) {
      expect(one).not.toContain(secret);
      for (const name of environmentVariables) expect(one).not.toContain(`${name}=`);
    }
    await drive.unmount();
  });
});

describe('the connection of the environment', () => {
  it('says which variable is missing', async () => {
    const { code, stderr } = await drive.user.run(['mount', 'env', drive.mountpoint], {
      env: { SYNCPLICITYFS_CLIENT_ID: 'x' },
    });
    expect(code).toBe(2);
    expect(stderr).toContain('the connection "env" of the environment: SYNCPLICITYFS_CLIENT_SECRET is missing');
  });

  it("is not there without variables, and its name is nobody else's", async () => {
    const none = await drive.user.run(['mount', 'env', drive.mountpoint]);
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no connection "env"') as unknown });
    const added = await drive.user.run(['connections', 'add', '-p', 'fs', '--name', 'env', '--in'], {
      input: '{"uri":"/usr"}',
    });
    expect(added).toMatchObject({ code: 2, stderr: expect.stringContaining('of the environment') as unknown });
  });
});
