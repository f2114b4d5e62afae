// What the machine that the tests run on has: for skipIf(). Whoever skips for want of something leaves the saying to global-setup.ts.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** Programs that tests run, besides those of every Debian, and the package of each. */
const packages = JSON.parse(readFileSync(join(import.meta.dirname, 'programs.json'), 'utf8')) as Readonly<
  Record<string, string>
>;

/** False where the kernel cannot be reached. */
export const fuseExists = existsSync('/dev/fuse');

export const isRoot = process.getuid?.() === 0;

/** False for an ordinary user, and where the root directory is no mount of its own, as in a chroot. */
export function mayUnshareMounts(): boolean {
  return isRoot && spawnSync('unshare', ['--mount', 'true']).status === 0;
}

/** False where a checkout lies in somebody's own directory: what tests run as an ordinary user cannot be read there. */
export const everybodyMayRead = ancestors(import.meta.dirname).every((path) => (statSync(path).mode & 0o005) === 0o005);

/**
 * True where one of these programs is not installed: what runs it is skipped. With SYNCPLICITYFS_TEST_PROGRAMS=required it is run
 * nevertheless, and fails.
 */
export function lacks(...programs: readonly string[]): boolean {
  const unknown = programs.find((program) => packages[program] === undefined);
  if (unknown !== undefined) throw new Error(`${unknown} has to be named in test/programs.json`);
  if (process.env['SYNCPLICITYFS_TEST_PROGRAMS'] === 'required') return false;
  return !programs.every(isInstalled);
}

/** The packages of those that are not installed. */
export function lackingPackages(): string[] {
  return Object.entries(packages)
    .filter(([program]) => !isInstalled(program))
    .map(([, name]) => name)
    .filter((name, index, all) => all.indexOf(name) === index);
}

function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => isExecutable(join(directory, program)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function ancestors(path: string): string[] {
  const above = dirname(path);
  return above === path ? [path] : [path, ...ancestors(above)];
}
