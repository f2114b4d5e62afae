// From what a user writes, a path in a mounted drive or CONNECTION:/Syncpoint/path, to a signed-in service and what the path is there. What
// is opened on the way, an emulator of a directory included, is stopped again. Secrets pass through and are never shown.
import { lstat } from 'node:fs/promises';
import { posix } from 'node:path';
import { Stops } from '../base/stops.ts';
import { UsageError } from '../base/usage-error.ts';
import { defaults } from '../config.ts';
import { type Connection, openConnectionStore } from '../connections/store.ts';
import type { ControlClient } from '../control/client.ts';
import { askMount, type MountedService } from '../control/methods.ts';
import { listMounts } from '../control/mounts.ts';
import type { Access } from '../mount/access.ts';
import type { RemoteTarget } from '../mount/remote-path.ts';
import type { CallOptions } from '../remote-drive.ts';
import type { ContentApi } from '../syncplicity/content-api.ts';
import type { CliContext } from './context.ts';
import { findNamed, noConnection, onlyConnection } from './find-connection.ts';
import { printable } from './printable.ts';
import { placeBelow } from './place-below.ts';
import { findServing, requireServing } from './serving-mount.ts';

/** How the service is called. */
export interface CallingOptions {
  readonly call: CallOptions & { readonly signal: AbortSignal };
  /** Where not mounted: PEM file with further certificate authorities. */
  readonly caFile: string | undefined;
}

/**
 * Has the mount that the paths led through look again at its syncpoints, at the folders that the paths are (at the one of a name `below`), or at
 * those they are in; nothing where they led through none.
 */
export type LookAgain = (at?: 'syncpoints' | 'paths' | 'parents', below?: string) => Promise<void>;

type TargetWork = (api: ContentApi, targets: readonly RemoteTarget[], lookAgain: LookAgain) => Promise<void>;

/** Runs `work` with the service that all of `texts` lead to, and what each is there. Rejects where they are of several accounts. */
export async function withTargets(
  context: CliContext,
  texts: readonly string[],
  options: CallingOptions,
  work: TargetWork,
): Promise<void> {
  const named = await Promise.all(texts.map((text) => namedAccount(context, text)));
  const [first] = named;
  const isOne = named.every((one) => one?.connection.id === first?.connection.id);
  if (!isOne) throw new UsageError('the paths are of several accounts: run this once for each');
  if (first === undefined) {
    await withMountOf(context, texts, (client, paths) => withLocated(context, client, paths, options, work));
    return;
  }
  await withConnection(context, first.connection, options, async (api) => {
    const { findRemote, remembering } = await import('../mount/remote-path.ts');
    const drive = remembering(api.drive);
    const targets: RemoteTarget[] = [];
    for (const one of named) targets.push(await findRemote(drive, one?.path ?? '', options.call));
    await work(api, targets, () => Promise.resolve());
  });
}

/** Runs `work` with the service of a mount, and what its daemon says that paths are there. */
async function withLocated(
  context: CliContext,
  client: ControlClient,
  paths: readonly string[],
  options: CallingOptions,
  work: TargetWork,
): Promise<void> {
  const { signal } = options.call;
  // The drive may have to list folders on the way.
  const limits = { timeoutMs: LOCATE_TIMEOUT_MS, signal };
  const { root } = await askMount(client, 'status', { itemsMax: 0 }, { signal });
  const targets: RemoteTarget[] = [];
  for (const path of paths) {
    // What a daemon of this program tells are ids as the service gave them.
    targets.push((await askMount(client, 'locate', { path: posix.join(root, path) }, limits)) as RemoteTarget);
  }
  const service = await askMount(client, 'service', {}, { signal });
  const lookAgain: LookAgain = async (at = 'syncpoints', below = '') => {
    const inDrive = paths.map((path) => posix.join(root, path, below));
    const places = { syncpoints: ['/'], paths: inDrive, parents: inDrive.map((path) => posix.dirname(path)) }[at];
    await askMount(client, 'refresh', { paths: [...new Set(places)], recursive: false }, limits);
  };
  await withMounted(context, service, options, (api) => work(api, targets, lookAgain));
}

/**
 * Runs `work` with the service of an account: a connection, one that a path leads to, or the only one where nothing is said.
 */
export async function withAccount(
  context: CliContext,
  text: string | undefined,
  options: CallingOptions,
  work: (api: ContentApi) => Promise<void>,
): Promise<void> {
  if (text === undefined) {
    const store = openConnectionStore(context.directories.config, (message) => context.warn(message));
    await withConnection(context, await onlyConnection(store), options, work);
    return;
  }
  const named = await namedAccount(context, text, 'alone');
  if (named !== undefined) {
    await withConnection(context, named.connection, options, work);
    return;
  }
  await withMountOf(context, [text], async (client) => {
    await withMounted(context, await askMount(client, 'service', {}), options, work);
  });
}

/** A limit beyond that of the call, which ends first. */
const LOCATE_TIMEOUT_MS = 600_000;

/** The connection that a text names. What is a path of this machine is none, nor, unless it may stand `alone`, is a name without ":". */
async function namedAccount(
  context: CliContext,
  text: string,
  form: 'alone' | 'with-path' = 'with-path',
): Promise<{ readonly connection: Connection; readonly path: string } | undefined> {
  if (text === '') throw new UsageError('the path is empty');
  if (/^[./]/.test(text) || (form === 'with-path' && !text.includes(':'))) return undefined;
  const store = openConnectionStore(context.directories.config, (message) => context.warn(message));
  const named = await findNamed(store, text.replace(/:$/, ''));
  if (named === undefined) {
    if (text.includes(':/') && !(await exists(text)))
      throw await noConnection(store, text.slice(0, text.indexOf(':/')));
    return undefined;
  }
  // A name alone is meant as one, whatever lies beside.
  return text.includes(':') && (await exists(text)) ? undefined : named;
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    // Missing, or no name a file can have.
    return false;
  }
}

/** Runs `work` with the daemon of the mount that all paths lead into, and the rest of each. */
async function withMountOf(
  context: CliContext,
  texts: readonly string[],
  work: (client: ControlClient, paths: readonly string[]) => Promise<void>,
): Promise<void> {
  const mountpoints = new Set((await listMounts(context.directories.runtime)).map(({ mountpoint }) => mountpoint));
  const paths: string[] = [];
  let serving: string | undefined;
  for (const text of texts) {
    const place = await placeBelow(text, mountpoints);
    if (place === undefined) {
      throw new Error(
        `${printable(text)} is not in a drive of syncplicityfs of yours\nmount it, or write CONNECTION:/Syncpoint/path`,
      );
    }
    serving ??= place.mountpoint;
    if (place.mountpoint !== serving) throw new UsageError('the paths are in several drives: run this once for each');
    paths.push(place.path);
  }
  if (serving === undefined) throw new UsageError('a path is missing');
  const { client } = await requireServing(context, serving);
  try {
    await work(client, paths);
  } finally {
    client.close();
  }
}

/** Runs `work` with the service that a mount uses: the emulator it has, else with the connection's own credentials. */
async function withMounted(
  context: CliContext,
  service: MountedService,
  options: CallingOptions,
  work: (api: ContentApi) => Promise<void>,
): Promise<void> {
  const { connectionId, caFile, emulator } = service;
  if (emulator !== undefined) {
    const { emulatorAccess } = await import('../mount/access.ts');
    const key = connectionId ?? 'demo';
    await withAccess(emulatorAccess(key, key, emulator, context.directories.state), options, work);
    return;
  }
  if (connectionId === undefined) throw new Error('the mount does not tell its connection: mount it again');
  await withStored(context, connectionId, { ...options, caFile: options.caFile ?? caFile }, service, work);
}

/** Runs `work` with a stored connection or pool; a directory that is mounted is reached through its mount. */
async function withConnection(
  context: CliContext,
  { id, name, platform, disabled }: Connection,
  options: CallingOptions,
  work: (api: ContentApi) => Promise<void>,
): Promise<void> {
  if (disabled) throw new UsageError(`the connection "${name}" is disabled`);
  const mounted = platform === 'fs' ? await serviceOfMounted(context, id) : undefined;
  if (mounted !== undefined) await withMounted(context, mounted, options, work);
  else await withStored(context, id, options, { ...defaults, asUser: undefined }, work);
}

/** What serves a connection now; undefined where it is not mounted. */
async function serviceOfMounted(context: CliContext, connectionId: string): Promise<MountedService | undefined> {
  for (const { mountpoint, responding } of await listMounts(context.directories.runtime)) {
    const serving = responding ? await findServing(context, mountpoint) : undefined;
    if (serving === undefined) continue;
    try {
      const service = await askMount(serving.client, 'service', {});
      if (service.connectionId === connectionId) return service;
    } finally {
      serving.client.close();
    }
  }
  return undefined;
}

async function withStored(
  context: CliContext,
  connectionId: string,
  options: CallingOptions,
  { callsPerSecond, callsPerHour, asUser }: Pick<MountedService, 'callsPerSecond' | 'callsPerHour' | 'asUser'>,
  work: (api: ContentApi) => Promise<void>,
): Promise<void> {
  const { openAccess } = await import('../mount/access.ts');
  const stops = new Stops();
  try {
    const access = await openAccess(
      {
        source: { kind: 'connection', connectionId, path: '/' },
        instance: undefined,
        mountpoint: undefined,
        stateDirectory: context.directories.state,
        configDirectory: context.directories.config,
        caFile: options.caFile,
        callsPerSecond,
        callsPerHour,
        asUser,
      },
      stops,
      (line) => context.warn(line),
    );
    await withAccess(access, options, work);
  } finally {
    const [failure] = await stops.run();
    if (failure !== undefined) throw failure;
  }
}

async function withAccess(
  { members, budget, ca }: Access,
  { call }: CallingOptions,
  work: (api: ContentApi) => Promise<void>,
): Promise<void> {
  // Loaded on demand: most commands never talk to the service.
  const { openContentApi } = await import('../syncplicity/content-api.ts');
  const api = await openContentApi({ members, budget, ca }, call);
  try {
    await work(api);
  } finally {
    await api.stop();
  }
}
