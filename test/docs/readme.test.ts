// README.md and the documents beside it, tried: the examples run, and each command, option, script, file and link they name exists.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { afterAll, describe, expect, it } from 'vitest';
import type { CliContext } from '../../src/cli/context.ts';
import { createProgram } from '../../src/cli/program.ts';
import { fuseExists } from '../mount/drive.ts';
import { examplesOf } from './examples.ts';
import { Shell } from './shell.ts';

const root = new URL('../../', import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, root), 'utf8');
const readme = read('README.md');
const decisions = readdirSync(new URL('doc/decisions/', root)).map((name) => `doc/decisions/${name}`);
const documents = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'doc/SEMANTICS.md',
  'doc/API.md',
  'doc/METRICS.md',
  ...decisions,
];

const shell = new Shell();
afterAll(() => shell.remove());

describe.skipIf(!fuseExists)('the examples of README.md', () => {
  for (const { line, command, output } of examplesOf(readme)) {
    it(`line ${line}: ${command}`, async () => expect(await shell.run(command)).toBe(output));
  }
});

/** Command lines as written: indented, in a fenced block, or in backquotes. */
function commandLines(text: string): string[] {
  const found = [...text.matchAll(/(?:syncplicityfs|bin\/syncplicityfs\.js) ([a-z][^\n`|]*)/g)].map(
    ([, rest = '']) => rest,
  );
  return found.filter((rest) => !/^(mounts|is |as |unmount`)/.test(rest));
}

/** The command that a line begins with. */
function commandOf(words: readonly string[]): Command | undefined {
  let command: Command | undefined = createProgram({} as CliContext, '0');
  for (const word of words) {
    if (command.commands.length === 0) break;
    command = command.commands.find((one) => one.name() === word);
    if (command === undefined) break;
  }
  return command;
}

it('README.md names only commands and options that exist', () => {
  const lines = commandLines(readme);
  expect(lines.length).toBeGreaterThan(12);
  for (const line of new Set(lines)) {
    const words = line.split(' ');
    const known = commandOf(words)?.options.map(({ long }) => long);
    expect(known, line).toBeDefined();
    for (const option of words.filter((word) => /^--[a-z]/.test(word)))
      expect([...(known ?? []), '--help'], line).toContain(option);
  }
});

it('the scripts that README.md and CONTRIBUTING.md run are in package.json', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = [...(readme + read('CONTRIBUTING.md')).matchAll(/npm run ([a-z]+)/g)].map(([, name = '']) => name);
  expect(named).toContain('demo');
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
});

it.each(documents)('the links of %s lead somewhere', (name) => {
  const links = [...read(name).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
  const base = new URL(name, root);
  expect(links.filter((link) => !existsSync(new URL(link, base)))).toEqual([]);
});

it('ARCHITECTURE.md is short, and the files and rooms it names are there', () => {
  const text = read('ARCHITECTURE.md');
  expect(text.split('\n').length).toBeLessThanOrEqual(151);
  const files = [...text.matchAll(/`([a-z-]+(?:\/[a-z-]+)+)(\.ts)?`/g)].map(([, path = '', ending]) => ({
    path,
    ending,
  }));
  const rooms = readdirSync(new URL('src/', root));
  const own = files.filter(({ path }) => rooms.includes(path.split('/')[0] ?? ''));
  expect(own.length).toBeGreaterThan(25);
  const missing = own.filter(({ path, ending }) => {
    const there = (suffix: string): boolean => existsSync(new URL(`src/${path}${suffix}`, root));
    return ending === undefined ? !there('') && !there('.ts') : !there(ending);
  });
  expect(missing).toEqual([]);
});
