// JSON that clients send, read without losing digits of 64-bit ids. Promises: what is not the wanted shape is refused with 400.
import type { Dialect } from './dialect.ts';
import { Refusal } from './reply.ts';

/** One object of a request. Keys are the documents' own; a dialect that spells its replies otherwise takes any case. */
export class RequestObject {
  readonly #members: ReadonlyMap<string, unknown>;
  readonly #dialect: Pick<Dialect, 'keys'>;

  constructor(value: unknown, dialect: Pick<Dialect, 'keys'>) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Refusal(400, 'Bad Request');
    this.#dialect = dialect;
    this.#members = new Map(Object.entries(value).map(([key, member]) => [this.#spelled(key), member]));
  }

  has(key: string): boolean {
    return this.#members.has(this.#spelled(key));
  }

  text(key: string): string | undefined {
    const value = this.#members.get(this.#spelled(key));
    return typeof value === 'string' ? value : undefined;
  }

  /** An integer, written as a number or a string. */
  integer(key: string): bigint | undefined {
    const value = this.#members.get(this.#spelled(key));
    if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
    return typeof value === 'string' && /^[0-9]{1,19}$/.test(value) ? BigInt(value) : undefined;
  }

  /** A member that is an object; undefined when absent or null. */
  object(key: string): RequestObject | undefined {
    const value = this.#members.get(this.#spelled(key)) ?? undefined;
    return value === undefined ? undefined : new RequestObject(value, this.#dialect);
  }

  /** A member that is an array of objects; undefined when absent or null. */
  objects(key: string): readonly RequestObject[] | undefined {
    const value = this.#members.get(this.#spelled(key)) ?? undefined;
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw new Refusal(400, 'Bad Request');
    return value.map((one) => new RequestObject(one, this.#dialect));
  }

  /** true or false, as such or as text. */
  flag(key: string): boolean | undefined {
    const value = this.#members.get(this.#spelled(key));
    const text = typeof value === 'string' ? value.toLowerCase() : value;
    if (text === true || text === 'true') return true;
    return text === false || text === 'false' ? false : undefined;
  }

  #spelled(key: string): string {
    return this.#dialect.keys === 'observed' ? key : key.toLowerCase();
  }
}

/** Parses a body; numbers too long for a double arrive as strings. */
export function parseRequest(text: string): unknown {
  try {
    // Strings are passed over whole, so that digits within them stay what they are.
    return JSON.parse(
      text.replace(/"(?:[^"\\]|\\.)*"|\b\d{16,}\b/g, (found) => (found[0] === '"' ? found : `"${found}"`)),
    );
  } catch {
    throw new Refusal(400, 'Bad Request');
  }
}

/** The objects of an array of 1 to `max`, the documents' limit: 20 for folders and files, 100 for all else. */
export function requestObjects(
  text: string,
  dialect: Pick<Dialect, 'keys'>,
  max: 20 | 100 = 20,
): readonly RequestObject[] {
  const value = parseRequest(text);
  if (!Array.isArray(value) || value.length === 0) throw new Refusal(400, 'Bad Request');
  if (value.length > max) throw new Refusal(400, `Max Limit Is ${max}`);
  return value.map((one) => new RequestObject(one, dialect));
}
