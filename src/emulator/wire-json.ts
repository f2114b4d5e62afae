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

/** A file time as the dialect writes it. */
export function wireTime(time: Ticks, form: Dialect['fileTimes']): string {
  const subMilliseconds = Number(((time % 10_000n) + 10_000n) % 10_000n);
  const milliseconds = Number((time - BigInt(subMilliseconds)) / 10_000n);
  const iso = (): string => new Date(milliseconds).toISOString();
  switch (form) {
    case 'iso-7':
      return `${iso().slice(0, -1)}${String(subMilliseconds).padStart(4, '0')}Z`;
    case 'iso-7-no-zone':
      return `${iso().slice(0, -1)}${String(subMilliseconds).padStart(4, '0')}`;
    case 'iso-3':
      return iso();
    case 'iso-0':
      return `${iso().slice(0, 19)}Z`;
    case 'wcf':
      return `/Date(${milliseconds})/`;
    case 'wcf-offset':
      return `/Date(${milliseconds}-0500)/`;
  }
}
