// What `npm pack` puts together, unpacked elsewhere: whoever installs it has the programs, and all that they read.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const { version, bin } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
  version: string;
  bin: Record<string, string>;
};

let directory: string;
let installed: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'syncplicityfs-package-'));
  // The global set-up has built it.
  const args = ['pack', '--ignore-scripts', '--silent', '--pack-destination', directory];
  const { stdout } = await run('npm', args, { cwd: root });
  await run('tar', ['-xzf', join(directory, stdout.trim()), '-C', directory]);
  installed = join(directory, 'package');
  await symlink(join(root, 'node_modules'), join(installed, 'node_modules'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it('has the program, with its version and its manual page', async () => {
  const program = join(installed, bin['syncplicityfs'] ?? '');
  expect((await run(program, ['--version'])).stdout).toBe(`${version}\n`);
  const { stdout } = await run(program, ['man-page']);
  expect(stdout).toBe(await readFile(join(installed, 'man/syncplicityfs.1'), 'utf8'));
});

it('has npm put programs and manual page where shells and man(1) look for them', async () => {
  const prefix = join(directory, 'prefix');
  const args = ['install', '--global', '--prefix', prefix, '--offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  await run('npm', [...args, installed], { cwd: directory });
  expect((await readdir(join(prefix, 'bin'))).sort()).toEqual(['mount.syncplicityfs', 'syncplicityfs']);
  const page = await readFile(join(prefix, 'share/man/man1/syncplicityfs.1'), 'utf8');
  expect(page).toBe(await readFile(join(installed, 'man/syncplicityfs.1'), 'utf8'));
});

it('has the program that mount(8) looks for', async () => {
  const helper = join(installed, bin['mount.syncplicityfs'] ?? '');
  const mounting = run(helper, ['no-such-connection', directory], {
    env: { PATH: process.env['PATH'], HOME: directory },
  });
  await expect(mounting).rejects.toMatchObject({ stderr: expect.stringContaining('no-such-connection') as string });
});
