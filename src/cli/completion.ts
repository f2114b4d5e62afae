// `syncplicityfs completion SHELL`, and the hidden command that the shells' scripts ask. Promises: asks no service, and answers nothing
// rather than an error: nobody wants one on the line that is being typed.
import { Argument, Command } from 'commander';
import { createLog } from '../base/log.ts';
import { mountOptionSpecs } from '../config.ts';
import { environmentConnectionName } from '../connections/environment.ts';
import { platforms } from '../connections/platforms.ts';
import { openConnectionStore } from '../connections/store.ts';
import { listMounts } from '../control/mounts.ts';
import { completionScript, type Shell, shells, wordsCommandName } from './completion-scripts.ts';
import { type Candidate, complete, type Completion, type ValueKind } from './completion-words.ts';
import type { CliContext } from './context.ts';
import { printable } from './printable.ts';

const log = createLog('completion');

export function completionCommand(context: CliContext): Command {
  return new Command('completion')
    .description('print the script that completes commands, options and names in a shell')
    .addArgument(new Argument('<SHELL>', 'which shell').choices(shells))
    .action((shell: Shell) => context.print(completionScript(shell)))
    .addHelpText(
      'after',
      `
  bash: syncplicityfs completion bash > ~/.local/share/bash-completion/completions/syncplicityfs
  zsh:  syncplicityfs completion zsh > DIR/_syncplicityfs, DIR being one of $fpath
  fish: syncplicityfs completion fish > ~/.config/fish/completions/syncplicityfs.fish`,
    );
}

/** Prints what completes the last of its arguments. `program` is the whole, known once it is made. */
export function completeWordsCommand(context: CliContext, program: () => Command): Command {
  return new Command(wordsCommandName)
    .argument('[WORDS...]')
    .allowUnknownOption()
    .action(async (words: string[]) => {
      const { candidates, paths, isOpen } = await answer(context, program(), words);
      for (const { word, description } of candidates) {
        // One that breaks the line could not be typed anyway.
        if (word === printable(word)) context.print(`${word}\t${description.replaceAll(/\s+/g, ' ')}`);
      }
      context.print(`:${isOpen ? 'open' : paths}`);
    });
}

async function answer(context: CliContext, program: Command, words: readonly string[]): Promise<Completion> {
  try {
    return await complete(program, words, (kind) => namesOf(context, kind));
  } catch (error) {
    log('nothing to complete: %s', (error as Error).message);
    return { candidates: [], paths: 'none', isOpen: false };
  }
}

async function namesOf(context: CliContext, kind: ValueKind): Promise<Candidate[]> {
  switch (kind) {
    case 'connections':
    case 'pools':
    case 'where': {
      const store = openConnectionStore(context.directories.config, (message) => log('%s', message));
      const environment = kind === 'pools' ? undefined : await store.find(environmentConnectionName);
      const all = [...(await store.list()), ...(environment === undefined ? [] : [environment])];
      return all
        .filter(({ group }) => group || kind !== 'pools')
        .map(({ name, platform, group }) => ({ word: name, description: group ? 'pool' : platform }));
    }
    case 'platforms':
      return platforms.map(({ id, name }) => ({ word: id, description: name }));
    case 'mountpoints': {
      const mounts = await listMounts(context.directories.runtime);
      return mounts.map(({ mountpoint }) => ({ word: mountpoint, description: 'mounted' }));
    }
    case 'mount-options':
      return mountOptionSpecs.map(({ name, parse, help }) => ({
        word: parse === undefined ? name : `${name}=`,
        description: help,
      }));
    case 'files':
    case 'directories':
      return [];
  }
}
