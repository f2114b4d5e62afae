// The bytes of one version, on their way to a file of this machine or back to Syncplicity. What breaks off is gone on with where it ended;
// a file shows all of them or is not there.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, mkdtemp, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { delay } from '../../base/abort.ts';
import type { TargetFile } from '../../mount/remote-path.ts';
import { RemoteError } from '../../remote-drive.ts';
import type {
  ContentReference,
  RemoteFile,
  RemotePath,
  SyncpointId,
  Timestamp,
  UploadOutcome,
  UploadRequest,
  VaultId,
  VersionId,
} from '../../remote-drive.ts';
import type { CliContext } from '../context.ts';
import { printable } from '../printable.ts';
import type { Service } from './content-command.ts';

/** Listings lag behind what was stored by seconds: after so long each it is looked for again. */
const LISTED_WAITS_MS = [500, 1_000, 2_000, 4_000];
/** A download that breaks off this often without a byte in between is over. */
const BREAKS_MAX = 3;

/** Which vault holds the content of a syncpoint; undefined where it is the default one. One call. */
export async function vaultOf({ api, call }: Service, syncpointId: SyncpointId): Promise<VaultId | undefined> {
  const syncpoints = await api.drive.syncpoints(call);
  return syncpoints.find(({ id }) => id === syncpointId)?.vaultId;
}

/** All bytes of a version, in order. */
export async function* versionBytes(service: Service, content: ContentReference): AsyncGenerator<Uint8Array> {
  const { api, call, moved } = service;
  let at = 0;
  for (let breaks = 0; at < content.lengthBytes;) {
    try {
      const stream = await api.drive.read(content, { offsetBytes: at, lengthBytes: content.lengthBytes - at }, call);
      try {
        let position = stream.offsetBytes;
        for await (const piece of stream) {
          const fresh = piece.subarray(Math.max(0, at - position), Math.max(0, content.lengthBytes - position));
          position += piece.length;
          if (fresh.length === 0) continue;
          moved();
          breaks = 0;
          at += fresh.length;
          yield fresh;
        }
      } finally {
        stream.close();
      }
    } catch (error) {
      breaks += 1;
      if (!(error instanceof RemoteError) || error.kind !== 'unavailable' || breaks >= BREAKS_MAX) throw error;
    }
  }
}

/** Writes pieces to a new file; resolves with their SHA-256, 64 lower-case hex digits. */
async function writeNew(path: string, pieces: AsyncIterable<Uint8Array>, times: Date | undefined): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o666);
  try {
    for await (const piece of pieces) {
      hash.update(piece);
      await file.writeFile(piece);
    }
    if (times !== undefined) await file.utimes(times, times);
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

/** Writes pieces to `path`, replacing what is there at the end. */
export async function writeWhole(path: string, pieces: AsyncIterable<Uint8Array>, times?: Date): Promise<void> {
  const directory = await mkdtemp(join(dirname(path), '.syncplicityfs-'));
  try {
    const temporary = join(directory, 'content');
    await writeNew(temporary, pieces, times);
    await rename(temporary, path);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What a version is stored as once more. */
export interface StoringAgain {
  readonly folder: RemotePath;
  readonly name: string;
  readonly modified: Timestamp;
  readonly created: Timestamp;
  /** Rejects where it must not be stored any more. */
  readonly beforeLast: () => Promise<void>;
}

/** Fetches a version into a temporary file and stores it as a file, or as the next version of the one that is there. */
export async function storeAgain(
  { directories }: CliContext,
  service: Service,
  content: ContentReference,
  { folder, name, modified, created, beforeLast }: StoringAgain,
): Promise<{ readonly outcome: UploadOutcome; readonly sha256: string }> {
  const { api, call, moved } = service;
  await mkdir(directories.cache, { recursive: true, mode: 0o700 });
  const directory = await mkdtemp(join(directories.cache, 'restore-'));
  try {
    const path = join(directory, 'content');
    const sha256 = await writeNew(path, versionBytes(service, content), undefined);
    const outcome = await api.drive.upload(
      {
        folder,
        name,
        lengthBytes: content.lengthBytes,
        modified,
        created,
        sha256,
        read: bytesOf(path),
        onSent: moved,
        beforeLast,
      },
      call,
    );
    return { outcome, sha256 };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A file of this machine, as an upload reads it. */
export function bytesOf(path: string): UploadRequest['read'] {
  return (offsetBytes, lengthBytes) =>
    lengthBytes === 0 ? nothing() : createReadStream(path, { start: offsetBytes, end: offsetBytes + lengthBytes - 1 });
}

/** Whether a file's present content is the one that was to be stored: of bytes it has had before, the service need not make a version. */
export async function hasContent(
  { api, call }: Service,
  syncpointId: SyncpointId,
  file: RemoteFile,
  wanted: { readonly lengthBytes: number; readonly sha256: string; readonly before: VersionId | undefined },
): Promise<boolean> {
  if (file.lengthBytes !== wanted.lengthBytes) return false;
  const sha256 = await api.drive.contentHash(syncpointId, file.id, call);
  return sha256 === undefined ? file.versionId !== wanted.before : sha256 === wanted.sha256;
}

// eslint-disable-next-line @typescript-eslint/require-await -- it has nothing to wait for
async function* nothing(): AsyncGenerator<Uint8Array> {
  yield* [];
}

/** What `look` finds of something that was stored just now, at once or when listings show it; undefined: they did not. */
export async function onceListed<T>(
  { call, moved }: Service,
  look: () => Promise<T | undefined>,
): Promise<T | undefined> {
  for (const waitMs of LISTED_WAITS_MS) {
    const found = await look();
    if (found !== undefined) return found;
    await delay(waitMs, call.signal);
    moved();
  }
  return look();
}

/** What an upload made of a file: the same one, or another in its place, which need not have been told. */
export async function storedFile(
  { api, call }: Service,
  target: Pick<TargetFile, 'syncpointId' | 'folderId' | 'fileId'>,
  name: string,
): Promise<RemoteFile> {
  const { syncpointId, folderId, fileId } = target;
  try {
    return await api.drive.file(syncpointId, fileId, call);
  } catch (error) {
    if (!(error instanceof RemoteError) || error.kind !== 'not-found') throw error;
    for await (const batch of api.drive.list(syncpointId, folderId, call)) {
      const found = batch.find((entry) => entry.kind === 'file' && entry.name === name);
      if (found?.kind === 'file') return found;
    }
    throw error;
  }
}

/** Where to write: what was named, a file in the directory that was, or a new one here. */
export async function outputFile(output: string | undefined, name: string): Promise<string> {
  // A name of the service is one of this machine only if it cannot lead elsewhere.
  const safe = name.replaceAll('/', '_').replace(/^\.{0,2}$/, '_');
  if (output === undefined) {
    if (await exists(safe)) throw new Error(`${printable(safe)} is there already: name another file with -o`);
    return safe;
  }
  const isDirectory = (await exists(output)) && (await stat(output)).isDirectory();
  return isDirectory ? join(output, safe) : output;
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
