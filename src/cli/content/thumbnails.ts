// `syncplicityfs thumbnails DIR`: fills the user's cache of thumbnails with the pictures that Syncplicity has of files, so that file managers
// show them without reading the files. What is in the cache and right is not asked for.
import { readdir, stat } from 'node:fs/promises';
import { join, posix, resolve } from 'node:path';
import { Command } from 'commander';
import PQueue from 'p-queue';
import type { ControlClient } from '../../control/client.ts';
import { askMount, type Location } from '../../control/methods.ts';
import type { CallOptions, RemoteThumbnail, ThumbnailFolder, VaultId } from '../../remote-drive.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { ContentApi } from '../../syncplicity/content-api.ts';
import { ImageError } from '../../thumbnails/image-error.ts';
import { decodeImage } from '../../thumbnails/image.ts';
import type { ThumbnailFacts } from '../../thumbnails/thumbnail.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { forMountsOf } from '../mount-paths.ts';
import { countOf, printable } from '../printable.ts';
import { type ContentOptions, onAccount, withContentOptions } from './content-command.ts';
import { factsOf, ThumbnailCache } from './thumbnail-cache.ts';

/** Enough to keep a line busy with small pictures, and few enough to leave the gateway to others. */
const AT_A_TIME = 4;
/** The drive may have to list folders first. */
const LOCATE_TIMEOUT_MS = 600_000;

interface ThumbnailOptions extends ContentOptions {
  readonly recursive?: true;
}

/** A path, and why it has no thumbnail now. */
interface Without {
  readonly path: string;
  readonly reason: string;
}

/** What came of it. */
interface Filled {
  folders: number;
  written: number;
  present: number;
  /** Syncplicity has no picture of them. */
  without: number;
  readonly skipped: Without[];
  readonly failed: Without[];
}

/** A directory of this machine, and what it is in the drive. */
interface Place {
  readonly path: string;
  readonly drivePath: string;
}

/** `syncplicityfs thumbnails DIR`. */
export function thumbnailsCommand(context: CliContext): Command {
  return withContentOptions(
    new Command('thumbnails').description(
      "fill your cache of thumbnails with Syncplicity's pictures of files, for file managers to show",
    ),
  )
    .argument('<DIR>', 'a folder in a mounted drive')
    .option('-r, --recursive', 'the folders below it too')
    .action((directory: string, options: ThumbnailOptions) => fill(context, directory, options));
}

async function fill(context: CliContext, directory: string, options: ThumbnailOptions): Promise<void> {
  const path = resolve(directory);
  const filled: Filled = { folders: 0, written: 0, present: 0, without: 0, skipped: [], failed: [] };
  const ending = new AbortController();
  const onInterrupt = (): void => ending.abort(new Error('interrupted: run it again for what is missing'));
  process.once('SIGINT', onInterrupt);
  try {
    await forMountsOf(context, [path], async ({ mount: { client }, batches }) => {
      const drivePath = batches[0]?.[0] ?? '/';
      if (!(await stat(path)).isDirectory()) throw new Error(`${printable(path)} is a file: name its folder`);
      await onAccount(context, path, options, async ({ api, call, moved }) => {
        const signal = call.signal === undefined ? ending.signal : AbortSignal.any([call.signal, ending.signal]);
        const cache = new ThumbnailCache(context.directories.thumbnails);
        const work = new Filling({ api, client, cache, call: { ...call, signal }, moved, filled });
        await work.folder({ path, drivePath }, options.recursive === true);
      });
    });
  } finally {
    process.off('SIGINT', onInterrupt);
    tell(context, filled, options);
  }
}

interface Parts {
  readonly api: ContentApi;
  readonly client: ControlClient;
  readonly cache: ThumbnailCache;
  readonly call: CallOptions & { readonly signal: AbortSignal };
  readonly moved: () => void;
  readonly filled: Filled;
}

/** One run. */
class Filling {
  readonly #parts: Parts;
  #isDaemonGone = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    void parts.client.closed.then(() => {
      this.#isDaemonGone = true;
    });
  }

  /** Brings what a folder lacks. Rejects where nothing more can be had. */
  async folder(place: Place, isRecursive: boolean): Promise<void> {
    const { filled, call, moved } = this.#parts;
    call.signal.throwIfAborted();
    const entries = await readdir(place.path, { withFileTypes: true });
    filled.folders += 1;
    moved();
    await this.#files(
      place,
      entries.filter((entry) => entry.isFile()).map(({ name }) => name),
    );
    if (!isRecursive) return;
    for (const { name } of entries.filter((entry) => entry.isDirectory())) {
      await this.folder({ path: join(place.path, name), drivePath: posix.join(place.drivePath, name) }, true);
    }
  }

  async #files(place: Place, names: readonly string[]): Promise<void> {
    const { api, cache, call, filled } = this.#parts;
    const missing: { readonly name: string; readonly facts: ThumbnailFacts }[] = [];
    await this.#each(names, async (name) => {
      const facts = await factsOf(join(place.path, name));
      if (await cache.has(facts)) filled.present += 1;
      else missing.push({ name, facts });
    });
    if (missing.length === 0) return;
    const folder = await this.#locate(place.drivePath);
    if (folder.kind === 'root') return;
    // What a daemon of this program tells are ids as the service gave them.
    const vaultId = ('vaultId' in folder ? folder.vaultId : undefined) as VaultId | undefined;
    const listed = await api.drive.thumbnails.list(folder as Location & ThumbnailFolder, call);
    const byId = new Map(listed.map((thumbnail) => [thumbnail.fileId as string, thumbnail]));
    if (byId.size === 0) {
      filled.without += missing.length;
      return;
    }
    await this.#each(missing, async ({ name, facts }) => {
      const path = join(place.path, name);
      const found = await this.#pictureOf(posix.join(place.drivePath, name), byId);
      if (typeof found === 'string') filled.skipped.push({ path, reason: found });
      else if (found === undefined) filled.without += 1;
      else await this.#bring(path, facts, found, vaultId);
    });
  }

  /** The picture of what a file holds now; undefined where there is none, a text where there will be another. */
  async #pictureOf(
    drivePath: string,
    byId: ReadonlyMap<string, RemoteThumbnail>,
  ): Promise<RemoteThumbnail | string | undefined> {
    let at: Location;
    try {
      at = await this.#locate(drivePath);
    } catch (error) {
      if (this.#isDaemonGone || this.#parts.call.signal.aborted || !(error instanceof Error)) throw error;
      return error.message;
    }
    const found = at.kind === 'file' ? byId.get(at.fileId) : undefined;
    if (at.kind !== 'file' || found === undefined) return undefined;
    if (at.isPending) return 'what was written last is not at Syncplicity yet';
    return at.versionId === found.versionId ? found : 'it is being changed';
  }

  async #bring(
    path: string,
    facts: ThumbnailFacts,
    thumbnail: RemoteThumbnail,
    vaultId: VaultId | undefined,
  ): Promise<void> {
    const { api, cache, call, filled, moved } = this.#parts;
    try {
      const image = await decodeImage(await api.drive.thumbnails.fetch(thumbnail, vaultId, call));
      await cache.put(facts, image);
      filled.written += 1;
      moved();
    } catch (error) {
      if (error instanceof ImageError) {
        filled.skipped.push({ path, reason: `Syncplicity's picture cannot be shown: ${error.message}` });
      } else if (error instanceof RemoteError && concernsOne(error)) {
        filled.failed.push({ path, reason: error.message });
      } else throw error;
    }
  }

  #locate(path: string): Promise<Location> {
    const limits = { timeoutMs: LOCATE_TIMEOUT_MS, signal: this.#parts.call.signal };
    return askMount(this.#parts.client, 'locate', { path }, limits);
  }

  /** Does something with each, a few at a time; after a failure, which it rejects with, nothing more is begun. */
  async #each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    const queue = new PQueue({ concurrency: AT_A_TIME });
    let failure: Error | undefined;
    const { signal } = this.#parts.call;
    const guarded = async (item: T): Promise<void> => {
      if (failure !== undefined) return;
      try {
        signal.throwIfAborted();
        await work(item);
      } catch (error) {
        failure ??= error instanceof Error ? error : new Error(String(error));
      }
    };
    for (const item of items) void queue.add(() => guarded(item));
    await queue.onIdle();
    if (failure !== undefined) throw failure;
  }
}

/** About one picture: others may be had. */
function concernsOne({ kind }: RemoteError): boolean {
  return (
    kind === 'not-found' || kind === 'forbidden' || kind === 'too-large' || kind === 'protocol' || kind === 'invalid'
  );
}

function tell(context: CliContext, filled: Filled, options: ThumbnailOptions): void {
  if (filled.failed.length > 0) context.setExitCode(1);
  if (wantsJson(options)) {
    printJson(context, filled);
    return;
  }
  for (const { path, reason } of [...filled.skipped, ...filled.failed]) {
    context.warn(printable(`${path}: ${reason}`));
  }
  const { written, present, without, skipped, failed } = filled;
  const rest = [
    ...(present === 0 ? [] : [`${present} there already`]),
    ...(without === 0 ? [] : [`${countOf(without, 'file')} without a picture`]),
    ...(skipped.length === 0 ? [] : [`${skipped.length} skipped`]),
    ...(failed.length === 0 ? [] : [`${failed.length} failed`]),
  ];
  context.print([`${countOf(written, 'thumbnail')} written`, ...rest].join(', '));
}
