// Secrets in what the program prints, logs and keeps: all that the tests' own accounts have begins with a mark, so that one that got out
// is recognised wherever it turns up. What is found where no test could fail for it ends the whole run (global-setup.ts).
import { appendFileSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

/** What the emulator makes, and what tests give for secrets that are typed or wrong. */
const MARK =
  /emulated-(secret|token|machine|bearer|refresh|code|storage|accesskey)-[\w-]{8}|(hidden|typed)-(secret|token)/;
/** The file that collects what was found; named in the environment, which the workers inherit. */
export const leaksVariable = 'SYNCPLICITYFS_TEST_LEAKS';
/** Where credentials belong: the store, the emulator's own, and what is not ours to keep secret: content. */
const KEEPERS = /^(connections\.json|identity\.json|staging|blocks|demo)$/;
/** Logs, records and databases of tests are far smaller. */
const FILE_BYTES_MAX = 64 * 2 ** 20;

/** The beginning of a secret in a text; undefined: there is none. */
export function secretIn(text: string): string | undefined {
  return MARK.exec(text)?.[0];
}

/** Throws where a text holds a secret. `where` names it. */
export function requireNoSecret(where: string, text: string): void {
  const secret = secretIn(text);
  if (secret !== undefined) throw new Error(`${where} shows a secret: ${secret}...`);
}

/** Notes what was found for the end of the run. */
export function noteLeak(where: string, text: string): void {
  const secret = secretIn(text);
  const file = process.env[leaksVariable];
  if (secret !== undefined && file !== undefined) appendFileSync(file, `${where} shows a secret: ${secret}...\n`);
}

/** Reads along whatever is read of a stream. */
export function watchForSecrets(where: string, stream: Readable | null): void {
  let before = '';
  // A listener of ours before there is another would take what that one is to see.
  stream?.once('resume', () =>
    stream.on('data', (chunk: Buffer | string) => {
      const text = before + (typeof chunk === 'string' ? chunk : chunk.toString('latin1'));
      noteLeak(where, text);
      // A secret that comes in two pieces.
      before = text.slice(-40);
    }),
  );
}

/** Throws where a file below a directory holds a secret, those for secrets aside. */
export function requireNoSecretBelow(directory: string): void {
  for (const entry of readdirIfAny(directory)) {
    const path = join(directory, entry.name);
    if (KEEPERS.test(entry.name)) continue;
    if (entry.isDirectory()) requireNoSecretBelow(path);
    else if (entry.isFile() && statSync(path).size <= FILE_BYTES_MAX)
      requireNoSecret(path, readFileSync(path, 'latin1'));
  }
}

function readdirIfAny(directory: string): ReturnType<typeof entriesOf> {
  try {
    return entriesOf(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

const entriesOf = (directory: string) => readdirSync(directory, { withFileTypes: true });
