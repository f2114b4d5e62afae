// The option of commands that can answer in JSON, in both its spellings: ours and SkySync's.
import { Option, type Command } from 'commander';

export interface JsonOptions {
  readonly json?: true;
  readonly outputJson?: true;
}

/** Adds `--json`, and SkySync's `--output-json`, to a command. */
export function withJson(command: Command): Command {
  return command.option('--json', 'print JSON').addOption(new Option('--output-json').hideHelp());
}

export function wantsJson(options: JsonOptions): boolean {
  return options.json === true || options.outputJson === true;
}
