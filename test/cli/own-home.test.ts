// HOME as mount.fuse leaves it.
import { statSync } from 'node:fs';
import tmp from 'tmp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withOwnHome } from '../../src/cli/own-home.ts';

const user = () => ({ uid: 4711, homedir: '/home/alice' });
let directory: tmp.DirResult;
beforeEach(() => (directory = tmp.dirSync({ unsafeCleanup: true })));
afterEach(() => directory.removeCallback());

describe('the home', () => {
  it.each([undefined, '', '/nowhere/yet'])('%j stays', (HOME) => {
    const environment = { PATH: '/bin', ...(HOME === undefined ? {} : { HOME }) };
    expect(withOwnHome(environment, user)).toBe(environment);
  });

  it('that can be written stays, whoever owns it', () => {
    const environment = { HOME: directory.name };
    expect(withOwnHome(environment, user)).toBe(environment);
  });

  const refuse = () => false;

  it('of somebody else that cannot be written becomes the own one', () => {
    const environment = { HOME: directory.name, PATH: '/bin' };
    expect(withOwnHome(environment, user, refuse)).toEqual({ HOME: '/home/alice', PATH: '/bin' });
  });

  it('of this user stays, even where it cannot be written', () => {
    const environment = { HOME: directory.name };
    const owner = () => ({ ...user(), uid: statSync(directory.name).uid });
    expect(withOwnHome(environment, owner, refuse)).toBe(environment);
  });
});
