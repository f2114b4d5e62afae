// Runs one command line and turns whatever comes of it into an exit code: 0 done, 1 failed, 2 wrong usage. An error is one line
// on stderr, and what to do about it below; a stack only with DEBUG.
import { isatty } from 'node:tty';
import { type Command, CommanderError } from 'commander';
import { errorMessage } from '../base/error-words.ts';
import { nearNames } from '../base/near-names.ts';
import { ownVersion } from '../base/own-version.ts';
import { userDirectories } from '../base/paths.ts';
import { UsageError } from '../base/usage-error.ts';
import { takeEnvironmentConnection } from '../connections/environment.ts';
import { type CliContext, mayColour } from './context.ts';
import { UnknownConnectionError } from './find-connection.ts';
import { withOwnHome } from './own-home.ts';
import { createProgram } from './program.ts';
import { Prompt } from './prompt.ts';

export { daemonCommandName } from './daemon-process.ts';

/** Runs the command line (without interpreter and script), once it is known, and resolves with the exit code. Never rejects. */
export async function main(commandLine: () => readonly string[] | Promise<readonly string[]>): Promise<0 | 1 | 2> {
  takeEnvironmentConnection(process.env);
  let args: readonly string[];
  try {
    args = await commandLine();
  } catch (error) {
    return failed(error);
  }
  let code: 0 | 1 | 2 = 0;
  const context: CliContext = {
    directories: userDirectories(withOwnHome(process.env)),
    environment: process.env,
    print: (line) => void process.stdout.write(`${line}\n`),
    warn: (message) => void process.stderr.write(`syncplicityfs: ${message}\n`),
    warnPlain: (line) => void process.stderr.write(`${line}\n`),
    terminal: process.stderr.isTTY && process.env['TERM'] !== 'dumb' ? process.stderr : undefined,
    // Asked without touching standard input, which is somebody else's unless it is a terminal.
    prompt: isatty(0) && isatty(2) ? new Prompt({ input: process.stdin, output: process.stderr }) : undefined,
    setExitCode: (value) => {
      code = value;
    },
  };
  let program: Command | undefined;
  try {
    program = createProgram(context, await ownVersion());
    preparing(program);
    requireHelp(program, args);
    await program.parseAsync(withMountCommand(program, args), { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return codeOf(error, program, args);
    return failed(program === undefined ? error : commandMeant(program, args, error));
  }
}

function failed(error: unknown): 1 | 2 {
  reportError(error);
  return error instanceof UsageError ? 2 : 1;
}

/** Writes an error to stderr: one line, its hint below, its stack with DEBUG. */
export function reportError(error: unknown): void {
  const red = mayColour(process.stderr, process.env);
  const [first, ...more] = errorMessage(error).split('\n');
  const head = `syncplicityfs: ${first as string}`;
  const lines = [red ? `\u001b[31m${head}\u001b[0m` : head, ...more];
  if (error instanceof UsageError && error.hint !== undefined) lines.push(error.hint);
  if ((process.env['DEBUG'] ?? '') !== '' && error instanceof Error && error.stack !== undefined)
    lines.push(error.stack);
  process.stderr.write(`${lines.join('\n')}\n`);
}

/** Every command throws instead of ending the process, and wrong usage reads as our own errors do. */
function preparing(command: Command): void {
  command.exitOverride();
  command.configureOutput({
    // What is behind the = of an option that takes nothing may be a secret.
    outputError: (text, write) =>
      write(text.replace(/^error: /, 'syncplicityfs: ').replace(/^(.*unknown option '--[^'=]*=)[^]*'/, "$1...'")),
  });
  command.commands.forEach(preparing);
}

/** Commander has written its message already, but not where help is. `commander.error` is a command's own failure. */
function codeOf(error: CommanderError, program: Command | undefined, args: readonly string[]): 0 | 1 | 2 {
  if (error.exitCode === 0) return 0;
  if (error.code === 'commander.error') return error.exitCode === 2 ? 2 : 1;
  if (error.code === 'commander.help') return 2;
  process.stderr.write(
    `${['syncplicityfs', ...commandWords(program, args), '--help'].join(' ')} shows what is possible\n`,
  );
  return 2;
}

/** The words that name a command and its subcommand. */
function commandWords(program: Command | undefined, args: readonly string[]): string[] {
  const [first, ...rest] = args;
  const command = program?.commands.find((candidate) => candidate.name() === first);
  return command === undefined ? [] : [command.name(), ...commandWords(command, rest)];
}

/**
 * mount(8) calls a file system's program as `syncplicityfs SOURCE DIRECTORY -o OPTIONS` (through mount.fuse, for fstab's type
 * fuse.syncplicityfs): a first word that is no command and a directory behind it mean `mount`.
 */
function withMountCommand(program: Command, args: readonly string[]): string[] {
  return isMountCall(program, args) ? ['mount', ...args] : [...args];
}

function isMountCall(program: Command, [first, second]: readonly string[]): boolean {
  const isCommand = program.commands.some((command) => command.name() === first) || first === 'help';
  return first !== undefined && !isCommand && !first.startsWith('-') && second?.startsWith('/') === true;
}

/** `help` with a word that is no command shows all help there is, and not what was wrong. */
function requireHelp(program: Command, [first, word]: readonly string[]): void {
  if (first !== 'help' || word === undefined || word.startsWith('-')) return;
  if (program.commands.some((command) => command.name() === word) || word === 'help') return;
  const near = nearCommands(program, word);
  throw new UsageError(
    `there is no command "${word}"`,
    near.length === 0 ? 'syncplicityfs --help lists them' : `did you mean ${near.join(' or ')}?`,
  );
}

/** What {@link withMountCommand} took for a connection may have been a command, typed wrong. */
function commandMeant(program: Command, args: readonly string[], error: unknown): unknown {
  if (!(error instanceof UnknownConnectionError) || !isMountCall(program, args)) return error;
  const near = nearCommands(program, error.connectionName);
  if (near.length === 0) return error;
  return new UsageError(
    `there is no command and no connection "${error.connectionName}"`,
    `did you mean ${near.join(' or ')}?`,
  );
}

function nearCommands(program: Command, word: string): string[] {
  const shown = program.createHelp().visibleCommands(program);
  return nearNames(
    word,
    shown.map((command) => command.name()),
  );
}
