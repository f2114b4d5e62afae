// What can stand at the end of a command line: a walk through the commander program that the help is made of, so that the two cannot
// disagree. Must not know shells, nor where the names of things come from.
import { Argument, type Command, type Option } from 'commander';

/** A word that would do. */
export interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** What completes the last word of a line. */
export interface Completion {
  readonly candidates: readonly Candidate[];
  /** What the shell adds from the disk. */
  readonly paths: 'none' | 'files' | 'directories';
  /** The word goes on: no blank behind it. */
  readonly isOpen: boolean;
}

/** Kinds of things that values are, by what the help calls them. */
export type ValueKind =
  'connections' | 'pools' | 'platforms' | 'mountpoints' | 'mount-options' | 'files' | 'directories' | 'where';

/** Answers the names of things of this kind. */
export type NamesOf = (kind: ValueKind) => Promise<readonly Candidate[]>;

const KINDS: Readonly<Record<string, ValueKind>> = {
  CONNECTION: 'connections',
  ID: 'connections',
  PLATFORM: 'platforms',
  MOUNTPOINT: 'mountpoints',
  OPTIONS: 'mount-options',
  FILE: 'files',
  PATH: 'files',
  'PATH DEST': 'files',
  DEST: 'files',
  DIR: 'directories',
  dir: 'directories',
  where: 'where',
};
/** Where a name of the help means something else than usual. */
const OTHER_KINDS: Readonly<Record<string, ValueKind>> = {
  'connections platforms ID': 'platforms',
  '--pool ID': 'pools',
};

/** Completes the last of `words`, which are those behind the program's name. */
export async function complete(program: Command, words: readonly string[], namesOf: NamesOf): Promise<Completion> {
  const current = words.at(-1) ?? '';
  const { command, option, operands, used, onlyOperands } = walk(program, words.slice(0, -1));
  if (option !== undefined) return values(option, command, current, '', namesOf);
  const attached = /^(--[\w-]+=)(.*)$/s.exec(current);
  if (!onlyOperands && attached !== null) {
    const [, name = '', value = ''] = attached;
    const named = findOption(command, name.slice(0, -1));
    return named === undefined ? nothing : values(named, command, value, name, namesOf);
  }
  if (!onlyOperands && current.startsWith('-')) return matching(optionsOf(command, used), current);
  // Commander's own `help` is no command of the program's list.
  const isHelp = operands === 1 && words.at(-2) === 'help' && command.commands.length > 0;
  const subcommands = operands > 0 && !isHelp ? [] : subcommandsOf(command);
  const argument = command.registeredArguments.at(Math.min(operands, command.registeredArguments.length - 1));
  if (argument === undefined || (operands >= command.registeredArguments.length && !argument.variadic)) {
    return matching(subcommands, current);
  }
  const isFurther = operands > 0;
  const named = await values(argument, command, current, '', (kind) =>
    kind === 'where' && isFurther ? Promise.resolve([]) : namesOf(kind),
  );
  return { ...named, candidates: [...matching(subcommands, current).candidates, ...named.candidates] };
}

const nothing: Completion = { candidates: [], paths: 'none', isOpen: false };

interface Position {
  readonly command: Command;
  /** The option whose value comes next. */
  readonly option: Option | undefined;
  readonly operands: number;
  readonly used: ReadonlySet<Option>;
  readonly onlyOperands: boolean;
}

function walk(program: Command, words: readonly string[]): Position {
  let command = program;
  let option: Option | undefined;
  let operands = 0;
  let onlyOperands = false;
  const used = new Set<Option>();
  for (const word of words) {
    if (option !== undefined) option = undefined;
    else if (onlyOperands || !word.startsWith('-') || word === '-') {
      const child = operands > 0 ? undefined : command.commands.find((one) => one.name() === word);
      if (child === undefined) operands += 1;
      else command = child;
    } else if (word === '--') onlyOperands = true;
    else {
      const found = findOption(command, word.replace(/=.*$/s, ''));
      if (found !== undefined) used.add(found);
      if (found !== undefined && takesValue(found) && !word.includes('=')) option = found;
    }
  }
  return { command, option, operands, used, onlyOperands };
}

function findOption(command: Command, flag: string): Option | undefined {
  return command.options.find(({ long, short }) => long === flag || short === flag);
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

function subcommandsOf(command: Command): Candidate[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.map((one) => ({ word: one.name(), description: one.description() }));
}

/** Options that may still be given; -o may be given again. */
function optionsOf(command: Command, used: ReadonlySet<Option>): Candidate[] {
  const help = command.createHelp();
  return help.visibleOptions(command).flatMap((option) => {
    if (used.has(option) && !/\bOPTIONS\b/.test(option.flags)) return [];
    const word = option.long ?? option.short;
    return word === undefined ? [] : [{ word, description: option.description }];
  });
}

/** Values of an option or argument. `prefix` stands before each: what was typed of the word already. */
async function values(
  of: Option | Argument,
  command: Command,
  current: string,
  prefix: string,
  namesOf: NamesOf,
): Promise<Completion> {
  const { argChoices } = of;
  if (argChoices !== undefined) {
    return matching(
      argChoices.map((word) => ({ word: prefix + word, description: '' })),
      prefix + current,
    );
  }
  const kind = kindOf(of, command);
  if (kind === undefined) return nothing;
  const names = await namesOf(kind);
  const paths = kind === 'files' ? 'files' : /^(directories|mountpoints|where)$/.test(kind) ? 'directories' : 'none';
  if (kind !== 'mount-options') {
    const found = names.map((one) => ({ ...one, word: prefix + one.word }));
    return { ...matching(found, prefix + current), paths };
  }
  // "ro,cache_size=1G,me": the last of them is completed.
  const earlier = current.slice(0, current.lastIndexOf(',') + 1);
  const found = names.map((one) => ({ ...one, word: prefix + earlier + one.word }));
  return { ...matching(found, prefix + current), isOpen: true };
}

function kindOf(of: Option | Argument, command: Command): ValueKind | undefined {
  const isArgument = of instanceof Argument;
  const name = isArgument ? of.name() : (/[<[]([^>\]]+?)(\.\.\.)?[>\]]/.exec(of.flags)?.[1] ?? '');
  const owner = isArgument ? `${command.parent?.name() ?? ''} ${command.name()}` : (of.long ?? '');
  return OTHER_KINDS[`${owner} ${name}`] ?? KINDS[name];
}

function matching(candidates: readonly Candidate[], current: string): Completion {
  return { ...nothing, candidates: candidates.filter(({ word }) => word.startsWith(current)) };
}
