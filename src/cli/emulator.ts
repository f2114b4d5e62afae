// `syncplicityfs emulator`: a local Syncplicity over a directory until it is told to stop.
// Promises: with --json exactly one line on stdout, for the parent process that started it; no secret in argv; a clean stop
// on SIGTERM, SIGINT and, when asked for, the end of stdin.
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { userDirectories } from '../base/paths.ts';
import { UsageError } from '../base/usage-error.ts';
import { dialects } from '../emulator/dialect.ts';
import type { DialectName } from '../emulator/dialect.ts';
import { DirectoryStore } from '../emulator/directory-store.ts';
import { startEmulator } from '../emulator/emulator.ts';
import type { Emulator } from '../emulator/emulator.ts';
import { keptIdentity } from '../emulator/identity.ts';
import { LinkStore } from '../emulator/links.ts';
import { leftOutSummary } from '../emulator/left-out.ts';
import { MemoryStore } from '../emulator/memory-store.ts';
import type { ContentStore } from '../emulator/store.ts';
import type { SyntheticShape } from '../emulator/synthetic-tree.ts';
import { documentedThrottle } from '../emulator/throttle.ts';

interface EmulatorCliOptions {
  readonly data?: string;
  readonly synthetic?: SyntheticShape;
  readonly port: number;
  readonly vaultPort: number;
  readonly announceVaultUrl?: string;
  readonly state?: string;
  readonly layout: 'single' | 'children';
  readonly exclusive?: boolean;
  readonly quota?: number;
  readonly latency?: number;
  readonly bandwidth?: number;
  readonly throttle?: boolean;
  readonly storageSignIn?: boolean;
  readonly apps: number;
  readonly dialect: DialectName;
  readonly tokenLifetime?: number;
  readonly json?: boolean;
  readonly exitWithStdin?: boolean;
}

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
    .option('--exclusive', 'nobody else changes the directory: offer LastEvent, which tells clients what changed')
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
      try {
        await run(options);
      } catch (error) {
        throw new Error(describe(error), { cause: error });
      }
    });
}

async function run(options: EmulatorCliOptions): Promise<void> {
  const stop = stopRequest(options.exitWithStdin === true);
  try {
    const state = options.state ?? defaultState(options);
    const store = await openStore(options, state);
    let emulator: Emulator;
    try {
      emulator = await startEmulator({
        store,
        identity: await keptIdentity(state, process.env),
        dialect: dialects[options.dialect],
        appCount: options.apps,
        port: options.port,
        vaultPort: options.vaultPort,
        ...(options.announceVaultUrl !== undefined && { announcedVaultUrl: options.announceVaultUrl }),
        ...(options.quota !== undefined && { quotaBytes: options.quota }),
        ...(options.latency !== undefined && { latencyMs: options.latency }),
        ...(options.bandwidth !== undefined && { bandwidthMbit: options.bandwidth }),
        ...(options.tokenLifetime !== undefined && { tokenLifetimeSeconds: options.tokenLifetime }),
        ...(options.throttle === true && { throttle: documentedThrottle }),
        ...(options.data !== undefined && { links: await LinkStore.open(join(state, 'links.json')) }),
        storageSignIn: options.storageSignIn ?? false,
      });
    } catch (error) {
      await store.close();
      throw error;
    }
    await announce(emulator, state, options.json === true);
    await stop.requested;
    const summary = leftOutSummary(store.leftOut());
    await emulator.stop();
    if (summary !== undefined) process.stderr.write(`${summary}\n`);
  } finally {
    stop.dispose();
  }
}

function openStore(options: EmulatorCliOptions, state: string): Promise<ContentStore> {
  if (options.data !== undefined) {
    return DirectoryStore.open({
      directory: options.data,
      stateDirectory: state,
      layout: options.layout,
      exclusive: options.exclusive === true,
    });
  }
  const store = new MemoryStore();
  const { id } = store.addSyncpoint('synthetic');
  if (options.synthetic !== undefined) store.addSyntheticTree(id, options.synthetic);
  return Promise.resolve(store);
}

/** Under the user's state directory, by what is served, so that the same directory finds its ids again. */
function defaultState(options: EmulatorCliOptions): string {
  const served = options.data === undefined ? 'synthetic' : `${realpathSync(options.data)} ${options.layout}`;
  const hash = createHash('sha256').update(served).digest('hex').slice(0, 24);
  return join(userDirectories().state, 'emulator', hash);
}

async function announce(emulator: Emulator, state: string, json: boolean): Promise<void> {
  const { gatewayUrl, vaultUrl, credentials, apps, adminKey, store } = emulator;
  // The top level is looked at once, so that what is left out there is known from the start.
  for (const { id, rootFolderId } of await store.syncpoints()) await store.list(id, rootFolderId, { deleted: false });
  const leftOut = store.leftOut();
  if (json) {
    const { symbolicLinks, specialFiles, namesNotUtf8, unreadable } = leftOut;
    const counts = { symbolicLinks, specialFiles, namesNotUtf8, unreadable };
    process.stdout.write(
      `${JSON.stringify({ gatewayUrl, vaultUrl, credentials, apps, adminKey, state, leftOut: counts })}\n`,
    );
    return;
  }
  const summary = leftOutSummary(leftOut);
  process.stdout.write(
    [
      `gateway            ${gatewayUrl}`,
      `vault              ${vaultUrl}`,
      `app key            ${credentials.appKey}`,
      `app secret         ${credentials.appSecret}`,
      ...apps
        .slice(1)
        .flatMap(({ appKey, appSecret }) => [`app key            ${appKey}`, `app secret         ${appSecret}`]),
      `application token  ${credentials.appToken}`,
      `user               ${credentials.email} (${credentials.userId})`,
      `admin key          ${adminKey}`,
      `state              ${state}`,
      ...(summary === undefined ? [] : [`top level          ${summary}`]),
      'Stop with Ctrl-C.',
      '',
    ].join('\n'),
  );
}

/** Resolves on the first reason to stop; installed before anything is started, so that none is missed. */
function stopRequest(withStdin: boolean): { readonly requested: Promise<void>; dispose(): void } {
  let request = (): void => undefined;
  const requested = new Promise<void>((resolve) => {
    request = resolve;
  });
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, request);
  if (withStdin) {
    process.stdin.once('end', request).once('close', request).once('error', request);
    process.stdin.resume();
  }
  return {
    requested,
    dispose: () => {
      for (const signal of signals) process.off(signal, request);
      if (withStdin) process.stdin.destroy();
    },
  };
}

function describe(error: unknown): string {
  const { code, message, port } = error as NodeJS.ErrnoException & { readonly port?: number };
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port ?? ''} is taken; choose another with --port or --vault-port`;
    case 'EACCES':
      return port === undefined ? message : `port ${port} needs privileges; choose one above 1023`;
    case 'ENOENT':
      return `no such directory: ${(error as NodeJS.ErrnoException).path ?? ''}`;
    default:
      return message;
  }
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^[0-9]+$/.test(text) || port > 65_535) throw new InvalidArgumentError('a port is a number from 0 to 65535');
  return port;
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
