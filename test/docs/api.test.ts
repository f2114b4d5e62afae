// doc/API.md, held against the program: every call that the program makes has its row, and every file and command that a row names exists.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import type { CliContext } from '../../src/cli/context.ts';

const root = new URL('../../', import.meta.url);
const page = readFileSync(new URL('doc/API.md', root), 'utf8');

/** The calls named in the client's sources: "folder.svc GET". */
function callsMade(): ReadonlySet<string> {
  const directory = new URL('src/syncplicity/', root);
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const texts = files.map((name) => readFileSync(new URL(name, directory), 'utf8'));
  const named = /['"`]([A-Za-z_]+(?:\.(?:svc|php))? (?:GET|POST|PUT|DELETE))['"`]/g;
  return new Set(texts.flatMap((text) => [...text.matchAll(named)].map(([, name = '']) => name)));
}

it('has a row for every call that is made', () => {
  const made = [...callsMade()];
  expect(made).toContain('versions.svc GET');
  expect(made.length).toBeGreaterThan(15);
  const rows = page.split('\n').filter((line) => line.startsWith('|'));
  expect(made.filter((name) => !rows.some((row) => row.includes(`\`${name}\``)))).toEqual([]);
});

it('names files that exist', () => {
  const named = [...page.matchAll(/`(src\/[^`]+)`/g)].map(([, path = '']) => path);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
});

it('names commands that exist', () => {
  // The program is only looked at: nothing of its context is used.
  const program = createProgram({} as CliContext, '0');
  const named = [...page.matchAll(/`syncplicityfs ([a-z][^`]*)`/g)].map(([, words = '']) => words);
  expect(named).toContain('versions list');
  for (const words of named) {
    let command = program;
    for (const word of words.split(' ').filter((one) => /^[a-z]+$/.test(one))) {
      const found = command.commands.find((candidate) => candidate.name() === word);
      expect(found, `${words}: ${word}`).toBeDefined();
      command = found ?? command;
    }
  }
});
