// What every command gets from outside: where to write, where this user's files are, and how to say that it failed.
import type { UserDirectories } from '../base/paths.ts';
import type { Prompt } from './prompt.ts';

/** A terminal to draw progress on. */
export interface Terminal {
  readonly columns: number;
  write(text: string): unknown;
}

export interface CliContext {
  readonly directories: UserDirectories;
  readonly environment: NodeJS.ProcessEnv;
  /** Writes a line to stdout. */
  print(line: string): void;
  /** Writes a line to stderr, after the program's name. */
  warn(message: string): void;
  /** Writes a line to stderr as it is, where others' scripts expect just that line. */
  warnPlain(line: string): void;
  /** Where progress may be drawn: stderr, if it is a terminal that can. */
  readonly terminal: Terminal | undefined;
  /** Where the user can be asked; undefined where nobody sits at a terminal. */
  readonly prompt?: Prompt | undefined;
  /** Makes the program end with this code although nothing was thrown. */
  setExitCode(code: 0 | 1 | 2): void;
}

/** True when text for this stream may be coloured: a terminal, and NO_COLOR (no-color.org) not set. */
export function mayColour(stream: { readonly isTTY?: boolean }, environment: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb';
}

/** Prints a value as indented JSON. */
export function printJson(context: CliContext, value: unknown): void {
  context.print(JSON.stringify(value, null, 2));
}
