// A local Syncplicity over a directory until it is told to stop.
// Promises: with --json exactly one line on stdout, for the parent process that started it; no secret in argv; a clean stop
// on SIGTERM, SIGINT and, when asked for, the end of stdin.
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { userDirectories } from '../base/paths.ts';
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

/** What the command line says. */
export interface EmulatorCliOptions {
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

/** Serves until something asks it to stop. Rejects with one clear line. */
export async function runEmulator(options: EmulatorCliOptions): Promise<void> {
  try {
    await serve(options);
  } catch (error) {
    throw new Error(describe(error), { cause: error });
  }
}

async function serve(options: EmulatorCliOptions): Promise<void> {
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
