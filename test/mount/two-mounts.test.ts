// Two mounts of one account, written to at the same time: both come to show what the service has, and nothing that was written is lost.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeSnapshot } from '../../src/emulator/store-snapshot.ts';
import { Drive, fuseExists, run } from './drive.ts';

const ROUNDS = 3;
const FILES = 12;

let drive: Drive;
let second: string;

beforeEach(() => {
  drive = new Drive();
  second = drive.user.directory('second');
});
afterEach(async () => {
  await drive.user.run(['unmount', second]);
  await drive.stop();
});

/** Every file below a directory with the hash of its content, sorted: "a/b HASH". */
async function shown(directory: string): Promise<string[]> {
  const { stdout, stderr } = await run('bash', ['-c', `cd '${directory}' && find . -type f -exec sha256sum {} +`]);
  expect(stderr).toBe('');
  const lines = stdout.trimEnd().split('\n');
  return lines.map((line) => line.replace(/^(\w+) {2}\.\/(.*)$/, '$2 $1')).sort();
}

/** The same, as the emulator's own store has it. */
async function stored(): Promise<string[]> {
  const { syncpoints } = await takeSnapshot(drive.store);
  const files = syncpoints.flatMap(({ entries }) => entries).filter((entry) => entry.kind === 'file');
  return files.map(({ path, sha256 }) => `${path} ${sha256}`).sort();
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

describe.skipIf(!fuseExists)('two mounts of one account', () => {
  it('converge to what the service has, whoever wrote what when', async () => {
    const { id, rootFolderId } = drive.store.addSyncpoint('P');
    for (let folder = 0; folder < 4; folder += 1) drive.store.addFolder(id, rootFolderId, `d${folder}`);
    await drive.serve();
    const options = ['--poll-interval', '1s', '--calls-per-second', '0'];
    await drive.mount({ mount: options });
    await drive.succeed(['mount', 'test', second, '--instance', 'other', ...options]);
    const mounts = [drive.mountpoint, second].map((mountpoint) => join(mountpoint, 'P'));
    const written = new Set<string>();
    for (let round = 0; round < ROUNDS; round += 1) {
      await Promise.all(
        mounts.map(async (mount, who) => {
          const work: string[] = [`cd '${mount}'`];
          for (let file = 0; file < FILES; file += 1) {
            const text = `${who}-${round}-${file}`;
            // Names of one's own, and names that both write.
            work.push(`echo ${text} > d${file % 4}/own${who}-${file}`);
            if (file % 3 === 0) work.push(`echo ${text} > d${file % 4}/both${file}`);
            if (file % 4 === 1) work.push(`mkdir -p d${file % 4}/sub${who} && echo ${text} > d${file % 4}/sub${who}/f`);
            if (file % 5 === 2) work.push(`mv d${file % 4}/own${who}-${file} d${(file + 1) % 4}/moved${who}-${file}`);
            if (file % 6 === 5) work.push(`rm -f d${file % 4}/own${who}-${file}`);
            work.push(`sleep 0.${file % 3}`);
          }
          const { stderr, code } = await run('bash', ['-c', work.join('\n')]);
          expect([stderr, code]).toEqual(['', 0]);
        }),
      );
    }
    for (const who of [0, 1])
      for (let file = 0; file < FILES; file += 1) {
        if (file % 6 !== 5) written.add(`${who}-${ROUNDS - 1}-${file}`);
      }
    for (const mountpoint of [drive.mountpoint, second]) await drive.succeed(['flush', mountpoint, '--timeout', '60s']);
    // What each one wrote last under names of its own is there, once.
    const own = (await stored()).filter((line) => /\/(own|moved)\d/.test(line)).map((line) => line.split(' ')[1]);
    expect(own.toSorted()).toEqual([...written].map((text) => hashOf(`${text}\n`)).sort());
    for (const mount of mounts)
      await expect.poll(() => shown(mount), { timeout: 30_000, interval: 500 }).toEqual(await stored());
    // A name that both wrote has what one of them wrote last; what the other one wrote is beside it or in its versions.
    for (let file = 0; file < FILES; file += 3) {
      const text = await readFile(join(second, 'P', `d${file % 4}`, `both${file}`), 'utf8');
      expect([`0-${ROUNDS - 1}-${file}\n`, `1-${ROUNDS - 1}-${file}\n`]).toContain(text);
    }
  }, 180_000);
});
