// The write path of a mount put together: staging directory, journal, local changes, pusher, and what the user decides about what is
// stuck. Part of the composition root.
import { join } from 'node:path';
import { isZero } from '../base/sparse.ts';
import type { Stops } from '../base/stops.ts';
import type { ContentBlocks } from '../cache/blocks.ts';
import { Durability } from '../cache/durability.ts';
import type { Journal, UnfinishedContent } from '../cache/journal.ts';
import type { Listings } from '../cache/listings.ts';
import { LocalChanges } from '../cache/local-changes.ts';
import { Staging } from '../cache/staging.ts';
import { ROOT_INODE, type TreeNode } from '../cache/tree.ts';
import { generationsOf } from '../cache/tree/records.ts';
import type { MountConfig } from '../config.ts';
import { naming, unescapeName } from '../fs-ops/names.ts';
import type { ContentReference, RemoteDrive } from '../remote-drive.ts';
import { Decisions } from '../sync/decisions.ts';
import type { ContentToSend, SendableContent } from '../sync/parts.ts';
import { Pusher } from '../sync/pusher.ts';

/** Read at a time from what is cached of a version. */
const COPY_STEP_BYTES = 1024 * 1024;

export interface Writing {
  readonly staging: Staging;
  readonly changes: LocalChanges;
  readonly pusher: Pusher;
  readonly decisions: Decisions;
}

export interface WritingOptions {
  readonly accountDirectory: string;
  readonly config: Pick<MountConfig, 'settleMs' | 'uploadsMax' | 'stageReserveBytes' | 'storesTimes' | 'removal'>;
  readonly journal: Journal;
  readonly listings: Listings;
  readonly blocks: Pick<ContentBlocks, 'reader' | 'makeRoom'>;
  readonly drive: RemoteDrive;
  /** See {@link Pusher}. */
  readonly onChange?: ((syncpointId: string) => () => void) | undefined;
  /** See {@link Staging}; empty files are no content. */
  readonly spareFilesMax?: number | undefined;
  /** See {@link Pusher}. */
  readonly steadyMs?: (() => number) | undefined;
  /** Room is wanted for content that the service has too: false where it is needed for now. */
  readonly letGo: (inode: number, generation: number) => boolean;
  /** Known once the file system is. */
  readonly commitOpenFiles: (ageMs: number) => void;
}

/** Opens what was written before, and is ready to write and to send; the pusher is started by whoever has the mount. */
export async function openWriting(options: WritingOptions, stops: Stops): Promise<Writing> {
  const { journal, blocks, config } = options;
  const { tree } = journal;
  const staging = await Staging.open({
    directory: join(options.accountDirectory, 'staging'),
    blocks,
    reserveBytes: config.stageReserveBytes,
    onScarce: (lackingBytes) => blocks.makeRoom(lackingBytes),
    spareFilesMax: options.spareFilesMax,
    journalFlushed: () => tree.committed(),
  });
  stops.add('staging', () => staging.stop());
  const files = tree.stagedFiles();
  const named = new Set(tree.unfinished().map(({ generation }) => generation));
  for (const { staged } of files) for (const id of generationsOf(staged)) named.add(id);
  await staging.sweep(named);
  const changes = new LocalChanges(journal, Date.now, { storesTimes: config.storesTimes });
  const keep: ContentToSend['keep'] = (inode, staged) =>
    staging.keep(staged, (id) => {
      if (options.letGo(inode, id)) changes.forgetKept(inode, id);
    });
  for (const { inode, staged } of files) {
    if (staged !== undefined && journal.get(inode)?.content !== true) keep(inode, staged);
  }
  const unsubscribe = tree.onReleased((generations) => {
    for (const generation of generations) staging.drop(generation);
  });
  stops.add('released content', unsubscribe);
  const durability = new Durability({
    journal,
    sync: (staged) => staging.sync(staged),
    madeDurable: (inode, staged) => changes.madeDurable(inode, staged),
  });
  stops.add('durability', () => durability.stop());
  const content: ContentToSend = {
    seal: (staged, signal) => staging.seal(staged, signal),
    version: (version) => cachedVersion(blocks, version),
    keep,
  };
  const pusher = new Pusher({
    journal,
    listings: options.listings,
    drive: options.drive,
    content,
    settleMs: config.settleMs,
    uploadsMax: config.uploadsMax,
    storesTimes: config.storesTimes,
    purgesRemoved: config.removal === 'permanently',
    commitOpenFiles: options.commitOpenFiles,
    onChange: options.onChange,
    steadyMs: options.steadyMs,
  });
  stops.add('pusher', () => pusher.stop());
  const decisions = new Decisions({
    journal,
    content,
    pusher,
    unfinishedContent: ({ generation }) => staging.abandoned(generation),
    restore: (unfinished) => restoreUnfinished({ journal, changes, staging }, unfinished),
    drop: (generation) => staging.drop(generation),
  });
  return { staging, changes, pusher, decisions };
}

/** Makes a file of what was written of one that was never closed, under its path, or beside what has that by now. */
async function restoreUnfinished(
  {
    journal,
    changes,
    staging,
  }: { readonly journal: Journal; readonly changes: LocalChanges; readonly staging: Staging },
  { path, generation }: UnfinishedContent,
): Promise<void> {
  const { tree } = journal;
  const names = path.split('/').filter((name) => name !== '');
  const last = names.pop();
  let parent: TreeNode = tree.root();
  for (const name of names) {
    const next = tree.child(parent.inode, name);
    if (next?.kind !== 'directory')
      throw new Error(`the directory of ${path} is gone; save the file elsewhere instead`);
    parent = next;
  }
  if (last === undefined || parent.inode === ROOT_INODE) throw new Error(`${path} is no file of a syncpoint`);
  let name = last;
  while (tree.child(parent.inode, name) !== undefined) name = naming.distinct(name, String(generation));
  const abandoned = staging.abandoned(generation);
  const content = staging.openContent({ version: undefined, staged: undefined });
  try {
    let at = 0;
    for await (const piece of abandoned.read(0, abandoned.lengthBytes)) {
      // Holes stay holes: there may be more of them than room on the disk.
      if (!isZero(piece)) content.write(at, piece);
      at += piece.length;
    }
    content.truncate(at);
    const file = changes.createFile({ parent, name, remoteName: unescapeName(name) }, {}, false);
    if (!content.dirty) return;
    const staged = content.commit();
    changes.commitContent(file, staged, file.modified);
    content.committed(staged);
  } finally {
    content.close();
  }
}

/** A version of the service as content to be stored elsewhere: what is cached of it is not fetched. */
function cachedVersion(blocks: WritingOptions['blocks'], version: ContentReference): SendableContent {
  const reader = blocks.reader(version);
  async function* read(offsetBytes: number, lengthBytes: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const end = offsetBytes + lengthBytes;
    for (let at = offsetBytes; at < end; at += COPY_STEP_BYTES) {
      const pieces = await reader.read(at, Math.min(COPY_STEP_BYTES, end - at), signal);
      // They are the cache's from the next tick on.
      yield Buffer.concat(pieces);
    }
  }
  return {
    lengthBytes: version.lengthBytes,
    staged: undefined,
    sha256: () => Promise.resolve(undefined),
    read,
    makeDurable: () => Promise.resolve(),
    close: () => reader.close(),
  };
}
