// `npm run demo` after its build: the drive appears with its content and takes a file, a second run is friendly and keeps what the user
// wrote, wrong calls are told what is right.
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findMount } from '../../src/base/mount-table.ts';
import { User, type Outcome } from '../cli/program.ts';
import { fuseExists } from '../mount/drive.ts';
import { watchForSecrets } from '../secrecy.ts';

const script = fileURLToPath(new URL('../../scripts/demo.mjs', import.meta.url));
const content = fileURLToPath(new URL('../../demo', import.meta.url));
/** What a clone and a package may cost for it. */
const CONTENT_LIMIT_BYTES = 400 * 1024;

let user: User;
let point: string;
beforeEach(() => {
  user = new User();
  point = join(user.home, 'new', 'demo drive');
});
afterEach(async () => {
  if ((await findMount(point)) !== undefined) await user.run(['unmount', '--lazy', point]);
  user.remove();
});

function demo(...args: string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [script, ...args], { env: { ...user.environment, INIT_CWD: user.home } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  for (const name of ['stdout', 'stderr'] as const) watchForSecrets(`${name} of the demo`, child[name]);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Relative paths of all files below a directory. */
function filesIn(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length));
}

describe.skipIf(!fuseExists)('the demo', () => {
  it('mounts on a directory it makes, shows what is there, writes, and is friendly the second time', async () => {
    const first = await demo('new/demo drive');
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toContain(`The demo drive is mounted on ${point}:`);
    expect(first.stdout).toMatch(/Pictures\/\n.*Lake at dusk\.jpg/);
    for (const name of filesIn(content)) {
      expect(readFileSync(point + name).equals(readFileSync(content + name)), name).toBe(true);
    }
    expect(readdirSync(join(point, 'Project'))).toEqual(expect.arrayContaining(['README.md', 'doc', 'src']));

    const note = join(point, 'Documents', 'Shopping list.txt');
    expect(first.stdout).toContain('Shopping list.txt was written just now, and the service has stored it.');
    expect(existsSync(join(user.home, '.local/state/syncplicityfs/demo/data/Documents/Shopping list.txt'))).toBe(true);
    appendFileSync(note, 'Bread\n');

    const second = await demo(point);
    expect(second).toMatchObject({ code: 0, stderr: '' });
    expect(second.stdout).toContain(`The demo drive is mounted on ${point} already:`);
    expect(second.stdout).not.toContain('just now');
    expect(second.stdout.split('\nIt is a drive')[1]).toBe(first.stdout.split('\nIt is a drive')[1]);
    expect(readFileSync(note, 'utf8')).toBe('Milk\nPears\nBread\n');

    const unmount = /unmount '([^']+)'\n/.exec(first.stdout)?.[1] ?? '';
    expect(await user.run(['unmount', unmount])).toMatchObject({ code: 0, stderr: '' });
    expect(readdirSync(point)).toEqual([]);
  });
});

it('the demo asks for a directory', async () => {
  const { code, stderr } = await demo();
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: 'Say where to mount the demo drive: npm run demo -- ~/syncplicity-demo\n',
  });
});

it("the demo's content is small, and has names beyond ASCII", () => {
  const names = filesIn(content);
  const bytes = names.reduce((sum, name) => sum + statSync(content + name).size, 0);
  expect(bytes).toBeLessThan(CONTENT_LIMIT_BYTES);
  expect(names.filter((name) => /[^\x00-\x7f]/.test(name)).length).toBeGreaterThan(2);
});
