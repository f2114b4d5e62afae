// Values as JSON text in the spelling of a dialect: key casing, numbers or strings, omitted defaults, escaped slashes.
// Promises: 64-bit ids are written digit by digit (bigint). Must not know: which call is answered.
import type { Dialect } from './dialect.ts';
import type { Ticks } from './store.ts';

export type WireValue = string | number | bigint | boolean | null | readonly WireValue[] | WireObject;
/** Members that are `undefined` are not written. */
export interface WireObject {
  readonly [key: string]: WireValue | undefined;
}

type JsonDialect = Pick<Dialect, 'keys' | 'numbers' | 'omitDefaults' | 'unknownFields' | 'escapedSlashes'>;

/** Writes values in one dialect; remembers how it spells each key. */
export class WireWriter {
  readonly #dialect: JsonDialect;
  readonly #keys = new Map<string, { text: string; quoted: boolean }>();

  constructor(dialect: JsonDialect) {
    this.#dialect = dialect;
  }

  write(value: WireValue): string {
    return this.#value(value, this.#dialect.numbers === 'strings');
  }

  /** An object's text without its closing brace, so that large members can be streamed behind it. */
  openObject(value: WireObject): string {
    return this.#object(value).slice(0, -1);
  }

  /** A member's name with its colon, as it stands in an object. */
  memberName(key: string): string {
    return this.#key(key).text;
  }

  #value(value: WireValue, quoteNumbers: boolean): string {
    switch (typeof value) {
      case 'string':
        return this.#string(value);
      case 'number':
      case 'bigint':
        return quoteNumbers ? `"${value}"` : `${value}`;
      case 'boolean':
        return value ? 'true' : 'false';
      default:
        if (value === null) return 'null';
        if (isArray(value)) return `[${value.map((item) => this.#value(item, quoteNumbers)).join(',')}]`;
        return this.#object(value);
    }
  }

  #object(value: WireObject): string {
    let text = '{';
    for (const key in value) {
      const member = value[key];
      if (member === undefined || (this.#dialect.omitDefaults && isDefault(member))) continue;
      const spelled = this.#key(key);
      text += (text.length > 1 ? ',' : '') + spelled.text + this.#value(member, spelled.quoted);
    }
    if (this.#dialect.unknownFields) text += `${text.length > 1 ? ',' : ''}"NewIn2031":{"Id":-1,"Values":[null,{}]}`;
    return text + '}';
  }

  #key(key: string): { text: string; quoted: boolean } {
    let spelled = this.#keys.get(key);
    if (spelled === undefined) {
      const { numbers, keys } = this.#dialect;
      const isId = key.endsWith('Id');
      spelled = {
        text: `${JSON.stringify(spell(key, keys))}:`,
        quoted: numbers === 'strings' || (numbers === 'ids-as-strings' && isId),
      };
      this.#keys.set(key, spelled);
    }
    return spelled;
  }

  #string(value: string): string {
    const text = JSON.stringify(value);
    return this.#dialect.escapedSlashes ? text.replaceAll('/', '\\/') : text;
  }
}

function isArray(value: readonly WireValue[] | WireObject): value is readonly WireValue[] {
  return Array.isArray(value);
}

function isDefault(value: WireValue): boolean {
  return !value || (Array.isArray(value) && value.length === 0);
}

function spell(key: string, keys: Dialect['keys']): string {
  switch (keys) {
    case 'observed':
      return key;
    case 'upper-id':
      // The guide writes ID in the syncpoints' replies, but FileId, FolderId and SyncpointId in listings.
      return /^(File|Folder|Syncpoint|LatestVersion|ClientFileVersion|ParentFolder)Id$/.test(key)
        ? key
        : key.replace(/Id$/, 'ID');
    case 'sync-point':
      return key.replace('Syncpoint', 'SyncPoint');
    case 'camel':
      return key.slice(0, 1).toLowerCase() + key.slice(1);
    case 'lower':
      return key.toLowerCase();
  }
}

const TICKS_PER_SECOND = 10_000_000n;
/** The second written last: the files of a folder are often of one. */
let lastSecond = { seconds: 0, text: '1970-01-01T00:00:00' };

/** A file time as the dialect writes it. */
export function wireTime(time: Ticks, form: Dialect['fileTimes']): string {
  let seconds = Number(time / TICKS_PER_SECOND);
  let fraction = Number(time % TICKS_PER_SECOND);
  if (fraction < 0) {
    fraction += Number(TICKS_PER_SECOND);
    seconds--;
  }
  if (form === 'wcf' || form === 'wcf-offset') {
    const milliseconds = seconds * 1000 + Math.floor(fraction / 10_000);
    return `/Date(${milliseconds}${form === 'wcf' ? '' : '-0500'})/`;
  }
  if (lastSecond.seconds !== seconds) {
    lastSecond = { seconds, text: new Date(seconds * 1000).toISOString().slice(0, 19) };
  }
  const digits = String(fraction).padStart(7, '0');
  switch (form) {
    case 'iso-7':
      return `${lastSecond.text}.${digits}Z`;
    case 'iso-7-no-zone':
      return `${lastSecond.text}.${digits}`;
    case 'iso-3':
      return `${lastSecond.text}.${digits.slice(0, 3)}Z`;
    case 'iso-0':
      return `${lastSecond.text}Z`;
  }
}
