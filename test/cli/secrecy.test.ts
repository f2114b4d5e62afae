// That the watch over secrets sees what it is to see: printed, logged, kept, in one piece and in two.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { randomIdentity } from '../../src/emulator/identity.ts';
import { leaksVariable, secretIn, watchForSecrets } from '../secrecy.ts';
import { User } from './program.ts';

const { appSecret, appToken, machineToken, appKey } = randomIdentity();

let user: User;
let leaks: string;
const kept = process.env[leaksVariable];
beforeEach(() => {
  user = new User();
  leaks = join(user.home, 'leaks');
  writeFileSync(leaks, '');
  // What is found here is meant to be found.
  process.env[leaksVariable] = leaks;
});
afterEach(() => {
  process.env[leaksVariable] = kept;
});

describe('the watch over secrets', () => {
  it('knows the secrets of the emulator, and what is none', () => {
    for (const secret of [appSecret, appToken, machineToken]) expect(secretIn(`x ${secret} y`)).toBeDefined();
    expect(secretIn(appKey)).toBeUndefined();
    expect(secretIn('the app_token of emulated accounts')).toBeUndefined();
    user.remove();
  });

  it('sees what a command prints', async () => {
    // The program repeats the name that it was given.
    await expect(user.run(['mount', appSecret, user.home])).rejects.toThrow('shows a secret');
    user.remove();
  });

  it('sees what a user leaves in a log, and not the store itself', () => {
    const logs = user.directory('.local', 'state', 'syncplicityfs', 'logs');
    writeFileSync(join(user.directory('.config', 'syncplicityfs'), 'connections.json'), appSecret);
    writeFileSync(join(logs, 'drive.log'), `started with ${appToken}`);
    expect(() => user.remove()).toThrow(/drive\.log shows a secret: emulated-token-/);
  });

  it('notes for the end of the run what a long command prints, in pieces too, and takes nothing from who reads it', async () => {
    const stream = new PassThrough();
    watchForSecrets('a daemon', stream);
    stream.write(`begins ${appSecret.slice(0, 12)}`);
    stream.end(`${appSecret.slice(12)} ends`);
    let read = '';
    stream.on('data', (chunk: Buffer) => (read += chunk.toString()));
    await once(stream, 'end');
    expect(read).toBe(`begins ${appSecret} ends`);
    expect(readFileSync(leaks, 'utf8')).toMatch(/^a daemon shows a secret: emulated-secret-/);
    user.remove();
  });
});
