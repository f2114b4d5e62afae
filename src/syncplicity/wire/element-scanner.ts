// Cuts the elements out of a long JSON reply as its bytes arrive: of a top-level array, or of chosen arrays of a top-level
// object. One element at a time is parsed, so that a reply of many megabytes never holds the event loop. What is no such JSON
// is RemoteError `protocol`, what ends in its middle or is a web page `unavailable`. Knows no field of any reply.
import { RemoteError } from '../../remote-drive.ts';
import { cutOff } from './cut-off.ts';
import { parseLossless } from './lossless-json.ts';
import { printable } from './printable.ts';
import { webPage } from './web-page.ts';

/** Receives one element: the array's key in lower case, or '' for a top-level array. */
export type ElementSink = (array: string, element: unknown) => void;

/** What a reply was besides its elements. */
export interface ReplyFrame {
  readonly shape: 'array' | 'object';
  /** The arrays that were present, lower case. */
  readonly arrays: ReadonlySet<string>;
  /** The other fields of a top-level object, keys as sent. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** An entry of a listing is some hundred bytes; a path and a name of the longest kind stay far below this. */
const elementBytesMax = 4 << 20;

type State = 'before-root' | 'key' | 'colon' | 'value' | 'element' | 'after-root';
/** How the end of the captured value is found. */
type Capture = 'none' | 'nested' | 'string' | 'scalar';

const quote = 0x22;
const comma = 0x2c;
const lessThan = 0x3c;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

export class ElementScanner {
  readonly #where: string;
  readonly #wanted: ReadonlySet<string>;
  readonly #sink: ElementSink;
  readonly #arrays = new Set<string>();
  readonly #fields: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  #shape: 'array' | 'object' = 'object';
  #state: State = 'before-root';
  #capture: Capture = 'none';
  /** What the captured value is. */
  #captures: 'key' | 'field' | 'element' | 'only-element' = 'element';
  /** Earlier chunks' part of the captured value. */
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #key = '';
  #array = '';
  #atStart = true;

  /** `wanted`: lower-case keys of the arrays to cut up; `where` names the call. */
  constructor(where: string, wanted: ReadonlySet<string>, sink: ElementSink) {
    this.#where = where;
    this.#wanted = wanted;
    this.#sink = sink;
  }

  /** Takes the next bytes; calls the sink for each element that they complete. */
  push(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let position = 0;
    let start = 0;
    while (position < chunk.length) {
      if (this.#capture !== 'none') {
        const end = this.#captureEnd(chunk, position);
        if (end < 0) break;
        this.#captured(chunk, start, end);
        position = end;
        continue;
      }
      const byte = chunk[position] as number;
      if (isSpace(byte) || (this.#atStart && isMark(byte))) {
        position += 1;
        continue;
      }
      this.#atStart = false;
      if (byte === lessThan && this.#state === 'before-root') throw this.#markup(chunk.toString('utf8', position));
      if (this.#beginsCapture(byte)) start = position;
      else this.#step(byte);
      position += 1;
    }
    if (this.#capture !== 'none') this.#keep(chunk.subarray(start));
  }

  /** The reply is over. One that was cut off is a broken transfer, which a body without a length cannot tell otherwise. */
  end(): ReplyFrame {
    if (this.#state === 'before-root') throw this.#broken('the reply is empty');
    if (this.#state !== 'after-root' || this.#capture !== 'none') throw cutOff(this.#where);
    return { shape: this.#shape, arrays: this.#arrays, fields: { ...this.#fields } };
  }

  /** The index behind the captured value, or -1 when it goes on in the next chunk. */
  #captureEnd(chunk: Buffer, from: number): number {
    if (this.#capture === 'scalar') {
      for (let i = from; i < chunk.length; i += 1) if (endsScalar(chunk[i] as number)) return i;
      return -1;
    }
    let depth = this.#depth;
    let inString = this.#inString;
    let escaped = this.#escaped;
    for (let i = from; i < chunk.length; i += 1) {
      const byte = chunk[i] as number;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === backslash) escaped = true;
        else if (byte === quote) {
          inString = false;
          if (depth === 0) return i + 1;
        }
      } else if (byte === quote) {
        inString = true;
      } else if (byte === openBrace || byte === openBracket) {
        depth += 1;
      } else if (byte === closeBrace || byte === closeBracket) {
        depth -= 1;
        if (depth === 0) return i + 1;
      }
    }
    this.#depth = depth;
    this.#inString = inString;
    this.#escaped = escaped;
    return -1;
  }

  #captured(chunk: Buffer, start: number, end: number): void {
    let text: string;
    if (this.#pieceBytes === 0) {
      text = chunk.toString('utf8', start, end);
    } else {
      this.#keep(chunk.subarray(0, end));
      text = Buffer.concat(this.#pieces).toString('utf8');
      this.#pieces = [];
      this.#pieceBytes = 0;
    }
    this.#capture = 'none';
    const value = this.#parse(text);
    switch (this.#captures) {
      case 'key':
        this.#key = String(value);
        this.#state = 'colon';
        break;
      case 'field':
        // The first of several spellings counts, as everywhere.
        if (!(this.#key in this.#fields)) this.#fields[this.#key] = value;
        this.#state = 'key';
        break;
      case 'element':
        this.#sink(this.#array, value);
        break;
      case 'only-element':
        this.#sink(this.#array, value);
        this.#state = 'key';
        break;
    }
  }

  #keep(part: Buffer): void {
    // A copy: the chunk's memory belongs to the socket's reader.
    this.#pieces.push(Buffer.from(part));
    this.#pieceBytes += part.length;
    if (this.#pieceBytes > elementBytesMax) throw this.#broken('an entry is longer than any can be');
  }

  /** True when this byte opens a value to capture. */
  #beginsCapture(byte: number): boolean {
    switch (this.#state) {
      case 'key':
        if (byte !== quote) return false;
        this.#begin('key', byte);
        return true;
      case 'value':
        if (this.#wanted.has(this.#key.toLowerCase())) {
          if (byte === openBracket) return false;
          if (byte === openBrace) {
            // Some serialisers write an array of one element as that element.
            this.#enterArray();
            this.#begin('only-element', byte);
            return true;
          }
        }
        this.#begin('field', byte);
        return true;
      case 'element':
        if (byte === comma || byte === closeBracket) return false;
        this.#begin('element', byte);
        return true;
      case 'before-root':
      case 'colon':
      case 'after-root':
        return false;
    }
  }

  #enterArray(): void {
    this.#array = this.#key.toLowerCase();
    this.#arrays.add(this.#array);
  }

  #begin(captures: 'key' | 'field' | 'element' | 'only-element', byte: number): void {
    if (byte === comma || byte === colon || byte === closeBrace || byte === closeBracket) {
      throw this.#broken(`unexpected ${String.fromCharCode(byte)}`);
    }
    this.#captures = captures;
    this.#inString = byte === quote;
    this.#escaped = false;
    const nested = byte === openBrace || byte === openBracket;
    this.#depth = nested ? 1 : 0;
    this.#capture = this.#inString ? 'string' : nested ? 'nested' : 'scalar';
  }

  /** Takes a byte of punctuation between values. */
  #step(byte: number): void {
    if (this.#state === 'before-root' && (byte === openBrace || byte === openBracket)) {
      this.#shape = byte === openBrace ? 'object' : 'array';
      this.#state = byte === openBrace ? 'key' : 'element';
    } else if (this.#state === 'key' && (byte === comma || byte === closeBrace)) {
      if (byte === closeBrace) this.#state = 'after-root';
    } else if (this.#state === 'colon' && byte === colon) {
      this.#state = 'value';
    } else if (this.#state === 'value' && byte === openBracket) {
      this.#enterArray();
      this.#state = 'element';
    } else if (this.#state === 'element' && (byte === comma || byte === closeBracket)) {
      if (byte === closeBracket) this.#state = this.#shape === 'array' ? 'after-root' : 'key';
    } else {
      throw this.#broken(`unexpected ${JSON.stringify(String.fromCharCode(byte))}`);
    }
  }

  #parse(text: string): unknown {
    try {
      return parseLossless(text);
    } catch (error) {
      throw this.#broken(`an unreadable value ${printable(text.slice(0, 60))}`, error);
    }
  }

  #markup(text: string): RemoteError {
    return webPage(text, this.#where) ?? this.#broken('unexpected "<"');
  }

  #broken(what: string, cause?: unknown): RemoteError {
    return new RemoteError('protocol', `${this.#where}: the reply is not JSON: ${what}`, { cause });
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** A byte of UTF-8's byte order mark. */
function isMark(byte: number): boolean {
  return byte === 0xef || byte === 0xbb || byte === 0xbf;
}

function endsScalar(byte: number): boolean {
  return byte === comma || byte === closeBrace || byte === closeBracket || isSpace(byte);
}
