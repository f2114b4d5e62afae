// What a vault answers to an upload request: stored, going on, or words nobody documented. Plain text from one form of URL,
// JSON with ids from the other; how far a session is, in either reading of Range.
import type { FileId, UploadOutcome, VersionId } from '../../remote-drive.ts';
import { disguisedStatus } from '../errors.ts';
import type { ReplyHeaders } from '../http/transport.ts';
import { Fields, isObject } from '../wire/fields.ts';
import { parseLossless } from '../wire/lossless-json.ts';
import { printable } from '../wire/printable.ts';

/** A 2xx or 308 reply. */
export interface UploadReply {
  readonly status: number;
  readonly text: string;
  readonly etag: string | undefined;
  /** The second number of Range. */
  readonly rangeEnd: number | undefined;
  /** Syncplicity-Chunk-Size. */
  readonly chunkBytes: number | undefined;
}

/** How a vault counts the end of a Range. */
export type RangeReading = 'exclusive' | 'inclusive';

/** What a reply says of the whole upload; `incomplete`: the vault wants more. */
export type Verdict = UploadOutcome | { readonly state: 'incomplete' };

/** A chunk is held by no memory of ours, but a size beyond this is a misread number. */
const chunkBytesMax = 1 << 30;

/** Reads a reply of any of the documented shapes. */
export function readUploadReply(status: number, headers: ReplyHeaders, text: string): UploadReply {
  return {
    status,
    text,
    etag: header(headers, 'etag'),
    rangeEnd: rangeEnd(header(headers, 'range') ?? header(headers, 'content-range')),
    chunkBytes: chunkSize(header(headers, 'syncplicity-chunk-size')),
  };
}

/** What a reply says of the whole upload. */
export function verdict(reply: UploadReply): Verdict {
  if (reply.status === 308) return { state: 'incomplete' };
  const words = reply.text.trim().replace(/^"|"$/g, '').trim().toLowerCase();
  if (words === 'resume incomplete') return { state: 'incomplete' };
  if (words === 'stored' || words === 'already stored') {
    return { state: 'stored', fileId: undefined, versionId: undefined, already: words === 'already stored' };
  }
  const reason = `the vault answered HTTP ${reply.status} ${printable(reply.text).slice(0, 100)}`.trim();
  let value: unknown;
  try {
    value = parseLossless(reply.text);
  } catch {
    return { state: 'unclear', reason };
  }
  const ids = { file: findId(value, fileIdNames), version: findId(value, versionIdNames) };
  if (disguisedStatus(value) === undefined && (ids.file ?? ids.version) !== undefined) {
    const already = /already ?stored/i.test(reply.text);
    return {
      state: 'stored',
      fileId: ids.file as FileId | undefined,
      versionId: ids.version as VersionId | undefined,
      already,
    };
  }
  return { state: 'unclear', reason };
}

/** Where the next chunk begins by this Range, once its reading is known. */
export function endByReading(rangeEndBytes: number, reading: RangeReading): number {
  return reading === 'exclusive' ? rangeEndBytes : rangeEndBytes + 1;
}

/** The reading that makes a Range end at `endBytes`. */
export function readingOf(rangeEndBytes: number, endBytes: number): RangeReading | undefined {
  if (rangeEndBytes === endBytes) return 'exclusive';
  return rangeEndBytes + 1 === endBytes ? 'inclusive' : undefined;
}

/** Compared without case and punctuation: data_file_id, DataFileId, FileId. */
const fileIdNames = ['datafileid', 'fileid'];
const versionIdNames = [
  'datafileversionid',
  'latestversionid',
  'fileversionid',
  'datafilelatestversionid',
  'versionid',
];
/** Deeper than any envelope. */
const depthMax = 4;

/** The id under one of these names, nearest to the top. */
function findId(value: unknown, names: readonly string[]): string | undefined {
  let level: readonly unknown[] = [value];
  for (let depth = 0; depth < depthMax && level.length > 0; depth += 1) {
    const objects = level.flatMap((one) => (Array.isArray(one) ? (one as readonly unknown[]) : [one])).filter(isObject);
    for (const name of names) {
      for (const object of objects) {
        const key = Object.keys(object).find((one) => one.toLowerCase().replace(/[^a-z]/g, '') === name);
        const id = key === undefined ? undefined : idText(Fields.of(object, 'upload').value(key));
        if (id !== undefined) return id;
      }
    }
    level = objects.flatMap((object) => Object.values(object));
  }
  return undefined;
}

function idText(value: unknown): string | undefined {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value).trim() : '';
  return /^[1-9]\d{0,19}$/.test(text) ? text : undefined;
}

/** Of `a-b`, with or without unit and total. */
function rangeEnd(value: string | undefined): number | undefined {
  const match = /^(?:bytes\s*[= ]?\s*)?\d{1,16}\s*-\s*(\d{1,16})(?:\/.*)?$/i.exec(value?.trim() ?? '');
  return match === null ? undefined : Number(match[1]);
}

function chunkSize(value: string | undefined): number | undefined {
  const text = value?.trim() ?? '';
  const size = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  return size > 0 && size <= chunkBytesMax ? size : undefined;
}

function header(headers: ReplyHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
