// Questions before what cannot be taken back. Asked on a terminal alone: where nobody can answer, commands want --yes.
import { createInterface } from 'node:readline/promises';

/** Asks a question that takes yes or no; no answer is no. */
export async function isAgreed(question: string): Promise<boolean> {
  return /^y(es)?$/i.test(await answerTo(`${question} [y/N] `));
}

/** Asks for a name to be typed, so that it is not confirmed by habit. */
export async function isTyped(question: string, name: string): Promise<boolean> {
  return (await answerTo(`${question}\ntype its name to go on: `)) === name;
}

async function answerTo(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(question)).trim();
  } finally {
    terminal.close();
  }
}
