// A browser for tests: a program in the place of xdg-open, which gets the address and does what a script says.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { User } from './program.ts';

/** The environment with an xdg-open that runs a script; what it gives to `save` can be read from the file `page` in the user's home. */
export function browser(user: User, script: string): NodeJS.ProcessEnv {
  const bin = user.directory('bin');
  const page = join(user.home, 'page');
  const program = `#!${process.execPath}\nconst save = (text) => require('node:fs').writeFileSync(${JSON.stringify(page)}, text);\n${script}\n`;
  writeFileSync(join(bin, 'xdg-open'), program);
  chmodSync(join(bin, 'xdg-open'), 0o755);
  return { DISPLAY: ':0', PATH: `${bin}:${process.env['PATH'] ?? ''}` };
}
