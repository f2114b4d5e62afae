// The ways to ask a vault for part of a file, and what its reply proves. The guide's form has no unit (`a-`), the vendor's
// samples have one (`bytes=a-`), bounded ranges are undocumented: the first real read tries them in order of their worth.
import type { RangeSupport } from '../../remote-drive.ts';
import type { ReplyHeaders } from '../http/transport.ts';
import { parseContentRange } from './content-range.ts';

/** How a range is asked for: `bytes=a-b`, `bytes=a-`, `a-`, or not at all. */
export type RangeForm = 'bounded' | 'open' | 'raw' | 'none';

/** From the most to the least useful. */
export const rangeForms: readonly RangeForm[] = ['bounded', 'open', 'raw', 'none'];

/** The bytes wanted, end exclusive, of a content of `totalBytes`. */
export interface Wanted {
  readonly startBytes: number;
  readonly endBytes: number;
  readonly totalBytes: number;
}

/** The value of the Range header; undefined for a request of the whole file. */
export function rangeHeader(form: RangeForm, wanted: Wanted): string | undefined {
  switch (form) {
    case 'bounded':
      return `bytes=${wanted.startBytes}-${wanted.endBytes - 1}`;
    case 'open':
      return `bytes=${wanted.startBytes}-`;
    case 'raw':
      return `${wanted.startBytes}-`;
    case 'none':
      return undefined;
  }
}

/** What a 200 or 206 reply holds. */
export type Covered =
  /** Exactly these bytes. `proves` is what the vault makes of this form, where the reply can tell. */
  | { readonly kind: 'covers'; readonly startBytes: number; readonly endBytes: number; readonly proves?: RangeSupport }
  /** No use: this form of range is not understood, another may be. */
  | { readonly kind: 'misunderstood'; readonly why: string }
  /** No use: the content is not what it should be, whatever the form. */
  | { readonly kind: 'contradiction'; readonly why: string };

/** Judges the headers of a 200 or 206 reply. Never calls bytes right that may be others. */
export function covered(form: RangeForm, wanted: Wanted, status: number, headers: ReplyHeaders): Covered {
  const encoding = header(headers, 'content-encoding');
  if (encoding !== undefined && !/^\s*(identity\s*)?$/i.test(encoding)) {
    return { kind: 'contradiction', why: `the body is encoded (${encoding}) though that was not asked for` };
  }
  const length = contentLength(headers);
  return status === 206 ? partial(form, wanted, length, headers) : whole(form, wanted, length, headers);
}

function partial(form: RangeForm, wanted: Wanted, length: number | undefined, headers: ReplyHeaders): Covered {
  const range = parseContentRange(header(headers, 'content-range'));
  if (range === undefined) {
    // Just as many bytes as are left: the same proof that a 200 without Content-Range gives. Any other part could lie anywhere.
    if (form !== 'bounded' && length === wanted.totalBytes - wanted.startBytes) {
      return { kind: 'covers', startBytes: wanted.startBytes, endBytes: wanted.totalBytes, proves: 'open' };
    }
    return { kind: 'misunderstood', why: 'a partial reply does not say which part it is' };
  }
  if (range.totalBytes !== undefined && range.totalBytes !== wanted.totalBytes) {
    return { kind: 'contradiction', why: `the content has ${range.totalBytes} bytes instead of ${wanted.totalBytes}` };
  }
  if (range.startBytes !== wanted.startBytes) {
    return { kind: 'misunderstood', why: `the part starts at ${range.startBytes} instead of ${wanted.startBytes}` };
  }
  if (range.endBytes < wanted.endBytes || range.endBytes > wanted.totalBytes) {
    return { kind: 'misunderstood', why: `the part ends at ${range.endBytes} instead of ${wanted.endBytes}` };
  }
  if (length !== undefined && length !== range.endBytes - range.startBytes) {
    return { kind: 'misunderstood', why: `the part's length is ${length}, its range says otherwise` };
  }
  const proves = provenBy(form, wanted, range.endBytes);
  return { kind: 'covers', startBytes: range.startBytes, endBytes: range.endBytes, ...(proves && { proves }) };
}

/** A 200: the whole content, or what some servers call so. */
function whole(form: RangeForm, wanted: Wanted, length: number | undefined, headers: ReplyHeaders): Covered {
  const { startBytes, endBytes, totalBytes } = wanted;
  const range = parseContentRange(header(headers, 'content-range'));
  if (range !== undefined) return partial(form, wanted, length, headers);
  if (form === 'none') {
    if (length !== undefined && length !== totalBytes) {
      return { kind: 'contradiction', why: `the content has ${length} bytes instead of ${totalBytes}` };
    }
    return { kind: 'covers', startBytes: 0, endBytes: totalBytes };
  }
  // Without a length nobody can tell the rest from the whole: ask without a range, where 200 has one meaning.
  if (length === undefined) return { kind: 'misunderstood', why: 'the reply says neither its part nor its length' };
  if (length === totalBytes) {
    // From the start, all forms mean the same; further in, a better form may still be understood.
    if (startBytes === 0) return { kind: 'covers', startBytes: 0, endBytes: totalBytes };
    return { kind: 'misunderstood', why: 'the whole content came instead of a part' };
  }
  if (length === totalBytes - startBytes) {
    const proves = provenBy(form, wanted, totalBytes);
    return { kind: 'covers', startBytes, endBytes: totalBytes, ...(proves && { proves }) };
  }
  if (startBytes === 0 && length === endBytes) {
    return { kind: 'misunderstood', why: 'the reply may be a part or a content cut short' };
  }
  return { kind: 'misunderstood', why: `the reply has ${length} bytes of ${totalBytes}` };
}

/** A range that ends with the content looks the same bounded and open. */
function provenBy(form: RangeForm, wanted: Wanted, endBytes: number): RangeSupport | undefined {
  if (form !== 'bounded') return 'open';
  if (wanted.endBytes === wanted.totalBytes) return undefined;
  return endBytes === wanted.endBytes ? 'bounded' : 'open';
}

function contentLength(headers: ReplyHeaders): number | undefined {
  const text = header(headers, 'content-length')?.trim();
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined;
}

function header(headers: ReplyHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}
