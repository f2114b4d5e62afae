// A secret that a user gives: typed at the terminal without being shown, twice, or the first line of stdin. Never from the command line,
// where everybody on the machine may read it.
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { UsageError } from '../base/usage-error.ts';
import { readStandardInput } from './standard-input.ts';

/** A secret is typed by people. */
const SECRET_BYTES_MAX = 4096;

/** Asks at the terminal, which shows nothing of it; where stdin is none, reads it from there. `what` names it: "password for the link". */
export async function readSecret(what: string): Promise<string> {
  return process.stdin.isTTY ? askTwice(what) : readSecretLine(what);
}

/** Reads a secret from stdin: one line, whose end is no part of it. */
export async function readSecretLine(what: string): Promise<string> {
  const line = (await readStandardInput(SECRET_BYTES_MAX)).replace(/\r?\n$/, '');
  if (/[\r\n]/.test(line)) throw new UsageError(`more than one line on stdin: the ${what} is one`);
  return notEmpty(line, what);
}

/** Typed blindly, it is asked for again: a slip would lock everybody out. */
async function askTwice(what: string): Promise<string> {
  const [first, again] = await ask([`${what[0]?.toUpperCase() ?? ''}${what.slice(1)}: `, 'The same again: ']);
  if (first !== again) throw new UsageError('these two differ: nothing was done');
  return notEmpty(first ?? '', what);
}

/** Asks on stderr, so that stdout can be piped on. */
async function ask(questions: readonly string[]): Promise<string[]> {
  // Readline sets the terminal so that it echoes nothing, and echoes itself: into this.
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
  const given: string[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const next = (): void => {
        const question = questions[given.length];
        if (question === undefined) resolve();
        else process.stderr.write(question);
      };
      lines.on('line', (line) => {
        given.push(line);
        process.stderr.write('\n');
        next();
      });
      // Ctrl-C and Ctrl-D, or the terminal went away.
      lines.on('close', () => {
        process.stderr.write('\n');
        reject(new UsageError('nothing was entered: nothing was done'));
      });
      next();
    });
    return given;
  } finally {
    lines.removeAllListeners('close').close();
  }
}

function notEmpty(secret: string, what: string): string {
  if (secret === '') throw new UsageError(`the ${what} is empty: nothing was done`);
  return secret;
}
