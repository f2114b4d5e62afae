// A browser for tests: what `connections login` and `storage-login` open.
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { User } from './program.ts';

const pageOf = (user: User): string => join(user.home, 'page');

/** The environment with an xdg-open that runs a script; what it gives to `save` is what {@link shownPage} resolves with. */
export function browser(user: User, script: string): NodeJS.ProcessEnv {
  const bin = user.directory('bin');
  const page = JSON.stringify(pageOf(user));
  const program = [
    `#!${process.execPath}`,
    "const { renameSync, writeFileSync } = require('node:fs');",
    `const save = (text) => { writeFileSync(${page} + '.new', text); renameSync(${page} + '.new', ${page}); };`,
    script,
    '',
  ].join('\n');
  writeFileSync(join(bin, 'xdg-open'), program);
  chmodSync(join(bin, 'xdg-open'), 0o755);
  return { DISPLAY: ':0', PATH: `${bin}:${process.env['PATH'] ?? ''}` };
}

/** What the browser shows in the end, which may be after the program has: nobody waits for a browser. */
export async function shownPage(user: User): Promise<string> {
  const watcher = watch(user.home);
  try {
    while (!existsSync(pageOf(user))) await once(watcher, 'change');
    return readFileSync(pageOf(user), 'utf8');
  } finally {
    watcher.close();
  }
}
