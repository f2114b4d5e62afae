// `syncplicityfs emulator`: a local Syncplicity over a directory until it is told to stop. Here is its command line; it runs in emulator-run.ts.
import { Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../base/usage-error.ts';
import { dialects } from '../emulator/dialect.ts';
import type { SyntheticShape } from '../emulator/synthetic-tree.ts';
import type { EmulatorCliOptions } from './emulator-run.ts';
import { parsePort } from './port-option.ts';

/** The subcommand, to be added to the program; rejects with one clear line, or with UsageError. */
export function emulatorCommand(): Command {
  return new Command('emulator')
    .description('run a local Syncplicity over a directory: for trying, demonstrating and testing without an account')
    .option('--data <dir>', 'the directory to serve')
    .option('--synthetic <shape>', 'serve made-up content in memory instead: FOLDERSxFILESxBYTES', parseShape)
    .option('--port <n>', 'port of the gateway (0: a free one)', parsePort, 0)
    .option('--vault-port <n>', 'port of the vault (0: a free one)', parsePort, 0)
    .option('--announce-vault-url <url>', 'tell clients this address of the vault: that of a proxy before it', parseUrl)
    .option('--state <dir>', 'where ids and credentials are kept')
    .addOption(
      new Option('--layout <layout>', 'one syncpoint for the directory, or one for each directory in it')
        .choices(['single', 'children'])
        .default('single'),
    )
    .option('--exclusive', 'nobody else changes the directory: tell LastEvent without looking at it again')
    .option('--quota <bytes>', 'refuse uploads past so many bytes in all', parsePositive)
    .option('--latency <ms>', 'delay every reply', parsePositive)
    .option('--bandwidth <mbit>', 'limit downloads, and uploads, to so many Mbit/s', parsePositive)
    .option('--apps <n>', 'give so many app keys to one account, each with limits of its own', parsePositive, 1)
    .option('--storage-sign-in', 'give the vault a sign-in of its own, as StorageVaults may have')
    .option('--throttle', 'refuse calls past 15 a second and 10,800 an hour, as Syncplicity does')
    .addOption(
      new Option('--dialect <name>', 'which reading of the documents to speak')
        .choices(Object.keys(dialects))
        .default('observed'),
    )
    .option('--token-lifetime <s>', 'how long tokens are good', parsePositive)
    .option('--json', 'print one line of JSON when ready')
    .option('--exit-with-stdin', 'stop when standard input ends')
    .action(async (options: EmulatorCliOptions) => {
      if ((options.data === undefined) === (options.synthetic === undefined)) {
        throw new UsageError('give either --data or --synthetic');
      }
      // Loaded here: no other command serves anything.
      const { runEmulator } = await import('./emulator-run.ts');
      await runEmulator(options);
    });
}

function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new InvalidArgumentError('an http: or https: URL is needed');
  }
  // Clients add their own paths.
  return text.replace(/\/+$/, '');
}

function parsePositive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('a positive number is needed');
  return value;
}

function parseShape(text: string): SyntheticShape {
  const [, folders, files, bytes] = /^([0-9]{1,6})x([0-9]{1,7})x([0-9]{1,15})$/.exec(text) ?? [];
  if (files === undefined) throw new InvalidArgumentError('give FOLDERSxFILESxBYTES, such as 100x1000x4096');
  return { folders: Number(folders), filesPerFolder: Number(files), bytesPerFile: Number(bytes) };
}
