// A secret that a user gives: typed at the terminal without being shown, twice, or the first line of stdin. Never from the command line,
// where everybody on the machine may read it.
import { UsageError } from '../base/usage-error.ts';
import type { Prompt } from './prompt.ts';
import { readStandardInput } from './standard-input.ts';

/** A secret is typed by people. */
const SECRET_BYTES_MAX = 4096;

/** Asks at the terminal, or where there is none, reads it from stdin. `what` names it: "password for the link". */
export async function readSecret(prompt: Prompt | undefined, what: string): Promise<string> {
  return prompt === undefined ? readSecretLine(what) : askTwice(prompt, what);
}

/** Reads a secret from stdin: one line, whose end is no part of it. */
export async function readSecretLine(what: string): Promise<string> {
  const line = (await readStandardInput(SECRET_BYTES_MAX)).replace(/\r?\n$/, '');
  if (/[\r\n]/.test(line)) throw new UsageError(`more than one line on stdin: the ${what} is one`);
  return notEmpty(line, what);
}

/** Typed blindly, it is asked for again: a slip would lock everybody out. */
async function askTwice(prompt: Prompt, what: string): Promise<string> {
  const [first, again] = await prompt.conversation(async () => [
    await prompt.ask(`${what[0]?.toUpperCase() ?? ''}${what.slice(1)}: `, { hidden: true }),
    await prompt.ask('The same again: ', { hidden: true }),
  ]);
  if (first !== again) throw new UsageError('these two differ: nothing was done');
  return notEmpty(first, what);
}

function notEmpty(secret: string, what: string): string {
  if (secret === '') throw new UsageError(`the ${what} is empty: nothing was done`);
  return secret;
}
