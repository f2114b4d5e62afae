// Reads fields of JSON objects leniently, in one place: any casing of keys, numbers and booleans as strings, 64-bit ids. What
// cannot be read is RemoteError `protocol` that names the call and the field. A field that is null counts as absent.
import { RemoteError } from '../../remote-drive.ts';
import type { Timestamp } from '../../remote-drive.ts';
import { printable } from './printable.ts';
import { parseTimestamp } from './timestamp.ts';

type JsonObject = Readonly<Record<string, unknown>>;

/** One JSON object of a reply. `where` names the call and the place within its reply. */
export class Fields {
  readonly #object: JsonObject;
  readonly where: string;
  readonly #isSecret: boolean;

  private constructor(object: JsonObject, where: string, isSecret: boolean) {
    this.#object = object;
    this.where = where;
    this.#isSecret = isSecret;
  }

  /** Rejects anything but an object. */
  static of(value: unknown, where: string): Fields {
    return new Fields(requireObject(value, where), where, false);
  }

  /** As {@link of}; no message shows a value, for one of them may be a secret. */
  static secret(value: unknown, where: string): Fields {
    return new Fields(requireObject(value, where), where, true);
  }

  /** The value under the first of these names that is present in any casing. */
  value(...names: readonly string[]): unknown {
    for (const name of names) {
      if (Object.hasOwn(this.#object, name)) {
        const value = this.#object[name];
        if (value !== null && value !== undefined) return value;
      }
    }
    const wanted = names.map((name) => name.toLowerCase());
    for (const key of Object.keys(this.#object)) {
      if (!wanted.includes(key.toLowerCase())) continue;
      const value = this.#object[key];
      if (value !== null && value !== undefined) return value;
    }
    return undefined;
  }

  /** A field that holds an object. */
  object(...names: readonly string[]): Fields | undefined {
    const value = this.value(...names);
    const where = `${this.where}.${names[0] ?? ''}`;
    return value === undefined ? undefined : new Fields(requireObject(value, where), where, this.#isSecret);
  }

  /** A field that holds an array, of which one object may stand for its only element; absent is undefined. */
  array(...names: readonly string[]): readonly unknown[] | undefined {
    const value = this.value(...names);
    if (value === undefined) return undefined;
    if (isObject(value)) return [value];
    if (!Array.isArray(value)) throw this.#unreadable(names, 'an array', value);
    return value as readonly unknown[];
  }

  /** Text; numbers count as their digits. */
  text(...names: readonly string[]): string | undefined {
    const value = this.value(...names);
    if (value === undefined || typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    throw this.#unreadable(names, 'text', value);
  }

  /** A whole or decimal number, or digits in a string. An empty string counts as absent. */
  number(...names: readonly string[]): number | undefined {
    const value = this.value(...names);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    if (typeof value === 'string') {
      const text = value.trim();
      if (text === '') return undefined;
      if (/^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
    }
    throw this.#unreadable(names, 'a number', value);
  }

  /** A size in bytes: whole, not negative, exact. */
  size(...names: readonly string[]): number | undefined {
    const size = this.number(...names);
    if (size === undefined) return undefined;
    if (!Number.isSafeInteger(size) || size < 0) throw this.#unreadable(names, 'a size', size);
    return size;
  }

  /** true, false, "true", "False", 0, 1. */
  flag(...names: readonly string[]): boolean | undefined {
    const value = this.value(...names);
    if (value === undefined || typeof value === 'boolean') return value;
    if (typeof value !== 'string' && typeof value !== 'number') throw this.#unreadable(names, 'true or false', value);
    const text = String(value).trim().toLowerCase();
    if (text === '') return undefined;
    if (text === 'true' || text === '1') return true;
    if (text === 'false' || text === '0') return false;
    throw this.#unreadable(names, 'true or false', value);
  }

  /** A 64-bit id as decimal digits. 0 and an empty string count as absent. */
  id(...names: readonly string[]): string | undefined {
    const value = this.value(...names);
    if (value === undefined) return undefined;
    const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
    if (typeof text !== 'string' || !/^\s*-?\d{0,20}(\.0*)?\s*$/.test(text))
      throw this.#unreadable(names, 'an id', value);
    const digits = text.trim().replace(/^0+/, '').replace(/\.0*$/, '');
    return digits === '' || digits === '-' ? undefined : digits;
  }

  /** A GUID, lower case, without braces. The GUID of zeros and an empty string count as absent. */
  guid(...names: readonly string[]): string | undefined {
    const value = this.value(...names);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' && typeof value !== 'number') throw this.#unreadable(names, 'a GUID', value);
    const text = String(value)
      .trim()
      .replace(/^\{|\}$/g, '')
      .toLowerCase();
    return text === '' || /^[0-]+$/.test(text) ? undefined : text;
  }

  /** A time in either of the service's forms. An empty string counts as absent. */
  time(...names: readonly string[]): Timestamp | undefined {
    const value = this.value(...names);
    if (value === undefined || value === '') return undefined;
    const time = typeof value === 'string' ? parseTimestamp(value) : undefined;
    if (time === undefined) throw this.#unreadable(names, 'a time', value);
    return time;
  }

  /** The value, or an error that names the missing field. */
  required<T>(value: T | undefined, name: string): T {
    if (value === undefined) throw new RemoteError('protocol', `${this.where}: field ${name} is missing`);
    return value;
  }

  #unreadable(names: readonly string[], expected: string, value: unknown): RemoteError {
    return new RemoteError(
      'protocol',
      `${this.where}: field ${names[0] ?? ''} should be ${expected}, is ${this.#isSecret ? kindOf(value) : excerpt(value)}`,
    );
  }
}

function requireObject(value: unknown, where: string): JsonObject {
  if (!isObject(value)) throw new RemoteError('protocol', `${where}: expected an object, got ${kindOf(value)}`);
  return value;
}

/** True for JSON objects, not for arrays and null. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What kind of JSON value this is, for messages. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function excerpt(value: unknown): string {
  if (typeof value === 'object') return kindOf(value);
  const text = JSON.stringify(value) as string | undefined;
  return printable(text ?? 'nothing').slice(0, 60);
}

/** A reply that is a list: an array, an object in place of its only element, or nothing at all. Absent entries are left out. */
export function listIn(value: unknown, where: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (isObject(value)) return Object.keys(value).length === 0 ? [] : [value];
  if (!Array.isArray(value)) throw new RemoteError('protocol', `${where}: the reply is not an array`);
  return (value as readonly unknown[]).filter((entry) => entry !== null);
}
