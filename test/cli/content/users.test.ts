// `users show` by a user and by an administrator.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../../src/emulator/dialect.ts';
import { Drive } from '../../mount/drive.ts';
import type { Outcome } from '../program.ts';

const abroad = {
  id: 'bbe998e2-e759-495b-897e-6afaa76bb8c0',
  emailAddress: 'an@abroad.eu',
  firstName: 'An',
  lastName: 'B',
};
const colleague = {
  id: 'e3938cb5-e985-4fb1-be37-b4f2c8891477',
  emailAddress: 'al+1@emulator.invalid',
  firstName: 'Al',
  lastName: 'X',
};
const nobody = '44444444-4444-4444-8444-444444444444';
let drive: Drive;

beforeEach(() => {
  drive = new Drive();
});
afterEach(async () => {
  await drive.stop();
});

async function serve(isAdministrator: boolean, dialect: DialectName = 'observed'): Promise<void> {
  const people = { colleagues: [colleague], abroad: [{ ...abroad, rolId: 2 }] };
  await drive.serve({ dialect: dialects[dialect], emulator: { people, company: { isAdministrator } } });
}

const show = (...args: string[]): Promise<Outcome> => drive.user.run(['users', 'show', ...args]);

describe('users show', () => {
  it.each<DialectName>(['observed', 'guide', 'all-strings'])(
    'finds users of %s by GUIDs, of each region',
    async (dialect) => {
      await serve(false, dialect);
      const { stdout, stderr, code } = await show('--account', 'test', colleague.id, abroad.id.toUpperCase());
      expect([stderr, code]).toEqual(['', 0]);
      expect(stdout.split('\n')).toEqual([
        'Id                                   Address               Name Region',
        `${colleague.id} al+1@emulator.invalid Al X 1`,
        `${abroad.id} an@abroad.eu          An B 2`,
        '',
      ]);
    },
  );

  it('tells in JSON of each whether it was found', async () => {
    await serve(false);
    const { stdout, stderr, code } = await show('--json', nobody, abroad.id);
    expect(JSON.parse(stdout)).toEqual([
      {
        asked: nobody,
        id: null,
        email: null,
        name: null,
        region: null,
        error: expect.stringContaining('tells nobody of it') as string,
      },
      { asked: abroad.id, id: abroad.id, email: abroad.emailAddress, name: 'An B', region: 2, error: null },
    ]);
    expect([stderr.startsWith(`syncplicityfs: ${nobody}: `), code]).toEqual([true, 1]);
  });

  it('finds addresses for administrators alone', async () => {
    await serve(true);
    const { stdout } = await drive.succeed(['users', 'show', colleague.emailAddress, '--json']);
    expect(JSON.parse(stdout)).toMatchObject([{ asked: colleague.emailAddress, id: colleague.id, name: 'Al X' }]);
    const unknown = await show(abroad.emailAddress);
    expect([unknown.code, unknown.stdout]).toEqual([1, '']);
    expect(unknown.stderr).toContain('user.svc GET: the user an@abroad.eu: Not A Business Admin (HTTP 403)');
  });

  it('refuses what is neither', async () => {
    await serve(false);
    const { code, stderr } = await show('al');
    expect([code, stderr]).toEqual([2, 'syncplicityfs: "al" is neither a GUID nor an e-mail address\n']);
    expect((await show(colleague.emailAddress)).stderr).toContain('Not A Business Admin');
  });
});
