// `endpoints` and `rols` as a user has them.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drive } from '../../mount/drive.ts';

let drive: Drive;
beforeEach(() => {
  drive = new Drive();
  drive.store.addSyncpoint('Projects');
});
afterEach(async () => {
  await drive.stop();
});

async function json(...args: string[]): Promise<unknown> {
  return JSON.parse((await drive.succeed([...args, '--json'])).stdout) as unknown;
}

describe('endpoints', () => {
  it('are listed and shown, as text', async () => {
    await drive.serve();
    const [header, row = '', ...more] = (await drive.succeed(['endpoints', 'list'])).stdout.trimEnd().split('\n');
    expect(header).toMatch(/^ID +Name +Default Used +Size +SignIn$/);
    expect(row).toMatch(/^[0-9a-f-]{36} Emulated vault yes /);
    expect(more).toEqual([]);
    const shown = (await drive.succeed(['endpoints', 'show', 'emulated VAULT'])).stdout;
    expect(shown).toContain(`Address  ${drive.emulator.vaultUrl}\n`);
    expect(shown).toMatch(/^Default +true$/m);
    expect((await drive.succeed(['endpoints', 'show'])).stdout).toBe(shown);
  });

  it('are printed as JSON with keys that stay, and never with an access key', async () => {
    await drive.serve();
    const [first] = (await json('endpoints', 'list')) as [Record<string, unknown>];
    expect(Object.keys(first)).toEqual([
      'id',
      'name',
      'description',
      'company',
      'companyId',
      'urls',
      'default',
      'active',
      'sizeBytes',
      'usedBytes',
      'ownAuthentication',
      'hasPassword',
      'protocolVersion',
    ]);
    expect(first).toMatchObject({ default: true, ownAuthentication: false, urls: [drive.emulator.vaultUrl] });
    expect(await json('endpoints', 'show', String(first['id']), '--account', 'test')).toEqual(first);
  });

  it.each([
    [['show', 'nowhere'], 1, 'there is no storage endpoint nowhere\nsyncplicityfs endpoints list shows them'],
    [['show', 'x', '--user', 'y'], 2, '--user asks for the default endpoint of a user'],
    [['list', '--user', '7dae61c7-bf7a-499b-8ede-6481aba49ac9'], 1, 'User Not Authorized For Action (HTTP 403)'],
    [['list', '--account', 'other'], 1, 'other'],
  ])('%j fails with a reason', async (args, code, words) => {
    await drive.serve();
    const outcome = await drive.user.run(['endpoints', ...args]);
    expect(outcome).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(words) as unknown });
  });
});

describe('rols', () => {
  it('needs no connection', async () => {
    await drive.serve();
    await drive.succeed(['connections', 'delete', 'test']);
    const { gatewayUrl, credentials } = drive.emulator;
    const args = ['rols', credentials.email.toUpperCase(), '--gol-url', gatewayUrl];
    expect(await json(...args)).toEqual([
      { id: '1', name: 'Emulator', gateway: gatewayUrl, web: gatewayUrl, home: true, data: true },
    ]);
    expect((await drive.succeed(args)).stdout).toMatch(
      /^ID Name +Gateway +Web +Home Data\n1 +Emulator http:.* yes +yes\n$/,
    );
  });

  it.each([
    [['nobody@example.com'], 1, 'no region knows nobody@example.com'],
    [['nobody'], 2, '"nobody" is no e-mail address'],
  ])('%j fails with a reason', async (args, code, words) => {
    await drive.serve();
    const outcome = await drive.user.run(['rols', ...args, '--gol-url', drive.emulator.gatewayUrl]);
    expect(outcome).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(words) as unknown });
  });
});
