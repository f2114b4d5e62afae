// The mark of an upload session: what a later run of the program needs to go on where a chunked upload ended. It names the
// content, so that a mark of other bytes is never gone on with. Opaque to everybody else.
import type { UploadRequest } from '../../remote-drive.ts';
import { isObject } from '../wire/fields.ts';
import type { RangeReading } from './upload-reply.ts';

/** What a later process needs to go on with an upload session. */
export interface SessionMark {
  readonly etag: string | undefined;
  /** Bytes the vault had. */
  readonly offsetBytes: number;
  /** Of the chunk that was next. */
  readonly chunkBytes: number;
  readonly rangeReading: RangeReading | undefined;
  /** Whose session it is, where that is known. */
  readonly memberId: string | undefined;
}

const version = 1;

/** The mark as text, bound to the request it is for. */
export function writeMark(request: UploadRequest, mark: SessionMark): string {
  return JSON.stringify({ version, content: contentName(request), sha256: request.sha256, ...mark });
}

/** The mark, if it is one of this content. */
export function readMark(request: UploadRequest): SessionMark | undefined {
  if (request.session === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(request.session);
  } catch {
    return undefined;
  }
  if (!isObject(value) || value['version'] !== version || value['content'] !== contentName(request)) return undefined;
  const { sha256, etag, offsetBytes, chunkBytes, rangeReading, memberId } = value;
  if (typeof sha256 === 'string' && request.sha256 !== undefined && sha256 !== request.sha256) return undefined;
  if (!isSize(offsetBytes, request.lengthBytes) || !isSize(chunkBytes, Number.MAX_SAFE_INTEGER)) return undefined;
  return {
    etag: typeof etag === 'string' ? etag : undefined,
    offsetBytes,
    chunkBytes,
    rangeReading: rangeReading === 'exclusive' || rangeReading === 'inclusive' ? rangeReading : undefined,
    memberId: typeof memberId === 'string' ? memberId : undefined,
  };
}

function contentName(request: UploadRequest): string {
  const { folder, name, lengthBytes, modified } = request;
  return JSON.stringify([
    folder.vaultId ?? null,
    folder.syncpointId,
    folder.folderNames,
    name,
    lengthBytes,
    modified.seconds,
    modified.nanoseconds,
  ]);
}

function isSize(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max;
}
